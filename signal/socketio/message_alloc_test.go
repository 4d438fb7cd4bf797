//go:build !race

package socketio

import (
	"strings"
	"testing"

	"github.com/gorilla/websocket"

	"signalbox/internal/testkit"
	"signalbox/signal"
)

// message is what it takes to pass on one message of a description's size, from socket to socket.
func message(t testing.TB) func() {
	url, _ := newBox(t, signal.Options{}, Options{})
	sender, receiver := dial(t, url, 4, ""), dial(t, url, 4, "")
	for _, c := range []*raw{receiver, sender} {
		c.say("40", `42["vjoin","r",1]`)
		c.expect(`40{"sid":"*`, `42["vjoined","r"]`, `42["ice",*`)
	}
	receiver.expect(`42["votherjoined","r",1]`)
	text := `42["vdata","r",{"type":"offer","sdp":"` + strings.Repeat(`v=0 line\r\n`, 120) + `"}]`
	frame := testkit.ClientFrame(websocket.TextMessage, []byte(text))
	return (&testkit.Frames{Conn: receiver.NetConn()}).Pass(t, sender.NetConn(), frame)
}

func BenchmarkMessage(b *testing.B) {
	pass := message(b)
	b.ReportAllocs()
	for b.Loop() {
		pass()
	}
}

// The event, its parcel, and where its frame is named: the memory of the message itself is used
// again.
func TestMessageAllocatesLittle(t *testing.T) {
	const most = 3
	pass := message(t)
	if n := testing.AllocsPerRun(500, pass); n > most {
		t.Errorf("%v allocations a message", n)
	}
}
