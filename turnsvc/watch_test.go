package turnsvc

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

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
