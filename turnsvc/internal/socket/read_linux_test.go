//go:build linux && (amd64 || arm64 || riscv64 || loong64)

package socket

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"signalbox/internal/testkit"
	"signalbox/turnsvc/internal/wire"
)

// patience bounds every wait for something that must come.
const patience = 30 * time.Second

func TestMain(m *testing.M) { testkit.Main(m, patience, "signalbox/turnsvc") }

// lines is a log.
type lines struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lines) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(b)
}

func (l *lines) count() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Count(l.b.String(), "\n")
}

// watched is a socket that is read in the background.
type watched struct {
	t      *testing.T
	socket controller
	relay  *Relay // nil: package net has the socket
	at     netip.AddrPort
	faults atomic.Int64
	logged lines
	got    chan string
	hold   chan struct{} // the reader waits for it to be closed after each datagram
	close  func()
	done   chan struct{} // closed when the reader has ended
}

// handle is what the reader hands datagrams to.
func (w *watched) handle(list []wire.Datagram) {
	for _, d := range list {
		w.got <- string(d.Data())
		<-w.hold
	}
}

// open opens a socket of package net, and has Read read it.
func (w *watched) open(t *testing.T, faults *Faults) {
	conn, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	w.socket, w.at, w.close = rawConn(t, conn), wire.AddrPort(conn.LocalAddr()), func() { conn.Close() }
	go func() {
		defer close(w.done)
		Read(conn, faults, w.handle)
	}()
}

// openRelay opens a relay, and has readers of its own read it.
func (w *watched) openRelay(t *testing.T, faults *Faults) {
	readers, err := NewReaders(faults)
	if err != nil {
		t.Fatal(err)
	}
	w.relay = openRelay(t, "127.0.0.1")
	w.socket, w.at = w.relay, w.relay.boundTo(t)
	if err := readers.Read(w.relay, w.handle); err != nil {
		t.Fatal(err)
	}
	w.close = sync.OnceFunc(func() {
		w.relay.Close()
		go func() {
			defer close(w.done)
			readers.Close()
		}()
	})
}

// boundTo is the address that the system has found for a relay.
func (r *Relay) boundTo(t *testing.T) netip.AddrPort {
	t.Helper()
	var at syscall.Sockaddr
	var err error
	if cerr := r.Control(func(fd uintptr) { at, err = syscall.Getsockname(int(fd)) }); cerr != nil || err != nil {
		t.Fatal(cerr, err)
	}
	return netip.AddrPortFrom(r.Addr.Addr(), uint16(at.(*syscall.SockaddrInet4).Port))
}

// eachReader runs a test on a socket that Read reads, and on a relay's.
func eachReader(t *testing.T, test func(t *testing.T, w *watched)) {
	for name, open := range map[string]func(*watched, *testing.T, *Faults){
		"Read": (*watched).open, "Relay": (*watched).openRelay,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := &watched{t: t, got: make(chan string, 10), hold: make(chan struct{}), done: make(chan struct{})}
			faults := NewFaults(func() { w.faults.Add(1) }, slog.New(slog.NewTextHandler(&w.logged, nil)))
			open(w, t, faults)
			over := make(chan struct{})
			var running sync.WaitGroup
			running.Go(func() { faults.Run(over) })
			defer running.Wait()
			defer close(over)
			defer func() {
				w.close()
				<-w.done
			}()
			test(t, w)
		})
	}
}

// control runs f with the socket's file descriptor.
func (w *watched) control(f func(fd int) error) {
	w.t.Helper()
	var err error
	if cerr := w.socket.Control(func(fd uintptr) { err = f(int(fd)) }); cerr != nil || err != nil {
		w.t.Fatal(cerr, err)
	}
}

func (w *watched) say(words string) {
	w.t.Helper()
	conn, err := net.Dial("udp4", w.at.String())
	if err != nil {
		w.t.Fatal(err)
	}
	defer conn.Close()
	if _, err := conn.Write([]byte(words)); err != nil {
		w.t.Fatal(err)
	}
}

func (w *watched) eventually(what string, done func() bool) {
	w.t.Helper()
	for deadline := time.Now().Add(patience); !done(); {
		if time.Now().After(deadline) {
			w.t.Fatalf("waited in vain: %s", what)
		}
		time.Sleep(time.Millisecond)
	}
}

// What an ICMP message says of a packet that was sent is counted and logged once, and holds up
// nothing.
func TestErrorsOfEarlierPackets(t *testing.T) {
	t.Parallel()
	eachReader(t, func(t *testing.T, w *watched) {
		w.control(func(fd int) error { return syscall.SetsockoptInt(fd, syscall.IPPROTO_IP, syscall.IP_RECVERR, 1) })
		nobody, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
		if err != nil {
			t.Fatal(err)
		}
		to := wire.AddrPort(nobody.LocalAddr())
		nobody.Close()
		close(w.hold)
		const packets = 30
		for i := range packets {
			// The answer to the one before may be reported here instead, and is then no read error.
			for {
				if err := (direct{w.socket}).send([]byte("anybody there?"), to, 0); err == nil {
					break
				} else if !errors.Is(err, syscall.ECONNREFUSED) {
					t.Fatal(err)
				}
			}
			w.eventually("the error is counted", func() bool { return w.faults.Load() > int64(i) })
		}
		w.say("hello")
		if got := <-w.got; got != "hello" {
			t.Errorf("got %q", got)
		}
		w.eventually("it is logged", func() bool { return w.logged.count() > 0 })
		if n := w.logged.count(); n != 1 {
			t.Errorf("%d lines are logged, want 1", n)
		}
	})
}

// A socket that has nothing but errors is tried less and less often, is logged once, and its reader
// ends when it is closed, however long it would have waited.
func TestErrorsThatLast(t *testing.T) {
	t.Parallel()
	eachReader(t, func(t *testing.T, w *watched) {
		stream, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
		if err != nil {
			t.Fatal(err)
		}
		defer syscall.Close(stream)
		w.say("hello")
		<-w.got
		for range readBatch { // after as many as that, there may be more, and it reads on
			w.say("hello")
		}
		w.hold <- struct{}{}
		<-w.got
		// From the next read on this is a socket without a connection, as every read says.
		w.control(func(fd int) error { return syscall.Dup3(stream, fd, syscall.O_CLOEXEC) })
		if w.relay != nil {
			if err := w.relay.watch.control(syscall.EPOLL_CTL_ADD, &w.relay.relaySocket); err != nil {
				t.Fatal(err)
			}
		}
		began := time.Now()
		close(w.hold)
		const errs = 9
		w.eventually("the errors are counted", func() bool { return w.faults.Load() >= errs })
		if passed, least := time.Since(began), (1<<(errs-2)-1)*minPause; passed < least {
			t.Errorf("%d errors in %v, want a pause that doubles", errs, passed)
		}
		w.eventually("it is logged", func() bool { return w.logged.count() > 0 })
		if n := w.logged.count(); n != 1 {
			t.Errorf("%d lines are logged, want 1", n)
		}
		w.close()
		select {
		case <-w.done:
		case <-time.After(patience):
			t.Fatal("the reader of a closed socket goes on")
		}
	})
}

// The pause is bounded, ends with the first datagram, and at once when the socket is closed.
func TestPause(t *testing.T) {
	t.Parallel()
	conn, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	raw := rawConn(t, conn)
	faults := NewFaults(func() {}, slog.New(slog.DiscardHandler))
	trouble := trouble{faults: faults, pause: maxPause}
	began := time.Now()
	conn.Close()
	if trouble.with(syscall.ENOMEM, raw) {
		t.Error("a closed socket is read on")
	}
	if passed := time.Since(began); passed >= maxPause {
		t.Errorf("it took %v to see that the socket is closed", passed)
	}
	if trouble.pause != maxPause {
		t.Errorf("the pause has grown to %v", trouble.pause)
	}
	if trouble.over(); trouble.pause != 0 {
		t.Error("the pause outlasts a datagram")
	}
}

// stuck is a log that takes nothing until it is closed.
type stuck chan struct{}

func (s stuck) Write(b []byte) (int, error) {
	<-s
	return len(b), nil
}

// A log that is stuck holds up nobody who reads.
func TestAStuckLogHoldsUpNobody(t *testing.T) {
	t.Parallel()
	log, counted := make(stuck), 0
	f := NewFaults(func() { counted++ }, slog.New(slog.NewTextHandler(log, nil)))
	done := make(chan struct{})
	var running sync.WaitGroup
	running.Go(func() { f.Run(done) })
	const kinds = 50
	for kind := range syscall.Errno(kinds) {
		f.note(kind, kind)
	}
	if counted != kinds {
		t.Errorf("%d of %d errors are counted", counted, kinds)
	}
	close(done)
	close(log)
	running.Wait()
}

// The zone of a client is its interface's number: nobody has to be asked for that, and it leads
// back to where the client is.
func TestZonesAreNumbers(t *testing.T) {
	t.Parallel()
	r := receiver{zoned: true}
	o, _ := outlets(t, listen(t, "udp4", "127.0.0.1"))
	for _, index := range []uint32{1, 7, 123456} {
		from := r.source(&syscall.RawSockaddrInet6{
			Family: syscall.AF_INET6, Addr: [16]byte{0xfe, 0x80, 15: 1}, Scope_id: index,
		})
		if want := fmt.Sprint("[fe80::1%", index, "]:0"); from.String() != want {
			t.Errorf("interface %d: %v, want %s", index, from, want)
		}
		if got := o.scope(from.Addr().Zone()); got != index {
			t.Errorf("interface %d: scope %d", index, got)
		}
	}
	lo, err := net.InterfaceByName("lo")
	if err != nil {
		t.Fatal(err)
	}
	if sa := sockaddr(netip.MustParseAddrPort("[fe80::1%lo]:9")).(*unix.SockaddrInet6); int(sa.ZoneId) != lo.Index {
		t.Errorf("a relay would be opened at interface %d, want %d", sa.ZoneId, lo.Index)
	}
}
