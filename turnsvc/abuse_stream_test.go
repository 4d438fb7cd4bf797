package turnsvc

import (
	"bytes"
	"errors"
	"maps"
	"net"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"signalbox/turnsvc/internal/wire"
)

// ended waits until the server has ended a stream.
func ended(t *testing.T, c *client) {
	t.Helper()
	c.conn.SetReadDeadline(time.Now().Add(patience)) //nolint:errcheck // it is open
	buf := make([]byte, 4096)
	for {
		_, err := c.conn.Read(buf)
		if errors.Is(err, os.ErrDeadlineExceeded) {
			t.Fatal("the stream goes on")
		}
		if err != nil {
			return
		}
	}
}

// F8: frames don't buy time. Whoever has no allocation has so much time in all.
func TestAttackF8StrangersHaveSoMuchTime(t *testing.T) {
	t.Parallel()
	short := timeouts{firstFrame: time.Second, idle: time.Second, stranger: 2 * time.Second, write: time.Second}
	r := newRigWith(t, nil, func(s *Server) { s.streams.timeouts = short })
	const strangers = 20
	holder := r.dial("tcp", "u", "p")
	holder.allocate()
	began := time.Now()
	done := make(chan time.Duration)
	for range strangers {
		c := r.dial("tcp", "u", "p")
		go func() {
			ask := (&client{}).build(wire.MethodBinding)
			answer := make([]byte, 200)
			for time.Since(began) < patience {
				if _, err := c.conn.Write(ask); err != nil {
					break
				}
				if _, err := c.conn.Read(answer); err != nil {
					break
				}
			}
			done <- time.Since(began)
		}()
	}
	for range strangers {
		if lived := <-done; lived > patience/2 {
			t.Errorf("a stranger who asks on and on is served for %v", lived)
		}
	}
	holder.ok(wire.MethodRefresh)
	// Once its allocation is over, a client is a stranger again.
	holder.ok(wire.MethodRefresh, withLifetime(0))
	began = time.Now()
	for time.Since(began) < patience {
		if _, err := holder.conn.Write((&client{}).build(wire.MethodBinding)); err != nil {
			break
		}
		if _, err := holder.conn.Read(make([]byte, 4096)); err != nil {
			break
		}
	}
	if lived := time.Since(began); lived > patience/2 {
		t.Errorf("a client whose allocation is over is served for %v", lived)
	}
}

// F8: when there are as many streams as there may be, the oldest one without an allocation makes
// room for the next; it is counted, and logged once.
func TestAttackF8TheOldestStrangerGoesFirst(t *testing.T) {
	t.Parallel()
	for name, limits := range map[string]Limits{
		"in all": {Connections: 4}, "by source": {Connections: 100, ConnectionsPerSource: 4},
	} {
		var logged lines
		r := newRig(t, func(o *Options) {
			o.Limits = limits
			logged.log(o)
		})
		holder := r.dial("tcp", "u", "p")
		holder.allocate()
		var strangers []*client
		for range 3 {
			c := r.dial("tcp", "u", "p")
			c.write(c.build(wire.MethodBinding))
			c.answer()
			strangers = append(strangers, c)
		}
		for i := range 3 {
			newcomer := r.dial("tcp", "v", "q")
			newcomer.allocate()
			ended(t, strangers[i])
		}
		holder.ok(wire.MethodRefresh)
		late := r.dial("tcp", "u", "p") // all have allocations now
		ended(t, late)
		drops := r.s.Snapshot().Drops
		if drops["crowded-out"] != 3 || drops["crowd"] != 1 {
			t.Errorf("%s: %v", name, drops)
		}
		if n := strings.Count(logged.String(), "too many TURN connections"); n != 1 {
			t.Errorf("%s: %d lines are logged, want 1", name, n)
		}
		if n := r.s.streams.count(); n != 4 {
			t.Errorf("%s: %d streams", name, n)
		}
	}
}

// F8: requests that wait for their turn, one after the other, buy a stranger no more time, and none
// at all once its stream has ended.
func TestAttackF8RequestsInARowBuyNoTime(t *testing.T) {
	t.Parallel()
	short := timeouts{firstFrame: time.Second, idle: time.Second, stranger: 2 * time.Second, write: time.Second}
	limits := func(o *Options) { o.Limits.UnauthorizedPerSource = 1 }
	r := newRigWith(t, limits, func(s *Server) { s.streams.timeouts = short })
	many := bytes.Repeat((&client{}).build(wire.MethodAllocate), 100)
	for _, ended := range []bool{false, true} {
		c := r.dial("tcp", "u", "p")
		began := time.Now()
		c.write(many)
		for r.s.streams.count() == 0 {
			if time.Since(began) > patience {
				t.Fatal("the stream is not served")
			}
			time.Sleep(time.Millisecond)
		}
		if ended {
			r.s.streams.mu.Lock()
			all := slices.Collect(maps.Keys(r.s.streams.all))
			r.s.streams.mu.Unlock()
			for _, l := range all {
				l.close()
			}
		}
		for r.s.streams.count() > 0 && time.Since(began) < patience {
			time.Sleep(10 * time.Millisecond)
		}
		most := short.stranger + 6*time.Second
		if ended {
			most = 4 * time.Second
		}
		if lived := time.Since(began); lived > most {
			t.Errorf("ended %v: the stream lives for %v", ended, lived)
		}
	}
}

// F3: a stranger who pipelines requests and reads no answer is stopped at once.
func TestAttackF3UnreadAnswers(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	c := r.dial("tcp", "u", "p")
	if err := c.conn.(*net.TCPConn).SetReadBuffer(4096); err != nil {
		t.Fatal(err)
	}
	ask := []byte(strings.Repeat(string((&client{}).build(wire.MethodBinding)), 1000))
	c.conn.SetWriteDeadline(time.Now().Add(patience)) //nolint:errcheck // it is open
	written := 0
	for written < 16<<20 {
		n, err := c.conn.Write(ask)
		if written += n; err != nil {
			break
		}
	}
	if written >= 16<<20 {
		t.Errorf("%d KiB of requests are answered to somebody who reads nothing", written>>10)
	}
	eventually(t, "it is counted", func() bool { return r.s.Snapshot().Drops["unread"] == 1 })
	r.dial("tcp", "u", "p").allocate()
}
