package turnsvc

import (
	"net/netip"
	"sync/atomic"

	"signalbox/turnsvc/internal/wire"
)

// gate stands between strangers and the books. It challenges with nonces that it need not remember,
// authenticates, and passes on only requests whose key it has verified. Until then an answer has no
// reason phrase and costs no memory.
type gate struct {
	*doorman
	guesses *allowance // requests with a good nonce and a wrong signature
	keys    *keyring
	books   *books

	distantTold atomic.Int64 // see tellDistant; Unix time
}

// receive answers a TURN request that it refuses itself, and hands the others to the books.
func (g *gate) receive(in *inlet, src netip.AddrPort) {
	m := &in.msg
	switch m.Method {
	case wire.MethodAllocate, wire.MethodRefresh, wire.MethodCreatePermission, wire.MethodChannelBind:
	default:
		g.counters.drop(dropMalformed) // RFC 8489 §6.3: an unknown method is discarded
		return
	}
	user, ok := g.challenged(in, src)
	if !ok {
		return
	}
	a := in.link.allocation(src)
	if a != nil && !a.running(g.clock.now()) {
		a = nil // it is over, and only not yet removed
	}
	own := a != nil && a.user == user
	nonce, _ := m.Get(wire.AttrNonce)
	if !g.challenges.nonces.valid(nonce, src.Addr(), g.clock.wall()) {
		if own && m.SignedBy(a.key) {
			// Not limited: a flood in a client's name must not keep that client from the nonce that
			// its call needs to go on.
			g.sendChallenge(in, src, 438)
			return
		}
		g.challenge(in, src, stranger, 438)
		return
	}
	in.link.answered()
	if realm, _ := m.Get(wire.AttrRealm); string(realm) != g.challenges.realm {
		g.challenge(in, src, answered, 401)
		return
	}
	var id identity
	if own {
		// The key that made the allocation signs for all that follows: a call outlives its
		// credential.
		if !m.SignedBy(a.key) {
			g.denied(in, src, refusal{why: "wrong password", user: a.issued})
			return
		}
		id = identity{key: a.key, class: a.class, issued: a.issued}
	} else if id, ok = g.admit(in, src, user, a); !ok {
		return
	}
	if unknownRequired(m) {
		g.refuseKnown(in, src, &id, refusal{code: 420, user: id.issued})
		return
	}
	r := &request{
		link: in.link, client: src, raw: append([]byte(nil), m.Raw...),
		user: user, issued: id.issued, key: id.key, class: id.class, under: id.under, vouched: a != nil,
	}
	if own {
		r.principal = a.principal
	} else {
		r.principal = g.keys.principal(&id, user)
	}
	r.msg.Decode(r.raw) // it did so before
	if !g.books.submit(r) {
		g.counters.drop(dropBusy) // the client asks again
	}
}

// challenged does the first steps of RFC 8489 §9.2.4, in its order. It returns the user that a
// request names; ok is false if the request is unsigned or incomplete, and has been answered.
func (g *gate) challenged(in *inlet, src netip.AddrPort) (user string, ok bool) {
	m := &in.msg
	switch {
	case m.BadIntegrity:
		g.refuse(in, src, 400)
		return "", false
	case m.Integrity == 0:
		g.challenge(in, src, stranger, 401)
		return "", false
	}
	name, okUser := m.Get(wire.AttrUsername)
	_, okRealm := m.Get(wire.AttrRealm)
	_, okNonce := m.Get(wire.AttrNonce)
	if !okUser || !okRealm || !okNonce || len(name) == 0 || len(name) > maxUsername {
		g.refuse(in, src, 400)
		return "", false
	}
	return string(name), true
}

// admit authenticates a request that its client's allocation, a, does not vouch for; a is nil if
// there is none. ok is false if admit has answered the request.
func (g *gate) admit(in *inlet, src netip.AddrPort, user string, a *allocation) (id identity, ok bool) {
	m := &in.msg
	// The nonce shows that the sender receives at src, so no flood of spoofed packets uses up
	// another's guesses.
	var counted tally
	mayGuess := func() (ok bool) {
		counted, ok = g.guesses.guess(src, g.keys.guessAt(user), g.clock.wall())
		return ok
	}
	if !g.inTurn(in, mayGuess) {
		return id, false
	}
	test := g.watches.tests(user)
	if !test { // otherwise no password is right
		id, ok = g.keys.authenticate(m, user)
	}
	if test || !ok {
		why, told := g.keys.wrong(user)
		g.denied(in, src, refusal{why: why, told: told, user: g.keys.claimed(user), login: user, test: test})
		return id, false
	}
	counted.giveBack()
	switch {
	case a != nil:
		g.refuseKnown(in, src, &id, refusal{code: taken(m.Method), user: id.issued})
		return id, false
	case m.Method == wire.MethodAllocate && id.barred():
		if id.distant {
			g.tellDistant(&id, user)
		}
		why := "the credential has expired"
		if id.gone {
			why = "the credential's session is over"
		}
		g.denied(in, src, refusal{why: why, user: id.issued, session: id.session(), login: user})
		return id, false
	case m.Method == wire.MethodAllocate && g.keys.banned(id.class, id.issued, src.Addr()):
		g.refuseKnown(in, src, &id, refusal{code: 403, why: "banned", user: id.issued})
		return id, false
	}
	return id, true
}

// tellDistant logs, at most once a minute, that a credential expires too late: the program that
// made it is at fault, not its client.
func (g *gate) tellDistant(id *identity, user string) {
	now := g.clock.wall().Unix()
	if last := g.distantTold.Load(); now-last < 60 || !g.distantTold.CompareAndSwap(last, now) {
		return
	}
	expires, _, _ := id.under.Keys.Parse(id.class, user)
	g.log.Warn("refused a TURN credential that expires more than a year ahead: does its program write milliseconds "+
		"instead of seconds?", "expires", expires.Unix())
}

// denied answers a login that is refused, and notes it.
func (g *gate) denied(in *inlet, src netip.AddrPort, r refusal) {
	g.challenge(in, src, answered, 401)
	r.link, r.code, r.client = in.link, 401, src
	g.refusals.note(r)
}

// refuseKnown answers somebody whose key is known with an error code, signed with it.
func (g *gate) refuseKnown(in *inlet, src netip.AddrPort, id *identity, r refusal) {
	g.counters.refusedTo(id.class, r.code)
	in.link.send(errorAnswer(in.scratch[:], &in.msg, id.key, r.code), src)
	r.link, r.client, r.session = in.link, src, id.session()
	g.refusals.note(r)
}
