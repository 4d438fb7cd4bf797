//go:build !race

package signal_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/gorilla/websocket"

	"signalbox/internal/testkit"
	"signalbox/signal"
)

// message is what it takes to pass on one message of a description's size, from socket to socket.
func message(t testing.TB) func() {
	hub := start(t, signal.Options{})
	sender, receiver := hub.join(t, "room", "sender"), hub.join(t, "room", "receiver")
	sender.expect("peer-joined")
	text := fmt.Sprintf(`{"type":"signal","to":%q,"room":"room","data":{"sdp":%q}}`, receiver.id,
		strings.Repeat("v=0 line\r\n", 120))
	frame := testkit.ClientFrame(websocket.TextMessage, []byte(text))
	return (&testkit.Frames{Conn: receiver.ws.NetConn()}).Pass(t, sender.ws.NetConn(), frame)
}

func BenchmarkMessage(b *testing.B) {
	pass := message(b)
	b.ReportAllocs()
	for b.Loop() {
		pass()
	}
}

// What the frame says, in three; the message, its event and its parcel, which are kept until the
// client has it; and the frame that it becomes.
func TestMessageAllocatesLittle(t *testing.T) {
	const most = 8
	pass := message(t)
	if n := testing.AllocsPerRun(500, pass); n > most {
		t.Errorf("%v allocations a message", n)
	}
}
