//go:build unix

package signal_test

import (
	"context"
	"crypto/tls"
	"io"
	"math/rand/v2"
	"net"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"signalbox/signal"
)

// hidden is a connection whose socket is not known: it can't be parked.
type hidden struct{ net.Conn }

type hiding struct{ net.Listener }

func (l hiding) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return hidden{conn}, nil
}

// The kinds of connections: the last can't be parked.
func overTCP(*httptest.Server)           {}
func overTLS(server *httptest.Server)    { server.TLS = &tls.Config{} }
func overHidden(server *httptest.Server) { server.Listener = hiding{server.Listener} }

// overEach runs a test over each kind of connection, with goroutines that go at once.
func overEach(t *testing.T, opts signal.Options, test func(*testing.T, *box), tweak ...func(*signal.Limits)) {
	for name, change := range map[string]func(*httptest.Server){"TCP": overTCP, "TLS": overTLS, "hidden": overHidden} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, startServer(t, opts, change, append(tweak, goesAtOnce)...))
		})
	}
}

func goesAtOnce(l *signal.Limits) { l.Awake = time.Microsecond }

// quiet returns a client that has said hello and then nothing for a moment.
func (b *box) quiet(t *testing.T) *peerConn {
	c := b.hello(t, nil)
	c.settle()
	time.Sleep(10 * time.Millisecond) // it holds in any case; for the most part the client is waited for by then
	return c
}

func (b *box) empties(t *testing.T) {
	t.Helper()
	eventually(t, "no connection", func() bool { return b.Snapshot().Connections == 0 })
}

// The end of a connection is seen while nobody reads it, whichever side ends it, and how.
func TestEndWhileWaiting(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]func(*box, *peerConn){
		"closed by the client": func(_ *box, c *peerConn) { c.rawConn().Close() },
		"reset by the client": func(_ *box, c *peerConn) {
			tcpOf(c).SetLinger(0)
			tcpOf(c).Close()
		},
		"half closed by the client": func(_ *box, c *peerConn) { tcpOf(c).CloseWrite() },
		"said by the client":        func(_ *box, c *peerConn) { c.rawConn().Write(rawFrame(0x88, []byte{3, 232})) },
		"stopped": func(b *box, c *peerConn) {
			b.Find(c.id).Stop(signal.CodeKicked)
			c.expectError(signal.CodeKicked)
			c.expectClose(4504)
		},
		"in the middle of a frame": func(_ *box, c *peerConn) {
			c.rawConn().Write([]byte{0x81})
			io.Copy(io.Discard, c.rawConn())
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			overEach(t, signal.Options{}, func(t *testing.T, b *box) {
				end(b, b.quiet(t))
				b.empties(t)
			}, func(l *signal.Limits) { l.Frame = 100 * time.Millisecond })
		})
	}
}

func tcpOf(c *peerConn) *net.TCPConn {
	if secure, ok := c.rawConn().(*tls.Conn); ok {
		return secure.NetConn().(*net.TCPConn)
	}
	return c.rawConn().(*net.TCPConn)
}

// Nobody must be awake for a deadline to be kept.
func TestSilenceWhileWaiting(t *testing.T) {
	t.Parallel()
	t.Run("before the hello", func(t *testing.T) {
		overEach(t, signal.Options{}, func(t *testing.T, b *box) {
			c := b.dial(t)
			c.expectError(signal.CodeHelloFirst)
			b.empties(t)
		}, func(l *signal.Limits) { l.Hello = 100 * time.Millisecond })
	})
	t.Run("after it", func(t *testing.T) {
		overEach(t, signal.Options{Heartbeat: 100 * time.Millisecond}, func(t *testing.T, b *box) {
			c := b.quiet(t)
			c.ws.SetPingHandler(func(string) error { return nil })
			c.ws.ReadMessage() //nolint:errcheck // until the end
			b.empties(t)
		})
	})
	t.Run("broken by pongs", func(t *testing.T) {
		overEach(t, signal.Options{Heartbeat: time.Second}, func(t *testing.T, b *box) {
			c := b.quiet(t)
			c.ws.SetReadDeadline(time.Now().Add(3 * time.Second)) // it may be silent for 2.4
			if _, _, err := c.ws.ReadMessage(); !isTimeout(err) {
				t.Errorf("got %v", err)
			}
		})
	})
}

func isTimeout(err error) bool {
	timeout, ok := err.(net.Error)
	return ok && timeout.Timeout()
}

// A hub that closes tells clients that wait, and cuts those that don't react.
func TestCloseWhileWaiting(t *testing.T) {
	t.Parallel()
	overEach(t, signal.Options{}, func(t *testing.T, b *box) {
		clients := make([]*peerConn, 20)
		for i := range clients {
			clients[i] = b.quiet(t)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		b.Close(ctx) //nolint:errcheck // they don't react
		for _, c := range clients {
			c.expectError(signal.CodeShuttingDown)
			c.expectClose(4001)
		}
	}, func(l *signal.Limits) { l.Linger = time.Minute })
}

// What comes while a connection begins or ends to wait is heard, in order.
func TestTalkWhileWaiting(t *testing.T) {
	t.Parallel()
	overEach(t, signal.Options{Rate: 1e6}, func(t *testing.T, b *box) {
		var talking sync.WaitGroup
		for range 50 {
			c := b.hello(t, nil)
			talking.Go(func() {
				for n := range 100 {
					ping := rawFrame(0x81, []byte(`{"type":"ping"}`))
					frame := append(ping, ping...)
					cut := rand.IntN(len(frame))
					c.rawConn().Write(frame[:cut])
					if n%2 == 0 {
						time.Sleep(time.Duration(rand.IntN(300)) * time.Microsecond)
					}
					c.rawConn().Write(frame[cut:])
					for range 2 {
						if f, err := c.read(); err != nil || f["type"] != "pong" {
							t.Errorf("got %v, %v", f, err)
							return
						}
					}
				}
			})
		}
		talking.Wait()
	})
}

// TLS may have read more records than the one that ends with nothing to say, when a connection
// begins to wait.
func TestRecordsWhileWaiting(t *testing.T) {
	t.Parallel()
	b := startServer(t, signal.Options{Rate: 1e6}, overTLS, goesAtOnce)
	var cork *corked
	dialer := websocket.Dialer{NetDialTLSContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
		conn, err := net.Dial(network, addr)
		if err != nil {
			return nil, err
		}
		cork = &corked{Conn: conn}
		return tls.Client(cork, &tls.Config{InsecureSkipVerify: true}), nil
	}}
	ws, _, err := dialer.Dial(b.url(), nil)
	if err != nil {
		t.Fatal(err)
	}
	c := b.client(t, ws)
	c.send("hello", nil)
	c.expect("welcome")
	for range 20 {
		cork.held = []byte{}
		c.rawConn().Write(rawFrame(0x8a, nil)) // a pong, which keeps nobody awake
		c.send("ping", nil)
		cork.Conn.Write(cork.held)
		cork.held = nil
		c.expect("pong")
	}
}

// corked is a connection that holds back what is written while held is not nil.
type corked struct {
	net.Conn
	held []byte
}

func (c *corked) Write(b []byte) (int, error) {
	if c.held == nil {
		return c.Conn.Write(b)
	}
	c.held = append(c.held, b...)
	return len(b), nil
}
