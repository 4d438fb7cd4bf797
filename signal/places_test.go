package signal

import (
	"net/netip"
	"testing"
	"time"

	"signalbox/internal/source"
)

func TestSourcesArePaced(t *testing.T) {
	t.Parallel()
	p, now := pace(2), time.Now()
	ada, bob := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.2")
	for n := range 2 * paceBurst {
		if !p.Allow(ada, now) {
			t.Fatalf("only %d at once", n)
		}
	}
	if p.Allow(ada, now) || !p.Allow(bob, now) || !p.Allow(ada, now.Add(time.Second)) {
		t.Error("the pace is wrong")
	}
	var none *source.Limiter // how many it remembers is tested there
	if !none.Allow(ada, now) {
		t.Error("no pace limits")
	}
}
