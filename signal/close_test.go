package signal_test

import (
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"signalbox/signal"
)

// A client that closes its connection with 1000 is gone, and its place is free; one that closes it
// otherwise may come back.
func TestHub12ACloseIsABye(t *testing.T) {
	t.Parallel()
	b := start(t, signal.Options{Resume: time.Hour, RoomCapacity: 2})
	alice := b.join(t, "tea", "Alice")
	for code, left := range map[int]bool{websocket.CloseNormalClosure: true, 3000: false} {
		c := b.join(t, "tea", "Bob")
		alice.expect("peer-joined")
		if err := c.ws.WriteMessage(websocket.CloseMessage, websocket.FormatCloseMessage(code, "")); err != nil {
			t.Fatal(err)
		}
		if left {
			if f := alice.expect("peer-left"); f.text("reason") != "left" {
				t.Errorf("%d: got %v", code, f)
			}
			c.expectClose(1000)
			continue
		}
		b.away(t, c.id)
		b.Find(c.id).Stop(signal.CodeKicked)
		alice.expect("peer-left")
	}
}

// A text that is not UTF-8 breaks the connection, and not the session (RFC 6455 §8.1).
func TestHub12TextIsUTF8(t *testing.T) {
	t.Parallel()
	b := start(t, signal.Options{Resume: time.Hour})
	c := b.hello(t, nil)
	c.write("{\"type\":\"ping\",\"x\":\"\xff\"}")
	c.expectClose(1007)
	b.away(t, c.id)
}
