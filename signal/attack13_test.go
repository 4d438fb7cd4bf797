package signal_test

import (
	"testing"
	"time"

	"signalbox/signal"
)

// A stranger who calls and hangs up over and over, and has used up what strangers may say, says
// nothing more by hanging up: whoever is away for a moment keeps the session.
func TestHub1HangingUpIsPaidFor(t *testing.T) {
	t.Parallel()
	b := start(t, signal.Options{Calls: true, Resume: time.Minute}, func(l *signal.Limits) { l.Backlog = 256 })
	alice := b.hello(t, frame{"user": "alice"})
	alice.rawConn().Close()
	s := b.away(t, alice.id)
	eve := b.hello(t, nil)
	for range 600 {
		eve.send("signal", frame{"to": "@alice", "data": 1})
		eve.send("leave", frame{"to": "@alice", "id": "done"})
		for eve.next()["id"] != "done" {
		}
	}
	eve.settle()
	if s.Closed() {
		t.Error("the session is over")
	}
}
