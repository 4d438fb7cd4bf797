package signal_test

import (
	"fmt"
	"io"
	"net"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"signalbox/signal"
	"signalbox/signal/native"
)

// BenchmarkSignal is one signal of a candidate's size from socket to socket, both ends in this
// process: 2 pairs that send as fast as they can.
func BenchmarkSignal(b *testing.B) {
	const pairs = 2
	hub := start(b, signal.Options{})
	data := `{"candidate":"` + strings.Repeat("x", 150) + `","sdpMid":"0","sdpMLineIndex":0}`
	var wg sync.WaitGroup
	b.ReportAllocs()
	var senders, receivers []*peerConn
	for i := range pairs {
		room := fmt.Sprint(i)
		senders = append(senders, hub.join(b, room, "sender"))
		receivers = append(receivers, hub.join(b, room, "receiver"))
		senders[i].expect("peer-joined")
	}
	b.ResetTimer()
	for i := range pairs {
		text := []byte(fmt.Sprintf(`{"type":"signal","to":%q,"room":"%d","data":%s}`, receivers[i].id, i, data))
		window := make(chan struct{}, 256) // so that no receiver becomes a slow one
		wg.Go(func() {
			for range b.N / pairs {
				window <- struct{}{}
				if err := senders[i].ws.WriteMessage(websocket.TextMessage, text); err != nil {
					b.Error(err)
					return
				}
			}
		})
		wg.Go(func() {
			for range b.N / pairs {
				if _, _, err := receivers[i].ws.ReadMessage(); err != nil {
					b.Error(err)
					return
				}
				<-window
			}
		})
	}
	wg.Wait()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "signals/s")
}

// BenchmarkBroadcast puts one broadcast into the outboxes of a room of a thousand.
func BenchmarkBroadcast(b *testing.B) {
	h := newHub(b, signal.Options{})
	dialects := native.New(h)
	var links []*signal.Link
	for range 1000 {
		l := open(b, h, dialects.Dialect(), signal.Client{})
		l.Receive(text(`{"type":"hello"}`))
		l.Receive(text(`{"type":"join","room":"tea"}`))
		links = append(links, l)
	}
	frame := text(`{"type":"broadcast","room":"tea","data":"` + strings.Repeat("x", 200) + `"}`)
	b.ReportAllocs()
	for b.Loop() {
		links[0].Receive(frame)
		b.StopTimer()
		for _, l := range links {
			l.Take()
		}
		b.StartTimer()
	}
}

// BenchmarkIdleSession reports the memory of one session that says nothing: heap and stacks,
// net/http's share and the client's bare TCP connection among them.
func BenchmarkIdleSession(b *testing.B) {
	hub := start(b, signal.Options{})
	const sessions = 500
	for b.Loop() {
		heap, stacks := memory()
		var conns []net.Conn
		for range sessions {
			conns = append(conns, bareSession(b, hub.server.Listener.Addr().String()))
		}
		heapAfter, stacksAfter := memory()
		b.ReportMetric((float64(heapAfter)-float64(heap))/sessions, "heapB/session")
		b.ReportMetric((float64(stacksAfter)-float64(stacks))/sessions, "stackB/session")
		for _, conn := range conns {
			conn.Close()
		}
		eventually(b, "all are gone", func() bool { return hub.Snapshot().Connections == 0 })
	}
}

// bareSession says hello by hand, and keeps nothing but the connection.
func bareSession(b *testing.B, address string) net.Conn {
	conn, err := net.Dial("tcp", address)
	if err != nil {
		b.Fatal(err)
	}
	hello := `{"type":"hello"}`
	// A frame of a client is masked; the mask of zeros leaves it as it is (RFC 6455 §5.3).
	frame := append([]byte{0x81, 0x80 | byte(len(hello)), 0, 0, 0, 0}, hello...)
	io.WriteString(conn, "GET /signal HTTP/1.1\r\nHost: box\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"+
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n")
	readUntil(b, conn, "\r\n\r\n")
	conn.Write(frame)
	readUntil(b, conn, `"protocol":"signalbox.v1"}`)
	return conn
}

func readUntil(b *testing.B, conn net.Conn, end string) {
	conn.SetReadDeadline(time.Now().Add(patience))
	var got []byte
	for chunk := make([]byte, 256); !strings.HasSuffix(string(got), end); {
		n, err := conn.Read(chunk)
		if err != nil {
			b.Fatalf("got %q: %v", got, err)
		}
		got = append(got, chunk[:n]...)
	}
}

func memory() (heap, stacks uint64) {
	runtime.GC()
	runtime.GC() // once more: pools give up what they hold at the second
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapInuse, m.StackInuse
}
