package turnsvc

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"time"

	"signalbox/internal/testkit"
	"signalbox/turnsvc/cred"
	"signalbox/turnsvc/internal/wire"
)

// take returns what has been used, in a fixed order.
func (r *rig) take() []Usage {
	list := r.s.TakeUsage()
	slices.SortFunc(list, func(a, b Usage) int {
		return cmp.Or(cmp.Compare(a.Class, b.Class), cmp.Compare(a.User, b.User))
	})
	return list
}

func countUsage(o *Options) { o.CountUsage = true }

// What the process itself has minted counts for nobody and ends without a line; a credential of
// another class for the same id, which another program can mint, counts.
func TestOwnAllocationsAreNobodys(t *testing.T) {
	t.Parallel()
	var log testkit.Log
	set := func(o *Options) {
		o.CountUsage, o.Log = true, log.Logger()
		o.Own = func(id string) bool { return id == "own" }
	}
	each(t, set, func(t *testing.T, r *rig, transport string) {
		for _, class := range []cred.Class{cred.ICE, cred.Shared} {
			c := r.minted(transport, class, "own", time.Hour)
			c.allocate()
			r.advance(shortLife)
			c.ok(wire.MethodRefresh, withLifetime(0))
		}
		if got := r.take(); len(got) != 1 || got[0].Class != "shared" || got[0].Allocations != 1 {
			t.Errorf("%+v", got)
		}
		if log.Count("turn allocation ended") != log.Count("class=shared") {
			t.Error("the end of an own allocation is logged")
		}
	})
}

// Each user's allocations, seconds and bytes are counted once, under the name that the credential
// was issued to; guests of the hub have none and are counted together.
func TestIssue16UsageIsCountedByUser(t *testing.T) {
	t.Parallel()
	each(t, countUsage, func(t *testing.T, r *rig, transport string) {
		for _, id := range []string{"ada", "guest", "other guest"} {
			r.s.Opened(id, "", netip.MustParseAddr("127.0.0.1"))
		}
		r.s.Identified("ada", "user:Ada", "Ada")
		peer := r.peer()
		at := peer.LocalAddr().String()
		static := r.dial(transport, "u", "p")
		for _, c := range []*client{
			static,
			r.minted(transport, cred.Shared, "bob", time.Hour), r.minted(transport, cred.Shared, "bob", 2*time.Hour),
			r.minted(transport, cred.Hub, "ada", time.Hour), r.minted(transport, cred.Hub, "guest", time.Hour),
			r.minted(transport, cred.Hub, "other guest", time.Hour), r.minted(transport, cred.ICE, "id", time.Hour),
		} {
			c.allocate()
		}
		static.ok(wire.MethodCreatePermission, withPeer(at))
		static.write(static.sendFrame(at, "twelve bytes"))
		eventually(t, "the count", func() bool { return r.s.Snapshot().Relayed.FromClientBytes == 12 })
		r.advance(90 * time.Second)
		got := r.take()
		want := []Usage{
			{User: "", Class: "hub", Allocations: 2, Seconds: 180},
			{User: "Ada", Class: "hub", Allocations: 1, Seconds: 90},
			{User: "", Class: "ice", Allocations: 1, Seconds: 90},
			{User: "bob", Class: "shared", Allocations: 2, Seconds: 180},
			{User: "u", Class: "static", Allocations: 1, Seconds: 90, FromClientBytes: 12},
		}
		for i := range got {
			// The test takes a moment itself.
			if i < len(want) && got[i].Seconds > want[i].Seconds && got[i].Seconds < want[i].Seconds+60 {
				got[i].Seconds = want[i].Seconds
			}
		}
		if !slices.Equal(got, want) {
			t.Fatalf("%+v\nwant %+v", got, want)
		}

		// What has been taken is not taken again, and what comes after the end is not lost.
		all := r.s.books.list()
		a := all[slices.IndexFunc(all, func(a *allocation) bool { return a.issued == "u" })]
		static.ok(wire.MethodRefresh, withLifetime(0))
		r.take()
		a.toClient.add(1, 1000)
		got = r.take()
		got = slices.DeleteFunc(got, func(u Usage) bool { return u.User != "u" })
		if want := []Usage{{User: "u", Class: "static", ToClientBytes: 1000}}; !slices.Equal(got, want) {
			t.Errorf("after the end: %+v", got)
		}
		r.advance(lastPackets)
		r.take()
		r.take()
		b := r.s.books.budget
		b.mu.Lock()
		defer b.mu.Unlock()
		if b.tabs[payer{"static", "u"}] != nil {
			t.Error("who has nothing any more is remembered")
		}
	})
}

// Nothing is counted of anybody unless somebody wants to know.
func TestIssue16UsageIsOff(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	r.dial("udp", "u", "p").allocate()
	if got := r.take(); len(got) != 0 {
		t.Errorf("%+v", got)
	}
}

// Whoever mints credentials for any number of names takes no memory beyond a bound, and no static
// user's place.
func TestIssue16AFloodOfNamesIsBounded(t *testing.T) {
	t.Parallel()
	b := newBudget(nil, time.Now())
	for i := range 3 * maxTabs {
		b.open(&allocation{}, payer{"shared", fmt.Sprint(i)})
	}
	b.open(&allocation{}, payer{"static", "u"})
	if n := len(b.tabs); n > maxTabs+2 {
		t.Errorf("%d users are told apart", n)
	}
	list, n := b.takeUsage(), uint64(0)
	for _, u := range list {
		n += u.Allocations
	}
	if n != 3*maxTabs+1 || !slices.Contains(list, Usage{User: "u", Class: "static", Allocations: 1}) ||
		!slices.Contains(list, Usage{Allocations: 2 * maxTabs}) {
		t.Errorf("%d allocations of %d users, others and u not among them as they should", n, len(list))
	}
}
