package turnsvc

import (
	"crypto/hmac"
	"encoding/binary"
	"hash/maphash"
	"net/netip"
	"sync/atomic"
	"time"

	"signalbox/turnsvc/cred"
	"signalbox/turnsvc/internal/wire"
)

// The gate stands between strangers and the books. It challenges with nonces that it need not
// remember, authenticates, and passes on only requests whose key it has verified. Until then an
// answer has no reason phrase and costs no memory.

// request is an authenticated request. It holds copies: the frame it came in is gone by the time
// the books look at it.
type request struct {
	link   link
	client netip.AddrPort
	raw    []byte
	msg    wire.Message // of raw
	user   string
	key    []byte
	class  cred.Class
	// vouched: its key is that of the client's allocation. Such a request makes no new one, since
	// nobody has looked at its credential's time.
	vouched bool
}

// identity is who signed a request.
type identity struct {
	key     []byte
	class   cred.Class
	expired bool // a credential whose time is over: it may go on, but not allocate
	gone    bool // a hub credential without a live session: likewise
}

// gate answers a TURN request that it refuses itself, and hands the others to the books.
func (s *Server) gate(in *inlet, src netip.AddrPort) {
	m := &in.msg
	switch m.Method {
	case wire.MethodAllocate, wire.MethodRefresh, wire.MethodCreatePermission, wire.MethodChannelBind:
	default:
		s.counters.drop(dropMalformed) // RFC 8489 §6.3: an unknown method is discarded
		return
	}

	// RFC 8489 §9.2.4, in its order.
	switch {
	case m.BadIntegrity:
		s.refuse(in, src, nil, 400)
		return
	case m.Integrity == 0:
		s.challenge(in, src, 401)
		return
	}
	user, okUser := m.Get(wire.AttrUsername)
	realm, okRealm := m.Get(wire.AttrRealm)
	nonce, okNonce := m.Get(wire.AttrNonce)
	if !okUser || !okRealm || !okNonce || len(user) == 0 || len(user) > maxUsername {
		s.refuse(in, src, nil, 400)
		return
	}
	a := in.link.allocation(src)
	if a != nil && !a.live(s.clock.now()) {
		a = nil // it is over, and only not yet removed
	}
	own := a != nil && a.user == string(user)
	if !s.nonces.valid(nonce, src.Addr(), s.clock.wall()) {
		if own && m.SignedBy(a.key) {
			// Whoever floods us in its name must not keep a client from the nonce that its call
			// goes on with.
			s.sendChallenge(in, src, 438, s.clock.wall())
			return
		}
		s.challenge(in, src, 438)
		return
	}
	if string(realm) != s.realm {
		s.challenge(in, src, 401)
		return
	}

	var id identity
	if own {
		// The key that made the allocation signs for all that follows: a call outlives its
		// credential.
		if !m.SignedBy(a.key) {
			s.challenge(in, src, 401)
			return
		}
		id = identity{key: a.key, class: a.class}
	} else {
		// Only who receives at src has come here with a nonce, so no flood of spoofed packets uses
		// up another's guesses.
		if !s.inTurn(in, func() bool { return !s.guesses.spent(src.Addr(), s.clock.wall()) }) {
			return
		}
		var ok bool
		if id, ok = s.authenticate(m, string(user)); !ok {
			s.guesses.allow(src.Addr(), s.clock.wall())
			s.challenge(in, src, 401)
			return
		}
		switch {
		case a != nil:
			s.refuse(in, src, &id, taken(m.Method))
			return
		case m.Method == wire.MethodAllocate && (id.expired || id.gone):
			s.challenge(in, src, 401)
			return
		case m.Method == wire.MethodAllocate && s.bans.banned(id.class, string(user), src.Addr(), s.clock.wall()):
			s.refuse(in, src, &id, 403)
			return
		}
	}
	if s.unknownRequired(m) {
		s.refuse(in, src, &id, 420)
		return
	}

	r := &request{
		link: in.link, client: src, raw: append([]byte(nil), m.Raw...), user: string(user), key: id.key,
		class: id.class, vouched: a != nil,
	}
	r.msg.Decode(r.raw) // it did so before
	if !s.books.submit(r) {
		s.counters.drop(dropBusy) // the client asks again
	}
}

// taken is the code for a request of another user on an allocation's 5-tuple.
func taken(method uint16) int {
	if method == wire.MethodAllocate {
		return 437 // RFC 8656 §7.2 step 2
	}
	return 441 // RFC 8656 §5
}

// maxUsername is that of RFC 8489 §14.3, in bytes.
const maxUsername = 508

// authenticate finds the key that signed m. Every way to fail costs the same, so that timing tells
// no known name.
func (s *Server) authenticate(m *wire.Message, user string) (identity, bool) {
	inForce := s.live.Load()
	key, known := inForce.Users[user]
	if !known {
		key = s.noKey
	}
	if m.SignedBy(key) && known {
		return identity{key: key, class: cred.Static}, true
	}
	expires, session, minted := cred.Parse(user)
	var id identity
	inForce.Keys.Each(user, func(c cred.Class, password string) bool {
		key := cred.LongTermKey(user, s.realm, password)
		if !m.SignedBy(key) {
			return false
		}
		id = identity{key: key, class: c}
		return true
	})
	if id.key == nil || !minted {
		return identity{}, false
	}
	id.expired = !s.clock.wall().Before(expires)
	id.gone = id.class == cred.Hub && !s.rooms.open(session)
	return id, true
}

// unknownRequired reports whether m has a comprehension-required attribute that no TURN request of
// ours knows.
func (s *Server) unknownRequired(m *wire.Message) bool {
	for _, at := range m.Attributes() {
		if t := at.Type; !wire.Optional(t) && !requestKnows(t) {
			return true
		}
	}
	return false
}

func requestKnows(typ uint16) bool {
	switch typ {
	case wire.AttrUsername, wire.AttrRealm, wire.AttrNonce, wire.AttrIntegritySHA256, wire.AttrLifetime, wire.AttrRequestedTransport,
		wire.AttrRequestedFamily,
		wire.AttrEvenPort, wire.AttrReservationToken, wire.AttrXORPeerAddress, wire.AttrChannelNumber, wire.AttrData:
		return true
	case wire.AttrDontFragment:
		return canKeepWhole // RFC 8656 §7.2 step 4
	}
	return false
}

// challenge answers 401 or 438 with REALM and NONCE. It is what a stranger can make us send, so it
// is small and limited per source; what is over the limit gets silence, or waits.
func (s *Server) challenge(in *inlet, src netip.AddrPort, code int) {
	if s.mayAnswer(in, src) {
		s.sendChallenge(in, src, code, s.clock.wall())
	}
}

// mayAnswer counts an answer to a stranger, and tells whether there may be one.
func (s *Server) mayAnswer(in *inlet, src netip.AddrPort) bool {
	return s.inTurn(in, func() bool { return s.strangers.allow(src.Addr(), s.clock.wall()) })
}

// inTurn tells whether something may be done for a source that is limited. Over a stream nobody
// asks again, and whoever is there has proven its address: so a stream waits for its turn, for a
// time. What isn't done then counts as dropped.
func (s *Server) inTurn(in *inlet, may func() bool) bool {
	if may() {
		return true
	}
	if l, ok := in.link.(*streamLink); ok && l.stream() {
		for until := time.Now().Add(s.streams.patience); time.Now().Before(until) && l.sleep(strangersPause); {
			if may() {
				return true
			}
		}
	}
	s.counters.drop(dropRateLimited)
	return false
}

// strangersPause is how often it is tried.
const strangersPause = 100 * time.Millisecond

func (s *Server) sendChallenge(in *inlet, src netip.AddrPort, code int, now time.Time) {
	s.counters.refused(code)
	in.link.send(s.challengeAnswer(in.scratch[:], &in.msg, src, code, now), src)
}

func (s *Server) challengeAnswer(dst []byte, m *wire.Message, src netip.AddrPort, code int, now time.Time) []byte {
	b := wire.Begin(dst, m.Method, wire.ClassError, m.TransactionID())
	b.ErrorCode(code, "")
	b.Attr(wire.AttrRealm, []byte(s.realm))
	var nonce [nonceSize]byte
	b.Attr(wire.AttrNonce, s.nonces.append(nonce[:0], src.Addr(), now))
	return b.End(m.Fingerprint)
}

// refuse answers with an error code, signed if it is known whose key to sign with. To strangers,
// whose id is nil, it is limited per source.
func (s *Server) refuse(in *inlet, src netip.AddrPort, id *identity, code int) {
	var key []byte
	switch {
	case id != nil:
		key = id.key
		s.counters.refusedTo(id.class, code)
	case s.mayAnswer(in, src):
		s.counters.refused(code)
	default:
		return
	}
	in.link.send(errorAnswer(in.scratch[:], &in.msg, key, code), src)
}

// reasons are the phrases of RFC 8489 §14.8 and RFC 8656 §19.
var reasons = map[int]string{
	400: "Bad Request", 401: "Unauthorized", 403: "Forbidden", 420: "Unknown Attribute", 437: "Allocation Mismatch",
	438: "Stale Nonce",
	440: "Address Family not Supported", 441: "Wrong Credentials", 442: "Unsupported Transport Protocol",
	443: "Peer Address Family Mismatch",
	486: "Allocation Quota Reached", 508: "Insufficient Capacity",
}

// errorAnswer builds the error answer to m in dst. Without a key there is no reason phrase: nobody
// pays for words to strangers.
func errorAnswer(dst []byte, m *wire.Message, key []byte, code int) []byte {
	b := wire.Begin(dst, m.Method, wire.ClassError, m.TransactionID())
	reason := ""
	if key != nil {
		reason = reasons[code]
	}
	b.ErrorCode(code, reason)
	if code == 420 {
		var list []byte
		for _, at := range m.Attributes() {
			if t := at.Type; !wire.Optional(t) && !requestKnows(t) && len(list) < 2*8 {
				list = binary.BigEndian.AppendUint16(list, t)
			}
		}
		b.Attr(wire.AttrUnknownAttributes, list)
	}
	if key != nil {
		b.Sign(key)
	}
	return b.End(m.Fingerprint)
}

// strangers limits what is unauthenticated, answers or guesses at a key, per source. It is a fixed
// table of counters by a hash of the source, so a flood from spoofed sources costs no memory; two
// sources that meet in a slot share its limit.
type strangers struct {
	seed  maphash.Seed
	limit atomic.Uint32 // a second; 0: none
	slots [1 << 14]atomic.Uint64
}

func newStrangers(limit int) *strangers {
	t := &strangers{seed: maphash.MakeSeed()}
	t.limit.Store(uint32(max(limit, 0)))
	return t
}

func (t *strangers) slot(ip netip.Addr) *atomic.Uint64 {
	return &t.slots[maphash.Comparable(t.seed, sourceOf(ip))%uint64(len(t.slots))]
}

// spent reports whether the source has had all that it may have in this second.
func (t *strangers) spent(ip netip.Addr, now time.Time) bool {
	limit, had := uint64(t.limit.Load()), t.slot(ip).Load()
	return limit > 0 && had>>32 == uint64(uint32(now.Unix())) && had&0xFFFFFFFF >= limit
}

// allow counts one for the source and reports whether it may have it.
func (t *strangers) allow(ip netip.Addr, now time.Time) bool {
	limit := uint64(t.limit.Load())
	if limit == 0 {
		return true
	}
	slot := t.slot(ip)
	second := uint64(uint32(now.Unix()))
	for {
		old := slot.Load()
		count := uint64(1)
		if old>>32 == second {
			if count = old&0xFFFFFFFF + 1; count > limit {
				return false
			}
		}
		if slot.CompareAndSwap(old, second<<32|count) {
			return true
		}
	}
}

// sameKey compares keys in constant time.
func sameKey(a, b []byte) bool { return hmac.Equal(a, b) }
