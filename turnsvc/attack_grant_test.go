package turnsvc

import (
	"maps"
	"net/netip"
	"testing"
	"time"

	"signalbox/internal/source"
	"signalbox/turnsvc/cred"
	"signalbox/turnsvc/internal/socket"
	"signalbox/turnsvc/internal/wire"
)

// TestAttackF.. are attacks that found a fault, by the number that this had.

// hold keeps the books busy until release is called.
func (r *rig) hold() (release func()) {
	held, done := make(chan struct{}), make(chan struct{})
	over := make(chan struct{})
	go func() {
		defer close(over)
		r.inBooks(func() int { close(held); <-done; return 0 })
	}()
	<-held
	return func() { close(done); <-over }
}

// A right that is taken away while a request waits for the books, or while they are about to grant
// it, leaves no relay behind.
func TestAttackF6RightsEndBetweenGateAndBooks(t *testing.T) {
	for name, take := range map[string]struct {
		class cred.Class
		code  int
		away  func(r *rig, live Live, bans *source.Bans)
	}{
		"a user is removed": {cred.Static, 401, func(r *rig, l Live, _ *source.Bans) {
			l.Users = maps.Clone(l.Users)
			delete(l.Users, "u")
			r.apply(l)
		}},
		"a password changes": {cred.Static, 401, func(r *rig, l Live, _ *source.Bans) {
			l.Users = maps.Clone(l.Users)
			l.Users["u"] = cred.LongTermKey("u", testRealm, "another")
			r.apply(l)
		}},
		"a secret is removed": {cred.Shared, 401, func(r *rig, l Live, _ *source.Bans) {
			l.Keys = cred.NewKeys("another")
			r.apply(l)
		}},
		"a user is banned": {cred.Static, 403, func(r *rig, _ Live, bans *source.Bans) {
			r.ban(bans, source.Ban{User: "u"})
			r.s.KickUser("u")
		}},
		"whom a credential is for is banned": {cred.Shared, 403, func(r *rig, _ Live, bans *source.Bans) {
			r.ban(bans, source.Ban{User: "someone"})
			r.s.KickUser("someone")
		}},
		"a source is banned": {cred.Static, 403, func(r *rig, _ Live, bans *source.Bans) {
			r.ban(bans, source.Ban{Source: netip.MustParsePrefix("127.0.0.0/8")})
			r.s.KickSource(netip.MustParsePrefix("127.0.0.0/8"))
		}},
		"a session ends":    {cred.Hub, 401, func(r *rig, _ Live, _ *source.Bans) { r.s.Ended("someone", false) }},
		"the server drains": {cred.Static, 508, func(r *rig, _ Live, _ *source.Bans) { r.s.Drain() }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, moment := range []string{"in the queue", "in the books"} {
				t.Run(moment, func(t *testing.T) {
					t.Parallel()
					bans := source.NewBans()
					var live Live
					r := newRig(t, func(o *Options) { o.Bans = bans; live = o.Live })
					r.s.Opened("someone", "", netip.MustParseAddr("127.0.0.1"))
					c := r.dial("udp", "u", "p")
					if take.class != cred.Static {
						c = r.minted("udp", take.class, "someone", time.Hour)
					}
					c.refused(400, wire.MethodAllocate) // learns a nonce
					frame := c.build(wire.MethodAllocate, withUDP, attr(wire.AttrEvenPort, 0x80))
					if moment == "in the queue" {
						release := r.hold()
						c.write(frame)
						eventually(t, "the gate has let it in", func() bool { return r.s.books.waitingFor(c) > 0 })
						take.away(r, live, bans)
						release()
					} else {
						r.inBooks(func() int {
							pool := socket.NewPool[allocation](r.s.books.minPort, r.s.books.maxPort)
							open := pool.OpenPort
							pool.OpenPort = func(at netip.AddrPort) (*socket.Relay, error) {
								pool.OpenPort = open
								take.away(r, live, bans)
								return open(at)
							}
							r.s.books.pools[0] = pool
							return 0
						})
						c.write(frame)
					}
					if m := c.answer(); m.code() != take.code {
						t.Errorf("code %d, want %d", m.code(), take.code)
					}
					if n := r.held(); n != 0 || r.s.Allocations() != 0 {
						t.Errorf("%d allocations; the books hold %d things", r.s.Allocations(), n)
					}
					if n := r.inBooks(func() int {
						if p := r.s.books.pools[0]; p != nil {
							return p.Taken()
						}
						return 0
					}); n != 0 {
						t.Errorf("%d ports are taken", n)
					}
				})
			}
		})
	}
}

func (r *rig) apply(l Live) {
	if err := r.s.Apply(l); err != nil {
		r.t.Error(err)
	}
}

func (r *rig) ban(bans *source.Bans, b source.Ban) {
	now := r.s.core.clock.wall()
	b.Until = now.Add(time.Hour)
	if err := bans.Add(now, b); err != nil {
		r.t.Error(err)
	}
}

// waitingFor counts a client's requests in the queue.
func (b *books) waitingFor(c *client) int {
	return int(b.waiting.Of(wire.AddrPort(c.conn.LocalAddr()).Addr()).Load())
}
