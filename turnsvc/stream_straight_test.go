package turnsvc

import (
	"bytes"
	"crypto/tls"
	"fmt"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"signalbox/turnsvc/internal/wire"
)

// framed is a frame on a channel, of so many bytes in all.
func framed(size int, value byte) []byte {
	frame := bytes.Repeat([]byte{value}, size)
	frame[0], frame[1], frame[2], frame[3] = 0x40, 0, byte((size-4)>>8), byte(size-4)
	return frame
}

// One at a time writes past the queue, when nothing waits there and nobody else writes. What is
// left of a frame goes before all else; the rest waits as if it had been queued.
func TestOutboxIsWrittenPast(t *testing.T) {
	t.Parallel()
	o := newOutbox()
	taken := make(chan bool)
	begin := func(want bool, when string) {
		t.Helper()
		if got := o.begin(); got != want {
			t.Fatalf("%s: %v", when, got)
		}
	}
	begin(true, "nothing has come yet")
	begin(false, "while another one writes")
	go func() { taken <- o.await() }()
	o.addAnswer([]byte("answer"), maxAnswers)
	select {
	case <-taken:
		t.Fatal("two write at once")
	case <-time.After(20 * time.Millisecond):
	}
	a, b, c := framed(100, 'a'), framed(100, 'b'), framed(100, 'c')
	if n := o.finish(bytes.Join([][]byte{a, b, c}, nil), 130); n != 0 {
		t.Errorf("%d frames are dropped", n)
	}
	if !<-taken {
		t.Fatal("it has ended")
	}
	o.pass(closely)
	begin(false, "while what waits is written")
	frames, _, _ := o.take(nil)
	if want := bytes.Join([][]byte{b[30:], []byte("answer"), c}, nil); !bytes.Equal(frames, want) {
		t.Errorf("%q waits, want %q", frames, want)
	}
	go func() { taken <- o.await() }()
	for !o.begin() { // until all is written
		o.pass(closely)
	}
	o.finish(a, len(a))
	o.mu.Lock()
	o.wantedAt = time.Since(o.began) + closely // as if it were now, however busy the machine is
	o.mu.Unlock()
	begin(false, "closely behind")
	o.addMedia(a)
	if !<-taken {
		t.Fatal("it has ended")
	}
	o.end()
	o.pass(time.Second)
	begin(false, "behind the end")
}

// However slowly a client reads, who brings its data waits for nothing, and what the client gets is
// whole and in order, on TCP and on TLS.
func TestSlowStreamsGetWholeFrames(t *testing.T) {
	t.Parallel()
	for _, transport := range []string{"tcp", "tls"} {
		t.Run(transport, func(t *testing.T) {
			t.Parallel()
			r := newRigWith(t, withTLS(t), func(*Server) {})
			c := r.dial("tcp", "u", "p")
			if transport == "tls" {
				conn, err := tls.Dial("tcp", r.addr["tcp"], &tls.Config{InsecureSkipVerify: true})
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() { conn.Close() })
				c = r.clientOn(conn, "tcp")
			}
			c.allocate()
			at := wire.AddrPort(r.peer().LocalAddr())
			c.ok(wire.MethodChannelBind, withChannel(0x4000), withPeer(at.String()))
			a := r.s.books.list()[0]
			number, got := 0, atomic.Int64{}
			over := make(chan struct{})
			go func() { // the client
				defer close(over)
				for last := 0; ; {
					_, _, data := c.received()
					n, err := strconv.Atoi(data[:min(8, len(data))])
					if err != nil || n <= last || len(data) < 500 {
						t.Errorf("%d bytes, %.8q, come after number %d", len(data), data, last)
						return
					}
					if data[8] == 'e' {
						return
					}
					last = n
					if got.Add(1)%64 == 0 {
						time.Sleep(time.Millisecond)
					}
				}
			}()
			send := func(kind string, packets, size int) {
				var data [][]byte
				for range packets {
					number++
					data = append(data, append(fmt.Appendf(nil, "%08d%s", number, kind), make([]byte, size)...))
				}
				for list := arrived(new(wire.Buffer), at, data...); len(list) > 0; {
					run := wire.NextRun(list)
					list = list[len(run):]
					r.s.books.receive(a, run)
				}
			}
			for i := range 3000 {
				send("m", 1+i%9, 500+i%3*350)
				if i%10 == 0 {
					time.Sleep(closely) // so that the queue is empty now and then
				}
			}
			for {
				send("e", 1, 500)
				select {
				case <-over:
					t.Logf("%d of %d came", got.Load(), number)
					return
				case <-time.After(20 * time.Millisecond):
				}
			}
		})
	}
}
