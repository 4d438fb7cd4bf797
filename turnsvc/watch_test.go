package turnsvc

import (
	"fmt"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"signalbox/internal/testkit"
	"signalbox/turnsvc/cred"
	"signalbox/turnsvc/internal/wire"
)

// sees returns the next sighting, which must be of that kind.
func (w *Watch) sees(t *testing.T, kind string) Sighting {
	t.Helper()
	select {
	case s := <-w.sightings:
		if s.Kind != kind {
			t.Fatalf("saw %+v, want %s", s, kind)
		}
		return s
	case <-time.After(patience):
		t.Fatalf("nothing was seen of %s", kind)
	}
	return Sighting{}
}

func (w *Watch) seesNothing(t *testing.T) {
	t.Helper()
	select {
	case s := <-w.sightings:
		t.Errorf("saw %+v", s)
	default: // of what a sighting has come of since
	}
}

func TestWatchSeesASessionsCredentials(t *testing.T) {
	each(t, func(o *Options) { o.Limits.PerUser = 1 }, func(t *testing.T, r *rig, transport string) {
		w, ok := r.s.Watch(Watched{Session: "live", Source: netip.MustParseAddr("127.0.0.1")})
		if !ok {
			t.Fatal("no watch")
		}
		defer w.Stop()
		c := r.minted(transport, cred.Hub, "live", time.Hour)
		relayed := c.allocate()
		port := netip.MustParseAddrPort(r.addr[transport]).Port()
		if s := w.sees(t, SawChallenge); s.Transport != transport || s.Port != port {
			t.Errorf("challenged: %+v", s)
		}
		s := w.sees(t, SawRelay)
		if s.Relay != relayed.String() || s.Client != c.conn.LocalAddr().String() || s.Transport != transport {
			t.Errorf("allocated: %+v", s)
		}
		c.refused(403, wire.MethodCreatePermission, withPeer("10.0.0.1:9"))
		if s := w.sees(t, SawRefusal); s.Code != 403 || s.Peer != "10.0.0.1:9" ||
			s.Why != "not a public address: turn.allow_peers" {
			t.Errorf("peer refused: %+v", s)
		}
		second := r.minted(transport, cred.Hub, "live", time.Hour)
		second.refused(486, wire.MethodAllocate, withUDP)
		if s := w.sees(t, SawRefusal); s.Code != 486 || s.Why != "limit reached: turn.limits.per_user" {
			t.Errorf("limit reached: %+v", s)
		}
		c.request(wire.MethodRefresh, withLifetime(0))
		if s := w.sees(t, SawEnd); s.Relay != relayed.String() {
			t.Errorf("ended: %+v", s)
		}
		w.seesNothing(t)
	})
}

// What others do is nobody's business, but that requests come from the watcher's own address.
func TestWatchSeesNothingOfOthers(t *testing.T) {
	r := newRig(t, nil)
	r.s.Opened("other", "", netip.MustParseAddr("127.0.0.1"))
	far := netip.MustParseAddr("198.51.100.1")
	elsewhere, _ := r.s.Watch(Watched{Session: "live", Source: far, Users: []string{"x"}})
	defer elsewhere.Stop()
	here, _ := r.s.Watch(Watched{Session: "here", Source: netip.MustParseAddr("127.0.0.1"), Users: []string{"x", "u"}})
	defer here.Stop()
	r.minted("udp", cred.Hub, "other", time.Hour).allocate()
	r.dial("udp", "u", "p").allocate()
	r.dial("udp", "x", "p").refused(401, wire.MethodAllocate, withUDP)
	here.sees(t, SawChallenge)
	// The name is the watcher's to try; that somebody logs in with it is not theirs to see.
	unknown := here.sees(t, SawRefusal)
	if unknown.Code != 401 || unknown.User != "x" || unknown.Client != "" {
		t.Errorf("refused: %+v", unknown)
	}
	// Nor which static users there are.
	r.dial("udp", "u", "wrong").refused(401, wire.MethodAllocate, withUDP)
	known := here.sees(t, SawRefusal)
	if known.User = unknown.User; known != unknown {
		t.Errorf("a user who is known is refused as %+v, another one as %+v", known, unknown)
	}
	// Who only says the name of a session is not of it.
	r.dial("udp", "4000000000:here", "x").refused(401, wire.MethodAllocate, withUDP)
	r.dial("udp", "x", "p").refused(401, wire.MethodAllocate, withUDP)
	if s := here.sees(t, SawRefusal); s.User != "x" {
		t.Errorf("a session is told of another's %+v", s)
	}
	here.seesNothing(t)
	elsewhere.seesNothing(t)
}

func TestWatchIsBounded(t *testing.T) {
	r := newRig(t, nil)
	w, _ := r.s.Watch(Watched{Session: "live"})
	for range 2 * maxSightings {
		r.s.core.watches.refused(&refusal{code: 486, session: "live"}) // waits for nobody
	}
	if n := len(w.sightings); n != waitingSightings {
		t.Errorf("%d sightings wait", n)
	}
	if _, ok := r.s.Watch(Watched{Session: "live"}); ok {
		t.Error("a session has two watches")
	}
	w.Stop()
	w, ok := r.s.Watch(Watched{Session: "live"})
	if !ok {
		t.Fatal("a watch that was stopped is still there")
	}
	w.Stop()
	if _, ok := w.Next(); ok {
		t.Error("a watch goes on after its end")
	}
	if l := r.s.core.watches; len(l.bySession)+len(l.bySource)+len(l.byLine) != 0 || l.count.Load() != 0 {
		t.Errorf("%+v is left", l)
	}
}

func TestWatchesOfALineLeaveRoomForOthers(t *testing.T) {
	r := newRig(t, nil)
	begin := func(session, at string) bool {
		_, ok := r.s.Watch(Watched{Session: session, Source: netip.MustParseAddr(at)})
		return ok
	}
	for i := range maxWatchesOfALine {
		if !begin(fmt.Sprint(i), fmt.Sprintf("2001:db8:0:%x::1", i)) {
			t.Fatalf("no watch %d", i)
		}
	}
	if begin("another", "2001:db8::2") {
		t.Error("a line has more than its part")
	}
	if !begin("other", "2001:db8:1::1") {
		t.Error("another line has none")
	}
}

// Sixteen addresses can't hold all watches: whoever comes has one, at the cost of who has most.
func TestWatchesMakeRoom(t *testing.T) {
	l := newWatches()
	begin := func(session, at string) *Watch {
		t.Helper()
		w, ok := l.begin(Watched{Session: session, Source: netip.MustParseAddr(at)})
		if !ok {
			t.Fatalf("no watch for %s", at)
		}
		t.Cleanup(w.Stop)
		return w
	}
	small := begin("small", "198.51.100.1") // the oldest of all
	var most []*Watch
	for i := range maxWatchesOfALine {
		most = append(most, begin(fmt.Sprint("most", i), "198.51.100.2"))
	}
	for i := range maxWatches - 1 - maxWatchesOfALine {
		begin(fmt.Sprint(i), fmt.Sprintf("192.0.2.%d", i/(maxWatchesOfALine-1)))
	}
	begin("newcomer", "203.0.113.1")
	if _, ok := most[0].Next(); ok || !most[0].ended || most[1].ended || small.ended {
		t.Error("another watch than the oldest of the fullest line has made room")
	}
	if n := len(l.bySession); n != maxWatches {
		t.Errorf("%d watches", n)
	}
}

// A watch is over by itself.
func TestWatchEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newWatches()
		w, _ := l.begin(Watched{Session: "live"})
		began := time.Now()
		if _, ok := w.Next(); ok || time.Since(began) != watchLife {
			t.Errorf("it ends after %v", time.Since(began))
		}
		w.Stop()
		if l.count.Load() != 0 || len(l.bySession)+len(l.bySource)+len(l.byLine) != 0 {
			t.Errorf("%+v is left", l)
		}
	})
}

// What /check tries out on purpose bans no visitor, and helps nobody who guesses: the name is that
// of a session which watches, and no password is right for it.
func TestATestIsNoGuess(t *testing.T) {
	var log testkit.Log
	r := newRig(t, func(o *Options) { o.Log = log.Logger() })
	user, password := r.keys.Mint(cred.Shared, "check-live", time.Unix(4000000000, 0)) // which would be right
	if user != TestUser("live") {
		t.Fatal(user)
	}
	lines := func(n int, what string) { // a line follows its answer
		t.Helper()
		eventually(t, what, func() bool { return log.Count("turn request refused") == n })
	}

	r.dial("udp", user, password).refused(401, wire.MethodAllocate, withUDP)
	lines(1, "a line without a watch")
	w, _ := r.s.Watch(Watched{Session: "live", Source: netip.MustParseAddr("127.0.0.1"), Users: []string{user}})
	seen := map[string]Sighting{}
	for _, p := range []string{password, "wrong"} {
		for _, method := range []uint16{wire.MethodAllocate, wire.MethodRefresh} {
			m := r.dial("udp", user, p).refused(401, method, withUDP)
			if m.SignedBy(cred.LongTermKey(user, testRealm, p)) {
				t.Error("the answer is signed")
			}
			if len(seen) == 0 {
				w.sees(t, SawChallenge)
			}
			s := w.sees(t, SawRefusal)
			seen[fmt.Sprint(s)] = s
			if s.User != user {
				t.Errorf("saw %+v", s)
			}
		}
	}
	if len(seen) != 1 {
		t.Errorf("a right password is told from a wrong one: %v", seen)
	}
	// Nothing else is hidden: not other names, of which the watcher says that it tries them out.
	for i, name := range []string{"u", TestUser("another"), TestUser("live") + "x", "4000000001:check-live"} {
		r.dial("udp", name, "wrong").refused(401, wire.MethodAllocate, withUDP)
		lines(2+i, "a line for "+name+", and none for the tests before")
		r.advance(2 * linesPeriod)
	}
	w.Stop()
	r.dial("udp", user, "wrong").refused(401, wire.MethodAllocate, withUDP)
	lines(6, "a line after the watch")
}

func TestNoWatchCostsNoAllocation(t *testing.T) {
	l := newWatches()
	src := netip.MustParseAddrPort("198.51.100.1:9")
	refused := refusal{code: 403, why: "banned", session: "live", client: src, peer: src}
	if n := testing.AllocsPerRun(100, func() {
		l.challenged(nil, src)
		l.of("live")
		l.refused(&refused)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
