package signalbox

import (
	"net/http"
	"net/netip"
	"testing"
	"time"
)

func TestSourceLimiter(t *testing.T) {
	t.Parallel()
	l := newSourceLimiter(1, 3)
	now := time.Unix(1_800_000_000, 0)
	allowed := func(ip string, n int, at time.Time) (ok int) {
		for range n {
			if l.allow(netip.MustParseAddr(ip), at) {
				ok++
			}
		}
		return ok
	}
	if n := allowed("192.0.2.1", 10, now); n != 3 {
		t.Errorf("%d of 10 at once, want the burst of 3", n)
	}
	if n := allowed("192.0.2.2", 10, now) + allowed("::ffff:192.0.2.2", 10, now); n != 3 {
		t.Errorf("another source: %d", n)
	}
	if n := allowed("2001:db8::1", 10, now) + allowed("2001:db8::2", 10, now); n != 3 {
		t.Errorf("a /64 counts as %d", n)
	}
	if n := allowed("192.0.2.1", 10, now.Add(2*time.Second)); n != 2 {
		t.Errorf("%d after two seconds, want 2", n)
	}
	for i := range 3 * maxSources {
		l.allow(netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)}), now)
	}
	if len(l.sources) > maxSources {
		t.Errorf("%d sources are remembered", len(l.sources))
	}
}

// Line 35 of the abuse list: nobody gets credentials without end.
func TestAbuse35IssuingIsLimited(t *testing.T) {
	t.Parallel()
	app := startApp(t)
	codes := map[int]int{}
	// a slow machine earns some more meanwhile
	for n := 0; codes[http.StatusTooManyRequests] == 0 && n < 10*iceBurst; n++ {
		code, h, _ := get(t, insecure(), "http://"+app.Addrs().Web+"/api/ice")
		codes[code]++
		if code == http.StatusTooManyRequests && h.Get("Retry-After") == "" {
			t.Error("429 without Retry-After")
		}
	}
	if codes[http.StatusOK] < iceBurst || codes[http.StatusTooManyRequests] == 0 {
		t.Errorf("answers by code: %v", codes)
	}
}
