package signalbox

import (
	"bytes"
	"errors"
	"log/slog"
	"net"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// poorListener has no file descriptor to give for the first few connections.
type poorListener struct {
	conns  chan net.Conn
	errors int
}

func (l *poorListener) Accept() (net.Conn, error) {
	if l.errors > 0 {
		l.errors--
		return nil, &net.OpError{Op: "accept", Net: "tcp", Err: errors.Join(syscall.EMFILE)}
	}
	if conn, ok := <-l.conns; ok {
		return conn, nil
	}
	return nil, net.ErrClosed
}
func (l *poorListener) Close() error   { close(l.conns); return nil }
func (l *poorListener) Addr() net.Addr { return &net.TCPAddr{} }

func TestAbuse29AcceptOutlastsErrors(t *testing.T) {
	t.Parallel()
	var said bytes.Buffer
	e := &edge{log: slog.New(slog.NewTextHandler(&said, nil))}
	l := &poorListener{conns: make(chan net.Conn, 1), errors: 5}
	served := make(chan struct{})
	var wg sync.WaitGroup
	done := make(chan struct{})
	go func() {
		defer close(done)
		e.accept(l, &wg, func(conn net.Conn) { conn.Close(); close(served) })
	}()
	a, b := net.Pipe()
	defer a.Close()
	l.conns <- b
	select {
	case <-served:
	case <-time.After(patience):
		t.Fatal("the connection after the errors is not served")
	}
	l.Close()
	<-done
	wg.Wait()
	if n := strings.Count(said.String(), "\n"); n != 1 {
		t.Errorf("five errors in a row were logged %d times, want once", n)
	}
}

func TestAbuse30HalfTLSHandshakesAreReaped(t *testing.T) {
	t.Parallel()
	app := startApp(t)
	hello := []byte{0x16, 0x03, 0x01, 0x02, 0x00, 0x01, 0x00, 0x01, 0xFC, 0x03, 0x03} // a ClientHello's beginning
	began := time.Now()
	var conns []net.Conn
	for i := range 100 {
		conn, err := net.Dial("tcp", app.Addrs().WebTLS)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		if _, err := conn.Write(hello[:i%(len(hello)+1)]); err != nil {
			t.Fatal(err)
		}
		conns = append(conns, conn)
	}
	for i, conn := range conns {
		if err := conn.SetReadDeadline(began.Add(openTimeout + patience)); err != nil {
			t.Fatal(err)
		}
		var timeout net.Error
		if _, err := conn.Read(make([]byte, 1)); err == nil || errors.As(err, &timeout) && timeout.Timeout() {
			t.Fatalf("%d bytes of a handshake keep a connection open for %v", i%(len(hello)+1), time.Since(began))
		}
	}
}
