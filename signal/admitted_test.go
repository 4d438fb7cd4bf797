package signal_test

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"signalbox/signal"
)

// lender lets in whoever brings a duration, for so long.
type lender struct{ leeway time.Duration }

func (g lender) Admit(token string, _ netip.Addr) (signal.Pass, error) {
	room, life, _ := strings.Cut(token, " ")
	d, err := time.ParseDuration(life)
	if err != nil {
		return signal.Pass{}, signal.ErrUnauthorized
	}
	end := time.Now().Add(d)
	return signal.Pass{Ends: end, Expires: end.Add(g.leeway),
		Rooms: func(name string) bool { return name == room }}, nil
}

// capped issues for ttl, and no longer than it is told.
type capped struct{ ttl time.Duration }

func (i capped) ICEServers(r signal.ICERequest) ([]signal.ICEServer, time.Time) {
	end := time.Now().Add(i.ttl)
	if !r.Until.IsZero() && r.Until.Before(end) {
		end = r.Until
	}
	return []signal.ICEServer{{URLs: []string{"turn:box:3478"}}}, end
}

// ICE credentials end with the token, and are not renewed for nothing; a fresh token extends them.
func TestHub6CredentialsEndWithTheToken(t *testing.T) {
	t.Parallel()
	b := start(t, signal.Options{Guard: lender{30 * time.Second}, ICE: capped{time.Hour}})
	c := b.dial(t)
	ends := func(f frame) time.Duration {
		return time.Until(time.UnixMilli(int64(f["iceExpiresAt"].(float64)))).Round(time.Second)
	}
	c.send("hello", frame{"token": "tea 4s"})
	if f := c.expect("welcome"); ends(f) != 4*time.Second {
		t.Errorf("for %v", ends(f))
	}
	c.send("join", frame{"room": "tea", "token": "tea 2s"})
	c.expect("joined")
	c.send("join", frame{"room": "tea", "token": "cake 1h"}) // of no use here
	c.expect("joined")
	c.send("join", frame{"room": "tea", "token": "tea 20m"})
	c.expect("joined")
	if f := c.expect("ice"); ends(f) != 20*time.Minute {
		t.Errorf("for %v", ends(f))
	}
	c.send("join", frame{"room": "cake", "token": "cake 2h"})
	c.expect("joined")
	if f := c.expect("ice"); ends(f) != time.Hour {
		t.Errorf("for %v", ends(f))
	}
	c.settle()

	// After its end there are none.
	b = start(t, signal.Options{Guard: lender{}, ICE: capped{time.Hour}})
	late := b.dial(t)
	late.send("hello", frame{"token": "tea -1ms"})
	late.expect("welcome")
	late.send("ice", nil)
	late.expectError(signal.CodeUnauthorized)
}

// If the operator wants it, a session ends with its last token, whether or not it is connected; by
// default it goes on.
func TestHub6SessionsEndWithTheToken(t *testing.T) {
	t.Parallel()
	for name, opts := range map[string]signal.Options{
		"on demand": {Guard: lender{}, EndAtExp: true, Resume: time.Minute},
		"default":   {Guard: lender{}, Resume: time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			told := &memberLog{}
			opts.Members = told
			b := start(t, opts)
			stays := b.dial(t)
			stays.send("hello", frame{"token": "tea 1h"})
			stays.expect("welcome")
			stays.send("join", frame{"room": "tea"})
			stays.expect("joined")
			if !opts.EndAtExp {
				over := b.dial(t)
				over.send("hello", frame{"token": "tea -1s"})
				over.expect("welcome")
				over.settle()
				return
			}
			c := b.dial(t)
			c.send("hello", frame{"token": "tea 1s"})
			c.id = c.expect("welcome").text("peerId")
			c.send("join", frame{"room": "tea"})
			c.expect("joined")
			away := b.dial(t)
			away.send("hello", frame{"token": "tea 1s"})
			gone := away.expect("welcome").text("peerId")
			away.rawConn().Close()
			longer := b.dial(t)
			longer.send("hello", frame{"token": "tea 1s"})
			longer.expect("welcome")
			longer.send("join", frame{"room": "cake", "token": "cake 1h"})
			longer.expect("joined")
			c.expectError(signal.CodeUnauthorized)
			c.expectClose(4502)
			told.await(t, "ended "+c.id+" lost=false")
			told.await(t, "ended "+gone+" lost=false")
			stays.expect("peer-joined")
			if f := stays.expect("peer-left"); f["reason"] != "kicked" {
				t.Errorf("got %v", f)
			}
			longer.settle()
		})
	}
}
