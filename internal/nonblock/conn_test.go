package nonblock

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"testing"
	"time"

	"signalbox/internal/testkit"
)

// patience bounds every wait for something that must come.
const patience = time.Minute

// TestMain fails the run if a goroutine outlives the tests.
func TestMain(m *testing.M) { testkit.Main(m, patience, "signalbox") }

// pair returns both ends of a TCP connection: as Listener has accepted it if wrapped, else as
// package net has; and the client's.
func pair(t *testing.T, wrapped bool) (near net.Conn, far *net.TCPConn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if wrapped {
		l = Listener(l)
	}
	dialed, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	near, err = l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		near.Close()
		dialed.Close()
	})
	return near, dialed.(*net.TCPConn)
}

type halfCloser interface {
	net.Conn
	CloseWrite() error
}

// noise is more than the kernel holds at a time.
func noise() []byte {
	all := make([]byte, 16<<20)
	random := rand.NewChaCha8([32]byte{})
	random.Read(all) //nolint:errcheck // it never fails
	return all
}

// What is written comes whole, in both directions at one time, and the end is io.EOF; after
// CloseWrite the other direction goes on.
func TestAllComesThrough(t *testing.T) {
	t.Parallel()
	near, far := pair(t, true)
	all := noise()
	results := make(chan error, 3)
	write := func(c halfCloser) {
		n, err := c.Write(all)
		if n != len(all) {
			err = errors.Join(err, io.ErrShortWrite)
		}
		results <- errors.Join(err, c.CloseWrite())
	}
	go write(near.(halfCloser))
	back := make(chan []byte, 1)
	go func() {
		got, err := io.ReadAll(far)
		results <- err
		back <- got
		write(far) // the other direction has ended already
	}()
	got, err := io.ReadAll(near)
	if err != nil || !bytes.Equal(got, all) {
		t.Errorf("%d bytes of %d were read: %v", len(got), len(all), err)
	}
	if !bytes.Equal(<-back, all) {
		t.Error("something else was written")
	}
	for range cap(results) {
		if err := <-results; err != nil {
			t.Error(err)
		}
	}
}

// io.Copy from a file, which the kernel does by itself, comes between writes as it was asked for.
func TestFilesComeInOrder(t *testing.T) {
	t.Parallel()
	near, far := pair(t, true)
	all := noise()
	name := filepath.Join(t.TempDir(), "noise")
	if err := os.WriteFile(name, all, 0o600); err != nil {
		t.Fatal(err)
	}
	file, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if _, ok := near.(io.ReaderFrom); !ok {
		t.Error("it would be copied through a buffer")
	}
	result := make(chan error)
	go func() {
		_, before := near.Write([]byte("<"))
		n, err := io.Copy(near, file)
		if n != int64(len(all)) {
			err = errors.Join(err, io.ErrShortWrite)
		}
		_, after := near.Write([]byte(">"))
		result <- errors.Join(before, err, after, near.Close())
	}()
	got, err := io.ReadAll(far)
	if err := errors.Join(err, <-result); err != nil {
		t.Error(err)
	}
	if !bytes.Equal(got, slices.Concat([]byte("<"), all, []byte(">"))) {
		t.Errorf("%d bytes of %d, or others", len(got), len(all)+2)
	}
}

// past is a deadline that is over.
func past() time.Time { return time.Now().Add(-time.Second) }

// cut has the client reset the connection, and waits until that is known here.
func cut(near net.Conn, far *net.TCPConn) error {
	err := errors.Join(far.SetLinger(0), far.Close())
	for deadline := time.Now().Add(patience); err == nil && time.Now().Before(deadline); {
		if _, failed := near.Write([]byte("?")); failed != nil {
			return nil
		}
	}
	return err
}

// How it ends, package net's connections and ours say alike.
func TestEndsAreAsOfPackageNet(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]func(near net.Conn, far *net.TCPConn) (int, error){
		"nothing is asked for": func(near net.Conn, _ *net.TCPConn) (int, error) { return near.Read(nil) },
		"nothing is written":   func(near net.Conn, _ *net.TCPConn) (int, error) { return near.Write(nil) },
		"the client is done": func(near net.Conn, far *net.TCPConn) (int, error) {
			return 0, errors.Join(far.Close(), second(near.Read(make([]byte, 1))))
		},
		"late, though something is there": func(near net.Conn, far *net.TCPConn) (int, error) {
			far.Write([]byte("x"))       //nolint:errcheck // nobody reads it
			near.SetReadDeadline(past()) //nolint:errcheck // the reading tells
			return near.Read(make([]byte, 1))
		},
		"late to write": func(near net.Conn, _ *net.TCPConn) (int, error) {
			near.SetWriteDeadline(past()) //nolint:errcheck // the writing tells
			return near.Write([]byte("x"))
		},
		"the deadline passes while nothing comes": func(near net.Conn, _ *net.TCPConn) (int, error) {
			near.SetReadDeadline(time.Now().Add(10 * time.Millisecond)) //nolint:errcheck // the reading tells
			return near.Read(make([]byte, 1))
		},
		"a new deadline after that": func(near net.Conn, far *net.TCPConn) (int, error) {
			near.SetReadDeadline(past())                       //nolint:errcheck // the reading tells
			near.Read(make([]byte, 1))                         //nolint:errcheck // late
			near.SetReadDeadline(time.Now().Add(patience))     //nolint:errcheck // the reading tells
			time.AfterFunc(0, func() { far.Write([]byte{1}) }) //nolint:errcheck // the reading tells
			return near.Read(make([]byte, 1))
		},
		"closed while it waits to read": func(near net.Conn, _ *net.TCPConn) (int, error) {
			time.AfterFunc(10*time.Millisecond, func() { near.Close() })
			return near.Read(make([]byte, 1))
		},
		"read after it was closed": func(near net.Conn, _ *net.TCPConn) (int, error) {
			near.Close()
			return near.Read(make([]byte, 1))
		},
		"written after it was closed": func(near net.Conn, _ *net.TCPConn) (int, error) {
			near.Close()
			return near.Write([]byte("x"))
		},
		"reset while it waits to read": func(near net.Conn, far *net.TCPConn) (int, error) {
			time.AfterFunc(10*time.Millisecond, func() { far.SetLinger(0); far.Close() }) //nolint:errcheck // as above
			return near.Read(make([]byte, 1))
		},
		"written after a reset": func(near net.Conn, far *net.TCPConn) (int, error) {
			if err := cut(near, far); err != nil {
				return 0, err
			}
			return near.Write([]byte("x"))
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var said [2]string
			for i := range said {
				n, err := end(pair(t, i == 1))
				said[i] = fmt.Sprint(n, " ", described(err))
			}
			if said[0] != said[1] {
				t.Errorf("package net says %s, we say %s", said[0], said[1])
			}
		})
	}
}

func second(_ int, err error) error { return err }

// described is what code asks of an error, and what is in a log.
func described(err error) string {
	if err == nil {
		return "no error"
	}
	var op *net.OpError
	if !errors.As(err, &op) {
		return fmt.Sprintf("%T %v", err, err)
	}
	var failed net.Error
	errors.As(err, &failed)
	return fmt.Sprintf("%T %s %s, from %T to %T: %v; timeout %v, deadline %v, closed %v, reset %v, pipe %v", err,
		op.Op, op.Net, op.Source, op.Addr, op.Err, failed.Timeout(), errors.Is(err, os.ErrDeadlineExceeded),
		errors.Is(err, net.ErrClosed), errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE))
}

// A write that somebody stops because nobody reads says how much has gone, and that is what comes.
func TestWriteIsCutShort(t *testing.T) {
	t.Parallel()
	for name, stop := range map[string]func(net.Conn) error{
		"by its deadline": func(near net.Conn) error { return near.SetWriteDeadline(past()) },
		"by closing":      net.Conn.Close,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			near, far := pair(t, true)
			all, written := noise(), make(chan int)
			go func() {
				n, err := near.Write(all)
				if !errors.Is(err, os.ErrDeadlineExceeded) && !errors.Is(err, net.ErrClosed) {
					t.Errorf("it ends with %v", err)
				}
				written <- n
			}()
			first := make([]byte, 1)
			if _, err := far.Read(first); err != nil { // it has begun
				t.Fatal(err)
			}
			if err := stop(near); err != nil {
				t.Fatal(err)
			}
			n := <-written
			near.Close()
			rest, err := io.ReadAll(far)
			if got := append(first, rest...); err != nil || n >= len(all) || !bytes.Equal(got, all[:n]) {
				t.Errorf("%d bytes came of %d that were written, of %d: %v", len(got), n, len(all), err)
			}
		})
	}
}

// Whoever needs the socket itself finds it: by NetConn, or as package net's connection gives it.
func TestConnIsKnownBelow(t *testing.T) {
	t.Parallel()
	near, _ := pair(t, true)
	if _, ok := near.(syscall.Conn); !ok {
		t.Error("it gives no socket")
	}
	if above, ok := near.(interface{ NetConn() net.Conn }); ok {
		near = above.NetConn()
	}
	if _, ok := near.(*net.TCPConn); !ok {
		t.Errorf("below is a %T", near)
	}
	ours, theirs := net.Pipe()
	defer theirs.Close()
	defer ours.Close()
	if Conn(ours) != ours {
		t.Error("what isn't TCP is another one")
	}
}
