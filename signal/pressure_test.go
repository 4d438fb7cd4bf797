//go:build unix

package signal_test

import (
	"bytes"
	"compress/flate"
	"context"
	"encoding/binary"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"signalbox/signal"
	"signalbox/signal/native"
	"signalbox/signal/ws"
)

// What a stranger can make the hub do below its frames. A frame of a client is masked; the mask of
// zeros leaves it as it is (RFC 6455 §5.3).

// rawFrame is a client's frame; first is its first byte.
func rawFrame(first byte, payload []byte) []byte {
	out := []byte{first}
	if n := len(payload); n < 126 {
		out = append(out, 0x80|byte(n))
	} else {
		out = binary.BigEndian.AppendUint16(append(out, 0x80|126), uint16(n))
	}
	return append(append(out, 0, 0, 0, 0), payload...)
}

// flood writes the same bytes, many at once, as fast as they are taken, for so long or until the
// connection breaks. It returns how often they were taken, and what CPU time that took.
func flood(t *testing.T, conn net.Conn, piece []byte, long time.Duration) (taken int, cpu float64) {
	t.Helper()
	many := bytes.Repeat(piece, 1+64<<10/len(piece))
	before, end := cpuSeconds(), time.Now().Add(long)
	conn.SetWriteDeadline(end)
	written := 0
	for {
		n, err := conn.Write(many)
		written += n
		if err != nil {
			return written / len(piece), cpuSeconds() - before
		}
	}
}

// Pongs that nobody has asked for count like pings.
func TestHub3UnsolicitedPongs(t *testing.T) {
	t.Parallel()
	b := start(t, signal.Options{Rate: 5}, patientEnd)
	c := b.hello(t, nil)
	for range 200 {
		if c.ws.WriteControl(websocket.PongMessage, []byte("0"), time.Now().Add(patience)) != nil {
			break
		}
	}
	c.expectError(signal.CodeRateLimited)
	c.expectClose(4003)
}

// An answer to a ping of the hub's is free, however often the hub pings.
func TestHub3AnsweredPings(t *testing.T) {
	t.Parallel()
	b := start(t, signal.Options{Rate: 0.01, Heartbeat: time.Second})
	c := b.hello(t, nil)
	pings := 0
	c.ws.SetPingHandler(func(payload string) error {
		if pings++; pings == 6 { // where one is taken, and two are refused
			defer c.rawConn().SetReadDeadline(time.Unix(1, 0))
		}
		return c.ws.WriteControl(websocket.PongMessage, []byte(payload), time.Now().Add(patience))
	})
	if f, err := c.read(); err == nil {
		t.Errorf("got %v", f)
	}
	if pings < 6 || b.Snapshot().Refusals[signal.CodeRateLimited] != 0 {
		t.Errorf("after %d pings: %v", pings, b.Snapshot().Refusals)
	}
}

// Empty pieces of a message that never ends are read slowly, and the message ends the connection.
func TestHub3EmptyContinuations(t *testing.T) {
	t.Parallel()
	b := start(t, signal.Options{Rate: 100}, func(l *signal.Limits) {
		l.Volume = 1 << 14
		l.Frame = 2 * time.Second
	})
	c := b.hello(t, nil)
	conn := c.rawConn()
	conn.Write(rawFrame(0x01, []byte(`{"type":`)))
	taken, cpu := flood(t, conn, rawFrame(0x00, nil), patience)
	t.Logf("%d frames taken; %.2f s of CPU time", taken, cpu)
	// Buffers of the kernel take megabytes. The hub reads 128 KiB at once, then 32 KiB a second.
	if most := 16 << 20 / 6; taken > most {
		t.Errorf("%d frames taken, more than %d", taken, most)
	}
	eventually(t, "the connection is over", func() bool { return b.Snapshot().Connections == 0 })
}

// A message that has begun must end in time, whatever comes meanwhile.
func TestHub3UnfinishedFrame(t *testing.T) {
	t.Parallel()
	for name, pieces := range map[string][2][]byte{
		"a half header":  {{0x81}, nil},
		"a half frame":   {rawFrame(0x81, make([]byte, 100))[:50], nil},
		"drop by drop":   {rawFrame(0x81, make([]byte, 60_000))[:8], {'x'}},
		"piece by piece": {rawFrame(0x01, []byte("x")), rawFrame(0x00, []byte("x"))},
		"pings in it":    {rawFrame(0x01, []byte("x")), rawFrame(0x89, []byte("x"))},
		"a half ping":    {rawFrame(0x89, make([]byte, 100))[:50], nil},
		"a large half":   {rawFrame(0x82, make([]byte, 60_000))[:30_000], nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := start(t, signal.Options{}, func(l *signal.Limits) { l.Frame = 500 * time.Millisecond })
			c := b.hello(t, nil)
			conn := c.rawConn()
			began := time.Now()
			conn.Write(pieces[0])
			tick := time.NewTicker(20 * time.Millisecond)
			defer tick.Stop()
			for b.Snapshot().Connections > 0 {
				if time.Since(began) > patience {
					t.Fatal("the connection is still there")
				}
				<-tick.C
				conn.Write(pieces[1])
			}
			if took := time.Since(began); took < 400*time.Millisecond {
				t.Errorf("over after %v already", took)
			}
		})
	}
}

// What is half read counts in the memory of the hub, as much as it takes.
func TestHub3HalfFramesCount(t *testing.T) {
	t.Parallel()
	b := start(t, signal.Options{})
	c := b.hello(t, nil)
	eventually(t, "an idle session holds nothing", func() bool { return b.Stored() == 0 })
	c.rawConn().Write(rawFrame(0x82, make([]byte, 60_000))[:50_000])
	eventually(t, "it is counted", func() bool { return b.Stored() >= 50_000 })
	if n := b.Stored(); n > 80_000 {
		t.Errorf("%d bytes are held for 50,000", n)
	}
}

// Small messages that inflate to large ones cost a client what they inflate to: it is read slowly.
// Beyond its limits it is ended without another one being inflated.
func TestHub3DeflateBombs(t *testing.T) {
	t.Parallel()
	const size, rate = 63 << 10, 5
	flooded := func(t *testing.T, volume int, long time.Duration) (c *peerConn, inflated int) {
		b := start(t, signal.Options{Rate: rate}, patientEnd, func(l *signal.Limits) { l.Volume = volume })
		ws, _, err := (&websocket.Dialer{EnableCompression: true}).Dial(b.url(), nil)
		if err != nil {
			t.Fatal(err)
		}
		c = b.client(t, ws)
		c.send("hello", nil)
		c.expect("welcome")
		before := b.Snapshot().Counters.BytesIn
		taken, cpu := flood(t, c.rawConn(), bomb(t, size), long)
		inflated = int(b.Snapshot().Counters.BytesIn - before)
		t.Logf("%d bombs were taken, and %d KiB inflated; %.2f s of CPU time", taken, inflated>>10, cpu)
		return c, inflated
	}
	t.Run("slowly", func(t *testing.T) {
		t.Parallel()
		const volume = 16 << 10
		began := time.Now()
		_, inflated := flooded(t, volume, 2*time.Second)
		// Twice the volume is read, and four seconds' worth at once.
		if most := 2*volume*(4+int(time.Since(began).Seconds()+1)) + size; inflated > most {
			t.Errorf("%d bytes inflated, more than %d", inflated, most)
		}
	})
	t.Run("to the end", func(t *testing.T) {
		t.Parallel()
		began := time.Now()
		c, inflated := flooded(t, 1<<20, patience)
		// It may send 20, and be refused 40, and each second gives some more of both.
		if most := size * (60 + 3*rate*(1+int(time.Since(began).Seconds()+1))); inflated > most {
			t.Errorf("%d bytes inflated, more than %d", inflated, most)
		}
		c.expectClose(4003)
	})
}

// bomb is a compressed message that inflates to so many bytes.
func bomb(t *testing.T, size int) []byte {
	t.Helper()
	var out bytes.Buffer
	w, err := flate.NewWriter(&out, flate.BestCompression)
	if err != nil {
		t.Fatal(err)
	}
	io.WriteString(w, `{"type":"ping","x":"`+strings.Repeat("x", size-22)+`"}`)
	w.Flush()
	return rawFrame(0xc1, bytes.TrimSuffix(out.Bytes(), []byte("\x00\x00\xff\xff")))
}

// Goroutines come and go while frames do: nothing is lost, doubled or out of order, and nobody
// sleeps through a wake.
func TestNothingIsLostBetweenGoroutines(t *testing.T) {
	t.Parallel()
	b := start(t, signal.Options{}, func(l *signal.Limits) { l.Awake = time.Microsecond })
	alice, bob := b.join(t, "tea", "Alice"), b.join(t, "tea", "Bob")
	alice.expect("peer-joined")
	for n := range 2000 {
		bob.send("signal", frame{"to": alice.id, "room": "tea", "data": n})
		if n%3 == 0 {
			bob.settle()
		}
		if f := alice.expect("signal"); f["data"] != float64(n) {
			t.Fatalf("got %v, want %d", f, n)
		}
	}
}

// A dialect that panics while it encodes ends its session, and only that.
func TestPanicWhileWriting(t *testing.T) {
	t.Parallel()
	h := newHub(t, signal.Options{})
	b := &box{Hub: h, native: native.New(h)}
	sockets := ws.New(h)
	b.server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		sockets.Serve(w, r, mute{b.native.Dialect()})
	}))
	defer b.server.Close()
	defer b.Close(context.Background())
	alice, bob := b.hello(t, frame{"name": "Alice"}), b.dial(t)
	bob.send("hello", frame{"name": "mute"})
	bob.rawConn().SetReadDeadline(time.Now().Add(patience))
	io.Copy(io.Discard, bob.rawConn())
	eventually(t, "one is over", func() bool { return b.Snapshot().Connections == 1 })
	alice.settle()
}

// mute is a dialect that breaks when it welcomes somebody of that name.
type mute struct{ signal.Dialect }

func (d mute) Encode(dst []signal.Frame, e signal.Event) []signal.Frame {
	if w, ok := e.(signal.Welcome); ok && w.Name == "mute" {
		panic("on purpose")
	}
	return d.Dialect.Encode(dst, e)
}

// Messages arrive whole, however they are cut.
func TestFragments(t *testing.T) {
	t.Parallel()
	b := start(t, signal.Options{Rate: 1000})
	alice, bob := b.join(t, "tea", "Alice"), b.join(t, "tea", "Bob")
	alice.expect("peer-joined")
	for _, size := range []int{1, 100, 4000, 4096, 5000, 60_000} {
		data := strings.Repeat("x", size)
		message := []byte(`{"type":"broadcast","room":"tea","data":"` + data + `"}`)
		for _, piece := range []int{1, 7, 125, 126, 4096, 1 << 16} {
			if size/piece > 5000 {
				continue
			}
			var out []byte
			for first, rest := byte(0x01), message; ; first = 0x00 {
				n := min(piece, len(rest))
				if n == len(rest) {
					first |= 0x80
				}
				out = append(out, rawFrame(first, rest[:n])...)
				if rest = rest[n:]; len(rest) == 0 {
					break
				}
				out = append(out, rawFrame(0x8a, nil)...)
				if len(out) > 200 { // a pong counts
					out = out[:len(out)-6]
				}
			}
			bob.rawConn().Write(out)
			if f := alice.expect("broadcast"); f["data"] != data {
				t.Errorf("%d bytes in pieces of %d: got %d bytes", size, piece, len(f.text("data")))
			}
		}
	}
}

// Broken framing ends the connection, with the code that says so.
func TestBrokenFrames(t *testing.T) {
	t.Parallel()
	b := start(t, signal.Options{})
	for name, bytes := range map[string][]byte{
		"not masked":               {0x81, 0x01, 'x'},
		"an unknown opcode":        rawFrame(0x83, nil),
		"an unknown control":       rawFrame(0x8b, nil),
		"RSV1 without compression": rawFrame(0xc1, nil),
		"RSV2":                     rawFrame(0xa1, nil),
		"RSV3":                     rawFrame(0x91, nil),
		"a cut ping":               rawFrame(0x09, nil),
		"a long ping":              rawFrame(0x89, make([]byte, 126)),
		"nothing to go on with":    rawFrame(0x80, nil),
		"a message in another":     append(rawFrame(0x01, nil), rawFrame(0x81, nil)...),
		"half a close code":        rawFrame(0x88, []byte{3}),
		"a bad close code":         rawFrame(0x88, []byte{0, 1}),
		"a close without UTF-8":    rawFrame(0x88, []byte{3, 232, 0xff}),
	} {
		t.Run(name, func(t *testing.T) {
			c := b.hello(t, nil)
			c.rawConn().Write(bytes)
			c.expectClose(websocket.CloseProtocolError)
		})
	}
	for _, size := range []uint64{1 << 20, 1 << 62, 1<<64 - 1} {
		c := b.hello(t, nil)
		c.rawConn().Write(binary.BigEndian.AppendUint64([]byte{0x81, 0xff}, size))
		c.rawConn().Write(make([]byte, 4))
		c.expectError(signal.CodeTooLarge)
		c.expectClose(4501)
	}
}
