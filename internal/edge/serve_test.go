package edge

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

	"signalbox/internal/testkit"
)

// patience bounds every wait for something that must come.
const patience = time.Minute

// TestMain fails the run if a goroutine outlives the tests.
func TestMain(m *testing.M) { testkit.Main(m, patience, "signalbox") }

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
	e := New(Options{Log: slog.New(slog.NewTextHandler(&said, nil))})
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
