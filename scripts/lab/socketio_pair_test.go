//go:build linux

package lab_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"signalbox/internal/testkit"
)

// socketIOPair are two clients of Socket.IO in a room of its tutorials. The first one numbers what
// it says, the other one hears it.
type socketIOPair struct {
	t             *testing.T
	room          string
	speaker, ears *socketIOClient
	said          int
	heard         atomic.Int64
	reading       sync.WaitGroup
}

// socketIOClient is one connection, which two goroutines write to: one answers the server's pings.
type socketIOClient struct {
	*websocket.Conn
	mu sync.Mutex
}

func (c *socketIOClient) say(message string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.WriteMessage(websocket.TextMessage, []byte(message))
}

// hear returns the next message that is no ping.
func (c *socketIOClient) hear() (string, error) {
	for {
		_, message, err := c.ReadMessage()
		if err != nil || string(message) != "2" {
			return string(message), err
		}
		if err := c.say("3"); err != nil {
			return "", err
		}
	}
}

// until reads up to the message that begins so.
func (c *socketIOClient) until(start string) error {
	for {
		message, err := c.hear()
		if err != nil || strings.HasPrefix(message, start) {
			return err
		}
	}
}

func (h *honest) meetOnSocketIO(room string) *socketIOPair {
	h.t.Helper()
	p := &socketIOPair{t: h.t, room: room}
	for _, member := range []**socketIOClient{&p.speaker, &p.ears} {
		dialer := websocket.Dialer{NetDialContext: h.in.DialContext}
		conn, _, err := dialer.DialContext(h.t.Context(), "ws://"+h.server.Host()+
			":8080/socket.io/?EIO=4&transport=websocket", nil)
		if err != nil {
			h.t.Fatal(err)
		}
		h.t.Cleanup(func() { conn.Close() })
		c := &socketIOClient{Conn: conn}
		*member = c
		conn.SetReadDeadline(time.Now().Add(20 * time.Second))
		err = errors.Join(c.until("0{"), c.say(`40{"token":"`+h.token(h.t, "")+`"}`), c.until("40{"),
			c.say(`42["vjoin","`+room+`","x"]`), c.until(`42["vjoined"`))
		if err != nil {
			h.t.Fatalf("room %s: %v", room, err)
		}
		conn.SetReadDeadline(time.Time{})
	}
	return p
}

func (p *socketIOPair) start(ctx context.Context, pace time.Duration, working *sync.WaitGroup) {
	for _, c := range []*socketIOClient{p.speaker, p.ears} {
		p.reading.Go(func() { p.listen(c) })
	}
	working.Go(func() { every(pace, ctx.Done(), p.speak) })
}

func (p *socketIOPair) speak() (over bool) {
	p.said++
	err := p.speaker.say(fmt.Sprintf(`42["vdata","%s",%d]`, p.room, p.said))
	if err != nil {
		p.t.Errorf("room %s: %v", p.room, err)
	}
	return err != nil
}

// listen checks that each message arrives, once and in order, and that the connection stays.
func (p *socketIOPair) listen(c *socketIOClient) {
	for {
		message, err := c.hear()
		switch {
		case os.IsTimeout(err): // finish says so
			return
		case err != nil:
			p.t.Errorf("room %s: a connection has ended: %v", p.room, err)
			return
		case strings.HasPrefix(message, `42["vgetdata"`):
			if want := fmt.Sprintf(`42["vgetdata","%s",%d]`, p.room, p.heard.Add(1)); message != want {
				p.t.Errorf("room %s: instead of %s comes %s", p.room, want, message)
			}
		case strings.HasPrefix(message, `42["votherleft"`):
			p.t.Errorf("room %s: the other one is gone", p.room)
		}
	}
}

// finish waits for what is under way, and ends both.
func (p *socketIOPair) finish() {
	p.t.Helper()
	testkit.Eventually(p.t, patience, fmt.Sprintf("room %s: all %d messages arrive", p.room, p.said), func() bool {
		return p.heard.Load() >= int64(p.said)
	})
	for _, c := range []*socketIOClient{p.speaker, p.ears} {
		c.SetReadDeadline(time.Now())
	}
	p.reading.Wait()
	for _, c := range []*socketIOClient{p.speaker, p.ears} {
		c.Close()
	}
	p.t.Logf("room %s: %d messages", p.room, p.said)
}
