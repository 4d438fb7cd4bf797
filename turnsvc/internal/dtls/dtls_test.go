package dtls

import (
	"context"
	"crypto/tls"
	"encoding/binary"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pion/dtls/v3"
	"github.com/pion/logging"

	"signalbox/internal/testkit"
	"signalbox/turnsvc/internal/socket"
	"signalbox/turnsvc/internal/wire"
)

// patience bounds every wait for something that must come.
const patience = 30 * time.Second

func TestMain(m *testing.M) { testkit.Main(m, patience, "signalbox/turnsvc") }

func listenLoopback(t testing.TB) *net.UDPConn {
	t.Helper()
	conn, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

// newServer echoes what its clients say.
func newServer(t testing.TB) *Server {
	t.Helper()
	pair := testkit.Certificate(t)
	return NewServer(Options{
		Certificate: func(string) (*tls.Certificate, error) { return pair, nil },
		Serve:       func(c net.Conn) { io.Copy(c, c); c.Close() }, //nolint:errcheck // it ends with the connection
		Safely:      func(_ string, f func()) { f() },
		Dropped:     func() {}, Failed: func() {},
		Now: time.Now, Log: logging.NewDefaultLoggerFactory(),
	})
}

// rig is a server on a socket on loopback.
type rig struct {
	t       testing.TB
	s       *Server
	at      netip.AddrPort
	dropped atomic.Int64
}

func newRig(t testing.TB) *rig {
	t.Helper()
	conn := listenLoopback(t)
	r := &rig{t: t, s: newServer(t), at: wire.AddrPort(conn.LocalAddr())}
	r.s.o.Dropped = func() { r.dropped.Add(1) }
	front := r.s.NewFront(conn.LocalAddr(), through(conn))
	var running sync.WaitGroup
	running.Go(func() {
		socket.Read(conn, socket.NewFaults(func() {}, slog.New(slog.DiscardHandler)),
			func(list []wire.Datagram) {
				for _, d := range list {
					front.Receive(d.Data(), d.From)
				}
			})
	})
	t.Cleanup(func() {
		conn.Close()
		running.Wait()
		front.Close()
	})
	return r
}

// through sends through a socket.
func through(conn *net.UDPConn) Send {
	return func(b []byte, to netip.AddrPort, _ bool) { conn.WriteToUDPAddrPort(b, to) } //nolint:errcheck // UDP
}

func (r *rig) write(from *net.UDPConn, datagram []byte) {
	r.t.Helper()
	if _, err := from.WriteToUDPAddrPort(datagram, r.at); err != nil {
		r.t.Fatal(err)
	}
}

// shakeHands makes a DTLS connection from a socket, which it then owns.
func (r *rig) shakeHands(from *net.UDPConn) *dtls.Conn {
	r.t.Helper()
	c, err := dtls.ClientWithOptions(from, net.UDPAddrFromAddrPort(r.at), dtls.WithInsecureSkipVerify(true),
		dtls.WithFlightInterval(100*time.Millisecond))
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { c.Close() })
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := c.HandshakeContext(ctx); err != nil {
		r.t.Fatalf("DTLS handshake: %v", err)
	}
	return c
}

// echo fails unless the connection carries words there and back. Datagrams may get lost.
func (r *rig) echo(c *dtls.Conn, words string) {
	r.t.Helper()
	buf := make([]byte, MaxDatagram)
	eventually(r.t, "an echo comes back", func() bool {
		if _, err := c.Write([]byte(words)); err != nil {
			r.t.Fatal(err)
		}
		if err := c.SetReadDeadline(time.Now().Add(100 * time.Millisecond)); err != nil {
			r.t.Fatal(err)
		}
		n, err := c.Read(buf)
		return err == nil && string(buf[:n]) == words
	})
}

func eventually(t testing.TB, what string, done func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !done(); {
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain: %s", what)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

func (r *rig) handshaking() int {
	r.s.handshakes.mu.Lock()
	defer r.s.handshakes.mu.Unlock()
	return len(r.s.handshakes.all)
}

// Spoofed ClientHellos cost a bounded amount of everything, don't hold up the socket's other
// clients, and leave nothing behind.
func TestDTLSFloodOfClientHellos(t *testing.T) {
	r := newRig(t)
	r.s.handshakes.hellos.SetLimit(1 << 20) // what is held is looked at here, not what it costs in time
	socket := listenLoopback(t)
	f := r.s.NewFront(socket.LocalAddr(), through(socket))
	before := runtime.NumGoroutine()
	hello := clientHello(nil)
	most := 0
	start := time.Now()
	const flood = 20000
	for i := range flood {
		// The answers go to ports of loopback's where nobody listens.
		f.Receive(hello, netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 1, byte(i >> 8), byte(i)}), 9))
		most = max(most, r.handshaking())
	}
	t.Logf("%v for a ClientHello, %d goroutines for %d handshakes", time.Since(start)/flood,
		runtime.NumGoroutine()-before, r.handshaking())
	if most > handshakeLimit {
		t.Errorf("%d handshakes at once, want %d at most", most, handshakeLimit)
	}
	if n := runtime.NumGoroutine() - before; n > 8*handshakeLimit {
		t.Errorf("%d goroutines", n)
	}
	r.echo(r.shakeHands(listenLoopback(t)), "hello") // an honest client gets through, if not at once
	eventually(t, "handshakes that go nowhere end", func() bool { return r.handshaking() == 0 })
	f.Close()
	if len(f.peers) != 0 {
		t.Errorf("%d clients are left", len(f.peers))
	}
}

// Those whose cookie is still out make room for others; who has proven to receive at its address
// stays.
func TestDTLSFloodGivesUpUnprovenHandshakesOnly(t *testing.T) {
	t.Parallel()
	h := newHandshakes(time.Now)
	from := func(i int) *pipe {
		return newPipe(nil, netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 1, byte(i >> 8), byte(i)}), 9))
	}
	over := func(p *pipe) bool {
		_, err := p.in.Write([]byte{0})
		return err != nil
	}
	honest, embryo := from(0), from(1)
	if !h.begin(honest) || !h.begin(embryo) {
		t.Fatal("no room")
	}
	h.proven(honest)
	h.hellos.SetLimit(1 << 20)
	for i := 2; len(h.all) < handshakeLimit; i++ {
		h.begin(from(i))
	}
	for i := range 10 * handshakeLimit {
		if p := from(1000 + i); h.begin(p) {
			t.Fatal("there is room beyond the limit")
		}
	}
	if over(honest) {
		t.Error("a handshake that has proven its address was given up")
	}
	if !over(embryo) || len(h.unproven) != 0 {
		t.Errorf("%d handshakes without proof are left", len(h.unproven))
	}
	h.end(embryo)
	if !h.begin(from(9999)) {
		t.Error("no room where one has ended")
	}
}

func TestDTLSHandshakesOfOneSource(t *testing.T) {
	t.Parallel()
	h := newHandshakes(time.Now)
	begun := 0
	for port := range uint16(100) {
		if h.begin(newPipe(nil, netip.AddrPortFrom(netip.MustParseAddr("2001:db8::1"), 1000+port))) {
			begun++
		}
	}
	if begun != handshakePerSource {
		t.Errorf("%d handshakes of one source, want %d", begun, handshakePerSource)
	}
	if !h.begin(newPipe(nil, netip.MustParseAddrPort("[2001:db8:0:1::1]:1000"))) {
		t.Error("another source finds no room")
	}
}

// What is never going to be a handshake costs no more than a look.
func TestDTLSFrontIgnoresWhatBeginsNothing(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	client := listenLoopback(t)
	for _, datagram := range [][]byte{
		record(contentApplication, 1, 1, 1), record(contentAlert, 0, 1, 2, 40),
		clientHello([]byte("a cookie of nobody's")), {22, 254, 253, 0}, make([]byte, 20),
	} {
		datagram[0] = max(datagram[0], firstByte)
		r.write(client, datagram)
	}
	eventually(t, "they are counted", func() bool { return r.dropped.Load() == 5 })
	if n := r.handshaking(); n != 0 {
		t.Errorf("%d handshakes", n)
	}
}

// What somebody else sends with the client's address ends nothing: pion would take an alert that
// nobody has signed for the client's.
func TestDTLSConnectionOutlivesForgedDatagrams(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	socket := listenLoopback(t)
	client := r.shakeHands(socket)
	r.echo(client, "hello")
	for range 20 {
		for _, forged := range [][]byte{
			record(contentAlert, 0, 9, 2, 40), record(contentAlert, 0, 10, 1, 0),
			record(contentApplication, 0, 11, 1, 2, 3),
			record(contentAlert, 1, 99, 2, 40), record(contentApplication, 1, 99, 1, 2, 3, 4),
			record(contentApplication, 2, 1, 1),
			record(contentCipherSpec, 0, 12, 1), record(contentHandshake, 0, 13, make([]byte, 20)...),
			record(contentHandshake, 1, 100, make([]byte, 40)...),
			record(24, 1, 1, 1), record(contentApplication, 1, 101, make([]byte, 9000)...), clientHello(nil), {22},
			{63, 1, 2, 3, 4, 5},
			append(record(contentApplication, 1, 102, 1), record(contentAlert, 0, 14, 2, 40)...),
		} {
			r.write(socket, forged)
		}
	}
	// The flood may push some of the client's own datagrams out.
	r.echo(client, "still here")
}

// record is a DTLS record.
func record(content byte, epoch uint16, seq byte, fragment ...byte) []byte {
	b := []byte{content, 0xFE, 0xFD, byte(epoch >> 8), byte(epoch), 0, 0, 0, 0, 0, seq}
	return append(binary.BigEndian.AppendUint16(b, uint16(len(fragment))), fragment...)
}

// clientHello is the first message of a handshake, or with a cookie the second: P-256, ECDHE with
// ECDSA and AES-128-GCM.
func clientHello(cookie []byte) []byte {
	body := append([]byte{0xFE, 0xFD}, make([]byte, 32)...) // version, random
	body = append(body, 0, byte(len(cookie)))               // no session id
	body = append(body, cookie...)
	body = append(body, 0, 2, 0xC0, 0x2B, 1, 0) // cipher suite, no compression
	body = append(body, 0, 22,                  // extensions
		0, 10, 0, 4, 0, 2, 0, 23, // supported groups
		0, 13, 0, 4, 0, 2, 4, 3, // signature algorithms
		0, 11, 0, 2, 1, 0) // point formats
	if cookie != nil {
		return helloMessage(body, 1)
	}
	return helloMessage(body, 0)
}
