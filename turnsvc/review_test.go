package turnsvc

import (
	"bytes"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"signalbox/internal/netaddr"
	"signalbox/turnsvc/cred"
	"signalbox/turnsvc/internal/socket"
)

// full returns a judge, and allocations with so many permissions each, for so many addresses in
// all. Nobody serves them.
func full(t testing.TB, allocations, permissions, addresses int) (*judge, func() []*allocation) {
	t.Helper()
	s, err := newSettings(Live{Keys: cred.NewKeys(testSecret), StaticPeers: PeersPublic}, false, nil)
	if err != nil {
		t.Fatal(err)
	}
	j := newJudge(s, slog.New(slog.NewTextHandler(io.Discard, nil)))
	if err := j.setRelays([]RelayAddress{relayAt("192.0.2.1")}, func() []*allocation { return nil }); err != nil {
		t.Fatal(err)
	}
	var all []*allocation
	at := netip.MustParseAddrPort("192.0.2.1:9")
	for i := range allocations {
		a := &allocation{id: uint64(i), relay: &socket.Relay{Addr: at}, relayed: at}
		for k := range permissions {
			n := (i*permissions + k) % addresses
			peer := netip.AddrFrom4([4]byte{8, byte(n >> 16), byte(n >> 8), byte(n)})
			a.permit(peer, grant{outside: true}, 0)
		}
		all = append(all, a)
	}
	return j, func() []*allocation { return all }
}

// While the kernel can't be asked, nobody is granted anything new outside, what is granted goes on
// as far as the lists allow it, and the operator is told once. When it can be asked again, that is
// said, too, and all is judged again.
func TestAttackF2AMuteKernelOpensAndEndsNothing(t *testing.T) {
	t.Parallel()
	j, list := full(t, 1, 2, 2)
	var said bytes.Buffer
	j.log = slog.New(slog.NewTextHandler(&said, nil))
	var fault error
	own := map[netip.Addr]bool{}
	j.ask = func(_ *netaddr.Routes, ip, _ netip.Addr) (bool, error) { return own[ip] && fault == nil, fault }
	a, running, other := list()[0], netip.MustParseAddr("8.0.0.0"), netip.MustParseAddr("8.0.0.1")
	fresh := netip.MustParseAddr("8.0.0.9")
	now := int64(0)
	for _, c := range []struct {
		fault error
		want  grant
		lines int
	}{
		{nil, grant{outside: true}, 0},
		{syscall.ENOBUFS, grant{}, 1}, {syscall.EMFILE, grant{}, 1}, // it is known
		{nil, grant{outside: true}, 2}, // and that it is over
		{syscall.EMFILE, grant{}, 3},
		{net.ErrClosed, grant{}, 3}, // the server ends
	} {
		fault = c.fault
		now += int64(hostInterval)
		j.follow(now, list)
		j.reviewAll(list())
		if got := j.grantFor(a, fresh); got != c.want {
			t.Errorf("%v: %+v is granted", c.fault, got)
		}
		for _, peer := range []netip.Addr{running, other} {
			if got, ok := a.permissionFor(peer, -1); !got.outside || !ok || !j.grantFor(a, peer).outside {
				t.Errorf("%v: a permission that was granted is now %+v, %v", c.fault, got, ok)
			}
		}
		if n := strings.Count(said.String(), "\n"); n != c.lines {
			t.Errorf("%v: %d lines, want %d:\n%s", c.fault, n, c.lines, said.String())
		}
	}
	// The lists hold whatever the kernel says.
	s, err := newSettings(Live{Keys: cred.NewKeys(testSecret), StaticPeers: PeersPublic,
		DenyPeers: []netip.Prefix{netip.PrefixFrom(other, 32)}}, false, nil)
	if err != nil {
		t.Fatal(err)
	}
	j.settings.Store(s)
	fault, own[running] = syscall.ENOBUFS, true // as it has become meanwhile
	j.reviewAll(list())
	if g, _ := a.permissionFor(other, -1); g.outside || !a.granted(running).outside {
		t.Errorf("a peer on the list of the denied has %+v, the other one %+v", g, a.granted(running))
	}
	// The review that is owed is made as soon as the kernel answers, not when it is time to look.
	fault = nil
	now++
	j.follow(now, list)
	if a.granted(running).outside {
		t.Error("an address of this host's is open after the kernel has answered")
	}
}

// A review asks the kernel once for each peer, not for each permission, and others judge meanwhile.
// Nothing is judged by an answer from before that.
func TestAttackF2ReviewsKeepNobodyWaiting(t *testing.T) {
	t.Parallel()
	const allocations, permissions, addresses = 50, 16, 80
	j, list := full(t, allocations, permissions, addresses)
	var questions atomic.Int64
	j.ask = func(*netaddr.Routes, netip.Addr, netip.Addr) (bool, error) { questions.Add(1); return false, nil }
	began := time.Now()
	j.reviewAll(list())
	if n, most := questions.Load(), addresses+1+int64(time.Since(began)/reviewTime); n < addresses || n > most {
		t.Errorf("%d questions for %d peers, want %d at most", n, addresses, most)
	}

	// The kernel is so slow that each answer fills the time at a stretch, and an address becomes
	// this host's own in the midst of it.
	questions.Store(0)
	late := netip.AddrFrom4([4]byte{8, 0, 0, addresses - 1})
	var own atomic.Bool
	inside := make(chan struct{})
	j.ask = func(_ *netaddr.Routes, ip, _ netip.Addr) (bool, error) {
		answer := ip == late && own.Load()
		if questions.Add(1) == 1 {
			close(inside)
		}
		for began := time.Now(); time.Since(began) < reviewTime; {
			runtime.Gosched()
		}
		return answer, nil
	}
	done := make(chan struct{})
	go func() { defer close(done); j.reviewAll(list()) }()
	<-inside
	own.Store(true)
	var holder *allocation
	for _, a := range list() {
		if a.has(late) {
			holder = a
			break
		}
	}
	j.review(holder, late)
	if n := questions.Load(); n > allocations*permissions/2 {
		t.Errorf("somebody has waited for %d questions of a review", n)
	}
	if g, _ := holder.permissionFor(late, -1); g.outside {
		t.Error("an address of this host's is open")
	}
	<-done
	for _, a := range list() {
		if g, _ := a.permissionFor(late, -1); g.outside {
			t.Error("an address of this host's is open")
		}
	}
}

// How long somebody waits who has a permission judged, as the books do, while all permissions of
// 4,000 allocations are reviewed.
func BenchmarkReviewAll(b *testing.B) {
	for _, addresses := range []int{1000, 64000} {
		b.Run(fmt.Sprintf("%d-peers", addresses), func(b *testing.B) {
			j, list := full(b, 4000, 16, addresses)
			defer j.openRoutes()()
			a := list()[0]
			stop, waits := make(chan struct{}), make(chan []time.Duration)
			go func() {
				var all []time.Duration
				tick := time.NewTicker(time.Millisecond)
				defer tick.Stop()
				for {
					select {
					case <-stop:
						waits <- all
						return
					case <-tick.C:
					}
					began := time.Now()
					j.review(a, netip.AddrFrom4([4]byte{8, 0, 0, 1}))
					all = append(all, time.Since(began))
				}
			}()
			for b.Loop() {
				j.reviewAll(list())
			}
			close(stop)
			all := <-waits
			slices.Sort(all)
			ms := func(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
			b.ReportMetric(ms(all[len(all)/2]), "median-ms")
			b.ReportMetric(ms(all[len(all)*99/100]), "p99-ms")
			b.ReportMetric(ms(all[len(all)-1]), "worst-ms")
		})
	}
}
