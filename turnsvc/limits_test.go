package turnsvc

import (
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"signalbox/internal/source"
	"signalbox/turnsvc/cred"
	"signalbox/turnsvc/internal/wire"
)

// feed hands n frames of one client to the server, the clock going on by step before each, and
// returns what the client's allocations have carried since, in bytes.
func (r *rig) feed(c *client, frame []byte, n int, step time.Duration) (carried uint64) {
	r.t.Helper()
	src := wire.AddrPort(c.conn.LocalAddr())
	var link link
	var a *allocation
	for _, candidate := range r.s.books.list() {
		if candidate.client == src {
			a, link = candidate, candidate.link
		}
	}
	before := a.carried().FromClientBytes
	in, buf := &inlet{link: link}, new(wire.Buffer)
	for range n {
		r.advance(step)
		r.s.front.receive(in, buf.Packet(copy(buf[wire.Headroom:], frame)), src)
	}
	return a.carried().FromClientBytes - before
}

func TestAbuse31BandwidthLimits(t *testing.T) {
	const size, seconds = 1000, 4
	offer := func(r *rig, c *client, rate int) uint64 {
		n := rate * seconds / size
		return r.feed(c, c.channelFrame(0x4000, strings.Repeat("x", size)), n, seconds*time.Second/time.Duration(n))
	}
	// within compares with what the rate allows in the time that has passed on the server's clock
	// since then: real time passes, too.
	within := func(t *testing.T, what string, r *rig, since int64, got uint64, rate float64) {
		t.Helper()
		passed := time.Duration(r.s.core.clock.now() - since).Seconds()
		if want := rate * passed; float64(got) < 0.9*rate*seconds || float64(got) > 1.1*want+paceBurst {
			t.Errorf("%s: %d bytes in %.1f s, want %.0f", what, got, passed, want)
		}
	}
	for name, change := range map[string]func(*Limits){
		"of an allocation": func(l *Limits) { l.Bandwidth = 500_000 },
		"of a user":        func(l *Limits) { l.UserBandwidth = 500_000 },
		"of all":           func(l *Limits) { l.TotalBandwidth = 500_000 },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, func(o *Options) { change(&o.Limits) })
			at := r.peer().LocalAddr().String()
			c := r.dial("udp", "u", "p")
			c.allocate(withLifetime(3000))
			c.ok(wire.MethodChannelBind, withChannel(0x4000), withPeer(at))
			since := r.s.core.clock.now()
			within(t, "twice the limit", r, since, offer(r, c, 1_000_000), 500_000)
			since = r.s.core.clock.now()
			within(t, "half the limit", r, since, offer(r, c, 250_000), 250_000)

			// The way back has a bucket of its own.
			a := r.s.books.list()[0]
			before, buf := a.toClient.bytes.Load(), new(wire.Buffer)
			since = r.s.core.clock.now()
			for range 1_000_000 * seconds / size {
				r.advance(time.Millisecond)
				a.fromPeer(from(buf.Packet(size), netip.MustParseAddrPort(at)), r.s.core.clock.now())
			}
			within(t, "back, at twice the limit", r, since, a.toClient.bytes.Load()-before, 500_000)
			if r.s.Snapshot().Drops["bandwidth"] == 0 {
				t.Error("drops are not counted")
			}
		})
	}

	// One user's allocations share its limit, and another's is its own.
	r := newRig(t, func(o *Options) { o.Limits.UserBandwidth = 500_000 })
	at := r.peer().LocalAddr().String()
	var total uint64
	clients := []*client{r.minted("udp", cred.Shared, "one", time.Hour),
		r.minted("udp", cred.Shared, "one", 2*time.Hour), r.minted("udp", cred.Shared, "two", time.Hour)}
	for _, c := range clients {
		c.allocate(withLifetime(3000))
		c.ok(wire.MethodChannelBind, withChannel(0x4000), withPeer(at))
	}
	since := r.s.core.clock.now()
	n := 2 * 1_000_000 * seconds / size
	for i := range n { // both of the first user at once, by turns
		c := clients[i%2]
		total += r.feed(c, c.channelFrame(0x4000, strings.Repeat("x", size)), 1, seconds*time.Second/time.Duration(n))
	}
	within(t, "two allocations of one user", r, since, total, 500_000)
	since = r.s.core.clock.now()
	within(t, "another user", r, since, offer(r, clients[2], 1_000_000), 500_000)
}

// A new allocation is no new burst: what a user has used up outlasts its allocations.
func TestUserBandwidthOutlastsAllocations(t *testing.T) {
	const rate = 20_000
	r := newRig(t, func(o *Options) { o.Limits.UserBandwidth = rate })
	at := r.peer().LocalAddr().String()
	since := r.s.core.clock.now()
	var total uint64
	for range 20 {
		c := r.dial("udp", "u", "p")
		c.allocate()
		c.ok(wire.MethodChannelBind, withChannel(0x4000), withPeer(at))
		total += r.feed(c, c.channelFrame(0x4000, strings.Repeat("x", 1000)), 200, 0)
		c.ok(wire.MethodRefresh, withLifetime(0))
	}
	passed := time.Duration(r.s.core.clock.now() - since).Seconds()
	if max := rate*passed + paceBurst; float64(total) > 1.1*max {
		t.Errorf("%d bytes in %.1f s over 20 allocations, want at most %.0f", total, passed, max)
	}
	r.advance(time.Minute)
	r.dial("udp", "v", "q").allocate()
	eventually(t, "idle buckets are forgotten",
		func() bool { return r.inBooks(func() int { return len(r.s.books.quotas.userUp) }) == 1 })
}

func TestMonthlyBudget(t *testing.T) {
	var now time.Time
	var month string
	r := newRig(t, func(o *Options) {
		midMonth(o)
		now = o.Now()
		month = now.Format("2006-01")
		o.Limits.TotalPerMonth = 1_000_000
		o.Transfers = []Transfer{{Month: month, Bytes: 900_000}}
	})
	at := r.peer().LocalAddr().String()
	c := r.dial("udp", "u", "p")
	c.allocate()
	c.ok(wire.MethodChannelBind, withChannel(0x4000), withPeer(at))
	r.feed(c, c.channelFrame(0x4000, strings.Repeat("x", 1000)), 50, 0)
	// 1000 + 28 bytes each
	eventually(t, "what was carried is added up", func() bool { return r.s.Transfer().Bytes == 951_400 })
	r.dial("udp", "v", "q").allocate()
	r.feed(c, c.channelFrame(0x4000, strings.Repeat("x", 1000)), 50, 0)
	eventually(t, "the budget is spent", func() bool { return r.s.Transfer().Bytes == 1_002_800 })
	r.dial("udp", "v", "q").refused(508, wire.MethodAllocate, withUDP)
	c.ok(wire.MethodRefresh) // a running call is not cut off
	if carried := r.feed(c, c.channelFrame(0x4000, "x"), 1, 0); carried != 1 {
		t.Error("a running call is cut off")
	}

	// Another month, another budget; another process goes on with the same.
	b := newBudget([]Transfer{{Month: "2001-01", Bytes: 5000}}, now)
	if b.spent(1000) || b.months[0].Month != month {
		t.Errorf("an old month counts: %+v", b.months)
	}
	if b = newBudget([]Transfer{{Month: month, Bytes: 5000}}, now); !b.spent(1000) {
		t.Error("what an earlier process carried does not count")
	}
}

// A clock that is set ahead or back, in a process or between two, takes no month's sum away, and no
// month begins twice.
func TestMonthlyBudgetOutlastsTheClock(t *testing.T) {
	t.Parallel()
	at := func(s string) time.Time {
		now, err := time.Parse(time.DateTime, s)
		if err != nil {
			t.Fatal(err)
		}
		return now
	}
	type step struct {
		now   string
		bytes int64 // sent then
		want  int64 // in this month, with these
	}
	for name, steps := range map[string][]step{
		"ahead and back": {
			{"2026-11-28 12:00:00", 500, 500}, {"2027-03-01 00:00:00", 10, 10}, {"2026-11-28 12:00:02", 1, 501},
		},
		"back over the month's end": {
			{"2026-11-30 23:59:59", 500, 500}, {"2026-12-01 00:00:01", 3, 3}, {"2026-11-30 23:59:59", 1, 501},
			{"2026-12-01 00:00:01", 4, 7},
		},
		"wrong at boot": {
			{"1970-01-01 00:00:09", 2, 2}, {"2026-11-28 12:00:00", 500, 500}, {"1970-01-01 00:00:09", 2, 4},
			{"2026-11-28 12:00:00", 1, 501}, {"2026-12-01 00:00:00", 0, 0},
		},
		"wrong in several ways": {
			{"2026-11-28 12:00:00", 500, 500}, {"1970-01-01 00:00:00", 0, 0}, {"2036-02-07 06:28:16", 0, 0},
			{"2020-01-01 00:00:00", 0, 0}, {"2026-11-28 12:00:00", 0, 500},
		},
	} {
		for _, restarts := range []bool{false, true} {
			b := newBudget(nil, at(steps[0].now))
			for i, s := range steps {
				if restarts {
					b = newBudget(b.sums(), at(s.now))
				}
				b.turnMonth(at(s.now))
				b.months[0].Bytes += s.bytes
				if got := b.sums()[0]; got != (Transfer{Month: s.now[:7], Bytes: s.want}) {
					t.Errorf("%s, restarts %v: step %d: %+v, want %d", name, restarts, i, got, s.want)
				}
			}
		}
	}
	// Of ever other months, few are kept.
	b, now := newBudget(nil, at("2026-11-28 12:00:00")), at("2026-11-28 12:00:00")
	for range 20 {
		now = now.AddDate(0, 1, 0)
		b.turnMonth(now)
	}
	if n := len(b.sums()); n != maxMonths {
		t.Errorf("%d months are kept", n)
	}
}

// The month's budget counts what the network does: headers, too, so that empty packets are not
// free, in both directions and in every framing; what never leaves the box does not count.
func TestAttackF10TheMonthCountsTheWire(t *testing.T) {
	t.Parallel()
	const ip4, ip6, udp, tcp, channel, data = 20, 40, 8, 32, 4, 36
	for _, tc := range []struct {
		transport                  string
		toPeer, indication, framed int64 // what a packet of 5 bytes takes besides them
	}{
		{"udp", ip4 + udp, ip4 + udp + data + 3, ip4 + udp + channel},
		{"tcp", ip4 + udp, ip4 + tcp + data + 3, ip4 + tcp + channel + 3},
		{"udp6", ip4 + udp, ip6 + udp + data + 3, ip6 + udp + channel},
	} {
		t.Run(tc.transport, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, midMonth)
			if r.addr[tc.transport] == "" {
				t.Skip("there is no IPv6 here")
			}
			c := r.dial(tc.transport, "u", "p")
			relayed := c.allocate()
			peer := r.peer()
			sum := int64(0)
			sent := func(what string, n int64) {
				t.Helper()
				sum += n
				eventually(t, what, func() bool { return r.s.Transfer().Bytes >= sum })
				if got := r.s.Transfer().Bytes; got != sum {
					t.Errorf("%s: %d bytes in all, want %d", what, got, sum)
				}
			}
			fromPeer := func(text string) {
				t.Helper()
				if _, err := peer.WriteToUDPAddrPort([]byte(text), relayed); err != nil {
					t.Fatal(err)
				}
			}
			at := peer.LocalAddr().String()
			c.ok(wire.MethodCreatePermission, withPeer(at))
			c.write(c.sendFrame(at, ""))
			sent("an empty Send", tc.toPeer)
			fromPeer("12345")
			sent("a Data indication", 5+tc.indication)
			c.received()
			c.ok(wire.MethodChannelBind, withChannel(0x4000), withPeer(at))
			c.write(c.channelFrame(0x4000, ""))
			sent("empty ChannelData", tc.toPeer)
			fromPeer("12345")
			sent("ChannelData to the client", 5+tc.framed)
			c.received()

			other := r.dial("udp", "v", "q")
			other.allocate()
			other.ok(wire.MethodChannelBind, withChannel(0x4000), withPeer(c.relayed.String()))
			c.ok(wire.MethodChannelBind, withChannel(0x4001), withPeer(other.relayed.String()))
			c.write(c.channelFrame(0x4001, "12345"))
			sent("from relay to relay", 5+ip4+udp+channel)
			if got := r.s.Summary().Relayed; got.FromClientBytes != 5 || got.FromClientPackets != 3 ||
				got.ToClientBytes != 15 || got.ToClientPackets != 3 {
				t.Errorf("relayed: %+v", got)
			}
			c.ok(wire.MethodRefresh, withLifetime(0))
			sent("after the end", 0)
		})
	}
}

// Every way out gives the quota back.
func TestQuotaComesBack(t *testing.T) {
	each(t, func(o *Options) { o.Limits.PerUser, o.Limits.PerSource, o.Limits.Allocations = 1, 1, 1 },
		func(t *testing.T, r *rig, transport string) {
			ends := map[string]func(c *client){
				"refresh 0": func(c *client) { c.ok(wire.MethodRefresh, withLifetime(0)) },
				"expiry":    func(c *client) { r.advance(time.Hour) },
				"kick":      func(c *client) { r.s.Kick(r.s.Snapshot().Allocations[0].ID) },
				"kick of a user": func(c *client) {
					if r.s.KickUser("nobody") != 0 || r.s.KickUser("u") != 1 {
						t.Error("kicked somebody else")
					}
				},
				"kick of a source": func(c *client) { r.s.KickSource(netip.MustParsePrefix("127.0.0.0/8")) },
			}
			if transport == "tcp" {
				ends["stream end"] = func(c *client) { c.conn.Close() }
			}
			for name, end := range ends {
				c := r.dial(transport, "u", "p")
				c.allocate()
				other := r.dial(transport, "u", "p")
				if m := other.request(wire.MethodAllocate, withUDP); m.code() != 508 && m.code() != 486 {
					t.Errorf("%s: over the quota: code %d", name, m.code())
				}
				end(c)
				eventually(t, name+" gives the quota back", func() bool { return r.s.Allocations() == 0 })
			}
		})
}

func TestBan(t *testing.T) {
	for _, transport := range transports {
		t.Run(transport, func(t *testing.T) {
			t.Parallel()
			bans := source.NewBans()
			r := newRig(t, func(o *Options) { o.Bans = bans })
			until := r.s.core.clock.wall().Add(time.Hour)
			ban := func(b source.Ban) {
				t.Helper()
				b.Until = until
				if err := bans.Add(r.s.core.clock.wall(), b); err != nil {
					t.Fatal(err)
				}
			}
			c := r.dial(transport, "u", "p")
			c.allocate()
			ban(source.Ban{User: "u"})
			c.ok(wire.MethodRefresh) // a ban is for what comes; kick ends what is
			if m := r.dial(transport, "u", "p").refused(403, wire.MethodAllocate, withUDP); m.Integrity == 0 {
				t.Error("the refusal is not signed")
			}
			r.dial(transport, "v", "q").allocate()
			ban(source.Ban{User: "someone"})
			r.minted(transport, cred.Shared, "someone", time.Hour).refused(403, wire.MethodAllocate, withUDP)
			r.minted(transport, cred.Shared, "else", time.Hour).allocate()
			ban(source.Ban{Source: netip.MustParsePrefix("127.0.0.0/8")})
			r.dial(transport, "v", "q").refused(403, wire.MethodAllocate, withUDP)
			r.advance(61 * time.Minute)
			r.dial(transport, "u", "p").allocate()
			r.dial(transport, "v", "q").allocate()
		})
	}
}

// What an earlier process had sent, and is known only later, is added to the month that it was sent
// in, and counts against the budget.
func TestAttackF10EarlierTransfersComeLate(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)
	b := newBudget(nil, now)
	b.months[0].Bytes = 5
	b.addEarlier([]Transfer{{Month: "2026-10", Bytes: 3}, {Month: "2026-11", Bytes: 500}})
	want := []Transfer{{Month: "2026-11", Bytes: 505}, {Month: "2026-10", Bytes: 3}}
	if got := b.sums(); !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
	if !b.spent(505) || b.spent(506) {
		t.Error("the budget takes no notice")
	}
	b.addEarlier([]Transfer{{Month: "1970-01"}, {Month: "1970-02"}, {Month: "1970-03"}})
	if got := b.sums(); len(got) != maxMonths || got[0] != want[0] {
		t.Errorf("%v", got)
	}
}
