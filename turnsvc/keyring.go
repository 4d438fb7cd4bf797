package turnsvc

import (
	"net/netip"

	"signalbox/internal/source"
	"signalbox/turnsvc/cred"
	"signalbox/turnsvc/internal/wire"
)

// keyring knows whose keys are in force, and who is banned. The gate asks it before it queues a
// request; the books ask it again once they have granted an allocation, since either may have
// changed meanwhile.
type keyring struct {
	clock clock
	judge *judge
	realm string
	noKey []byte // verifies nothing, at the cost of a real one
	bans  *source.Bans
}

// identity is who signed a request.
type identity struct {
	key     []byte
	class   cred.Class
	issued  string    // whom the credential was issued to: a static user, or the id of a minted one
	under   *settings // that the key was found in
	expired bool      // a credential whose time is over: it may go on, but not allocate
	distant bool      // it expires later than any should: likewise
	gone    bool      // a hub credential without a session: likewise
}

// session is that of a hub credential, "" of another one.
func (id *identity) session() string { return sessionOf(id.class, id.issued) }

func sessionOf(c cred.Class, issued string) string {
	if c == cred.Hub {
		return issued
	}
	return ""
}

// barred reports whether its owner may go on, but not allocate.
func (id *identity) barred() bool { return id.expired || id.distant || id.gone }

// authenticate finds the key that signed m. Every way to fail costs the same, so that timing tells
// no known name.
func (k *keyring) authenticate(m *wire.Message, user string) (identity, bool) {
	inForce := k.judge.settings.Load()
	key, known := inForce.Users[user]
	if !known {
		key = k.noKey
	}
	if m.SignedBy(key) && known {
		return identity{key: key, class: cred.Static, issued: user, under: inForce}, true
	}
	var id identity
	inForce.Keys.Each(user, func(c cred.Class, password string) bool {
		key := cred.LongTermKey(user, k.realm, password)
		if !m.SignedBy(key) {
			return false
		}
		id = identity{key: key, class: c, under: inForce}
		return true
	})
	if id.key == nil {
		return identity{}, false
	}
	expires, issued, minted := inForce.Keys.Parse(id.class, user)
	if !minted {
		return identity{}, false
	}
	now := k.clock.wall()
	id.issued = issued
	id.expired, id.distant = !now.Before(expires), expires.Sub(now) > cred.MaxLife
	id.gone = id.class == cred.Hub && !k.judge.rooms.present(issued)
	return id, true
}

// wrong says what is wrong with a request of the user's that authenticate has no key for, for the
// log, and what anybody may know of it: not which static users there are.
func (k *keyring) wrong(user string) (why, told string) {
	inForce := k.judge.settings.Load()
	if inForce.Keys.IsMinted(user) {
		const secret = "wrong password, or minted with another secret"
		return secret, secret
	}
	why = "unknown user"
	if _, known := inForce.Users[user]; known {
		why = "wrong password"
	}
	return why, "unknown user, or wrong password"
}

// holds reports whether a request that authenticate has found the key of may still allocate: with
// that key, in that class.
func (k *keyring) holds(r *request) bool {
	if k.judge.settings.Load() == r.under {
		return true
	}
	id, ok := k.authenticate(&r.msg, r.user)
	return ok && id.class == r.class && sameKey(id.key, r.key) && !id.barred()
}

// claimed is whom a credential of that name was issued to, as far as the name tells: nobody has
// proven it. It is for the log, which names no credential.
func (k *keyring) claimed(user string) string {
	inForce := k.judge.settings.Load()
	if _, known := inForce.Users[user]; known {
		return user
	}
	return inForce.Keys.ID(user)
}

// guessAt returns what guesses at the user's key are counted by, besides their source; see
// allowance.guess.
func (k *keyring) guessAt(user string) string {
	if k.judge.settings.Load().Keys.IsMinted(user) {
		return ""
	}
	return user
}

// banned reports whether a ban keeps somebody from allocating: by whom the credential was issued
// to, which the list knows as another name of a user if one was issued without a session. A
// session's is its peer id.
func (k *keyring) banned(class cred.Class, issued string, ip netip.Addr) bool {
	now := k.clock.wall()
	return k.bans.Concern(issued, "", ip, now) || class == cred.Hub && k.bans.ConcernPeer(issued, now)
}

// principal is whom a credential was issued to: what a user's limits are counted by, and its turn
// at the books. A session's or another program's user keeps it while its credentials come and go;
// all sessions of one user are one, as far as the hub knows whose they are, and so are those of a
// token that names no user, from one source.
func (k *keyring) principal(id *identity, user string) string {
	switch {
	case id.class == cred.Static:
		return user
	case id.issued == "":
		return id.class.String() + ":" + user
	case id.class == cred.Hub:
		if who := k.judge.rooms.identityOf(id.issued); who != "" {
			return id.class.String() + ":" + who
		}
	}
	return id.class.String() + ":" + id.issued
}
