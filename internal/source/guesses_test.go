package source

import (
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// guess brings what is wrong or right from an address, and reports whether it was looked at.
func guess(g *Guesses, from string, wrong bool) bool {
	return g.Look(netip.MustParseAddr(from), func() bool { return wrong })
}

func fresh(i int) netip.Addr {
	return netip.AddrFrom16([16]byte{0x20, 1, 0xd, 0xb8, 6: byte(i), 7: byte(i >> 8)})
}

// Wrong guesses are limited, and after them right ones are refused, too; right ones never count.
func TestWrongGuessesAreLimited(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := NewGuesses(1, 20)
		for range 100 {
			if !guess(g, "192.0.2.1", false) {
				t.Fatal("right ones count")
			}
		}
		for n := range 20 {
			if !guess(g, "192.0.2.1", true) {
				t.Fatalf("only %d wrong ones at once", n)
			}
		}
		start := time.Now()
		if guess(g, "192.0.2.1", true) || guess(g, "192.0.2.1", false) {
			t.Error("more are looked at")
		}
		if time.Now() != start {
			t.Error("who has spent all waits for it")
		}
		if !guess(g, "192.0.2.2", false) {
			t.Error("somebody else is refused")
		}
		time.Sleep(time.Second)
		if !guess(g, "192.0.2.1", true) || guess(g, "192.0.2.1", true) {
			t.Error("a second later it is not one more")
		}
		if len(g.looking) != 0 || len(g.queues) != 0 {
			t.Errorf("%v are being looked at, %v wait", g.looking, g.queues)
		}
	})
}

// What is being looked at is no wrong guess yet: others wait, no more at one time than may be
// wrong, and have their turn. After wrong ones, fewer are looked at.
func TestAttackF4RightGuessesWaitTheirTurn(t *testing.T) {
	t.Parallel()
	for _, wrongBefore := range []int{0, 15} {
		synctest.Test(t, func(t *testing.T) {
			g := NewGuesses(1, 20)
			for range wrongBefore {
				guess(g, "192.0.2.1", true)
			}
			var all sync.WaitGroup
			var now, most, refused atomic.Int32
			for range 400 {
				all.Go(func() {
					if !g.Look(netip.MustParseAddr("192.0.2.1"), func() bool {
						if n := now.Add(1); n > most.Load() {
							most.Store(n)
						}
						time.Sleep(100 * time.Microsecond)
						now.Add(-1)
						return false
					}) {
						refused.Add(1)
					}
				})
			}
			all.Wait()
			if refused.Load() != 0 || int(most.Load()) != 20-wrongBefore {
				t.Errorf("after %d wrong ones, %d of 400 right ones are refused; at one time %d were looked at, "+
					"want %d", wrongBefore, refused.Load(), most.Load(), 20-wrongBefore)
			}
		})
	}
}

// Who has no turn within a second is refused: whoever looks too long holds up nobody for ever.
func TestAGuessWaitsForASecond(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g, hold := NewGuesses(1, 1), make(chan struct{})
		go g.Look(netip.MustParseAddr("192.0.2.1"), func() bool { <-hold; return false })
		synctest.Wait()
		start := time.Now()
		if guess(g, "192.0.2.1", false) {
			t.Error("more are looked at than may be")
		}
		if waited := time.Since(start); waited < lookWait || waited > lookWait {
			t.Errorf("it waited %s", waited)
		}
		close(hold)
		synctest.Wait()
		if !guess(g, "192.0.2.1", false) {
			t.Error("the place was not given back")
		}
	})
}

// What panics counts as wrong, and gives its place back.
func TestAPanicIsAGuess(t *testing.T) {
	t.Parallel()
	g := NewGuesses(1, 1)
	func() {
		defer func() { recover() }() //nolint:errcheck // it is ours
		g.Look(netip.MustParseAddr("192.0.2.1"), func() bool { panic("a fault") })
	}()
	if len(g.looking) != 0 || len(g.queues) != 0 || !g.Spent(netip.MustParseAddr("192.0.2.1"), time.Now()) {
		t.Errorf("%v", g.looking)
	}
}

// Neighbors in a wide block who guess wrong, however many and long, don't keep out one who does
// not. What they have is limited together.
func TestAttackF4NeighborsLockOutNobody(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g, n := NewGuesses(1, 20), 0
		for i := range 100 {
			ip := fresh(i)
			for range 40 {
				if g.Look(ip, func() bool { return true }) {
					n++
				}
			}
		}
		if n < 4*20 || n > 4*20+100 { // each has one before it is known
			t.Errorf("together they have %d guesses", n)
		}
		if !guess(g, "2001:db8:0:ff00::1", false) {
			t.Error("a neighbor who has guessed nothing is refused")
		}
	})
}

// A line that guesses from a fresh /64 each time is limited in all, at once and a second.
func TestAttackF4FreshSourcesAreBounded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		for name, tc := range map[string]struct {
			ip    func(i int) netip.Addr
			times int
		}{
			"a /48": {fresh, 16},
			"a /56": {func(i int) netip.Addr {
				return netip.AddrFrom16([16]byte{0x20, 1, 0xd, 0xb8, 7: byte(i)})
			}, 4},
		} {
			g, i := NewGuesses(1, 20), 0
			guesses := func() (n int) {
				for range 2000 {
					i++
					if g.Look(tc.ip(i), func() bool { return true }) {
						n++
					}
				}
				return n
			}
			if n := guesses(); n > tc.times*20 {
				t.Errorf("%s has %d guesses at once, more than %d", name, n, tc.times*20)
			}
			n := 0
			for range 10 {
				time.Sleep(time.Second)
				n += guesses()
			}
			if n > 10*tc.times {
				t.Errorf("%s has %d guesses in ten seconds, more than %d", name, n, 10*tc.times)
			}
			if !guess(g, "2001:db8:1::1", false) {
				t.Errorf("because of %s its neighbor is refused", name)
			}
		}
	})
}

func BenchmarkGuesses(b *testing.B) {
	g, ip := NewGuesses(1, 20), netip.MustParseAddr("2001:db8::1")
	b.ReportAllocs()
	for b.Loop() {
		g.Look(ip, func() bool { return false })
	}
}
