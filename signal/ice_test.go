package signal_test

import (
	"net/http"
	"net/netip"
	"sync/atomic"
	"testing"
	"time"

	"signalbox/signal"
)

// issuer is an ICEIssuer whose credentials live for ttl; it remembers who asked last.
type issuer struct {
	ttl   time.Duration
	calls atomic.Int64
	last  atomic.Pointer[signal.ICERequest]
}

func (i *issuer) ICEServers(r signal.ICERequest) ([]signal.ICEServer, time.Time) {
	i.calls.Add(1)
	i.last.Store(&r)
	servers := []signal.ICEServer{{URLs: []string{"turn:box:3478"}, Username: r.PeerID, Credential: "secret"}}
	if i.ttl == 0 {
		return servers, time.Time{}
	}
	return servers, time.Now().Add(i.ttl)
}

func TestICEIsForThePeer(t *testing.T) {
	t.Parallel()
	issuer := &issuer{ttl: time.Hour}
	b := start(t, signal.Options{ICE: issuer,
		Source: func(*http.Request) netip.Addr { return netip.MustParseAddr("192.0.2.7") }})
	c := b.dial(t)
	began := time.Now()
	c.send("hello", nil)
	f := c.expect("welcome")
	server := f["iceServers"].([]any)[0].(map[string]any)
	if server["username"] != f["peerId"] || server["credential"] != "secret" {
		t.Errorf("got %v", server)
	}
	life := time.UnixMilli(int64(f["iceExpiresAt"].(float64))).Sub(began)
	if life < 59*time.Minute || life > 61*time.Minute {
		t.Errorf("expires in %v", life)
	}
	want := signal.ICERequest{
		PeerID: f.text("peerId"),
		Host:   b.server.Listener.Addr().String(),
		Source: netip.MustParseAddr("192.0.2.7"),
	}
	if got := *issuer.last.Load(); got != want {
		t.Errorf("issued for %+v, want %+v", got, want)
	}
	// A refused hello's id is nobody's: what was issued for it lives in no session.
	if b.Find("nobody") != nil || b.Find(f.text("peerId")) == nil {
		t.Error("the directory is wrong")
	}
}

// Fresh ICE servers come by themselves at half of the old ones' life, again and again, however
// silent the session is.
func TestICEIsPushedAtHalfLife(t *testing.T) {
	t.Parallel()
	issuer := &issuer{ttl: 2 * time.Second}
	b := start(t, signal.Options{ICE: issuer})
	began := time.Now()
	c := b.hello(t, nil)
	for n := range 2 {
		f := c.expect("ice")
		half := time.Duration(n+1) * time.Second
		if since := time.Since(began); since < half || since > half+patience/4 {
			t.Errorf("pushed after %v", since)
		}
		if f["seq"] != float64(n+1) {
			t.Errorf("got %v", f)
		}
	}
}

// An issuer with nothing to issue, and one whose clock is wrong, leave the session in peace.
func TestICEWithoutLife(t *testing.T) {
	t.Parallel()
	forever := &issuer{}
	c := start(t, signal.Options{ICE: forever}).dial(t)
	c.send("hello", nil)
	if f := c.expect("welcome"); f["iceExpiresAt"] != 0.0 {
		t.Errorf("got %v", f)
	}

	late := &issuer{ttl: -time.Hour}
	c = start(t, signal.Options{ICE: late}).hello(t, nil)
	c.settle()
	if n := late.calls.Load(); n > 2 {
		t.Errorf("asked %d times", n)
	}

	c = start(t, signal.Options{}).dial(t)
	c.send("hello", nil)
	if f := c.expect("welcome"); len(f["iceServers"].([]any)) != 0 || f["iceExpiresAt"] != 0.0 {
		t.Errorf("got %v", f)
	}
}
