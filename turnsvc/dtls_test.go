package turnsvc

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/binary"
	"math/big"
	"net"
	"net/netip"
	"runtime"
	"testing"
	"time"

	"github.com/pion/dtls/v3"
	"github.com/pion/transport/v4/packetio"

	"signalbox/turnsvc/cred"
	"signalbox/turnsvc/internal/wire"
)

// withDTLS turns TURN over DTLS on.
func withDTLS(t testing.TB) func(*Options) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour),
		NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	pair := &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
	return func(o *Options) {
		o.DTLSCertificate = func(string) (*tls.Certificate, error) { return pair, nil }
	}
}

// dialDTLS opens a client over DTLS.
func (r *rig) dialDTLS(user, password string) *client {
	r.t.Helper()
	conn := listenLoopback(r.t)
	return &client{t: r.t, conn: r.shakeHands(conn), user: user, key: cred.LongTermKey(user, testRealm, password)}
}

// shakeHands makes a DTLS connection from a socket, which it then owns.
func (r *rig) shakeHands(from *net.UDPConn) *dtls.Conn {
	r.t.Helper()
	conn, err := r.tryHands(from)
	if err != nil {
		r.t.Fatalf("DTLS handshake: %v", err)
	}
	return conn
}

func (r *rig) tryHands(from *net.UDPConn) (*dtls.Conn, error) {
	r.t.Helper()
	to := net.UDPAddrFromAddrPort(netip.MustParseAddrPort(r.addr["udp"]))
	conn, err := dtls.ClientWithOptions(from, to, dtls.WithInsecureSkipVerify(true),
		dtls.WithFlightInterval(100*time.Millisecond))
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { conn.Close() })
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	return conn, conn.HandshakeContext(ctx)
}

func (r *rig) handshaking() int {
	r.s.dtls.mu.Lock()
	defer r.s.dtls.mu.Unlock()
	return len(r.s.dtls.all)
}

func TestDTLSCarriesFramesAsTheyAre(t *testing.T) {
	t.Parallel()
	r := newRig(t, withDTLS(t))
	c := r.dialDTLS("u", "p")
	peer := r.peer()
	at := peer.LocalAddr().String()
	relayed := c.allocate()
	if all := r.s.Snapshot().Allocations; len(all) != 1 || all[0].Transport != "dtls" {
		t.Errorf("the books have %+v, want one allocation over dtls", all)
	}
	c.ok(wire.MethodCreatePermission, withPeer(at))
	c.write(c.sendFrame(at, "by indication"))
	if data, from := readPeer(t, peer); data != "by indication" || from != relayed {
		t.Errorf("the peer got %q from %v", data, from)
	}
	if _, err := peer.WriteToUDPAddrPort([]byte("back"), relayed); err != nil {
		t.Fatal(err)
	}
	if p, _, data := c.received(); p.String() != at || data != "back" {
		t.Errorf("got %q of %v", data, p)
	}
	c.ok(wire.MethodChannelBind, withChannel(0x4001), withPeer(at))
	c.write(c.channelFrame(0x4001, "odd"))
	if data, _ := readPeer(t, peer); data != "odd" {
		t.Errorf("the peer got %q", data)
	}
	// A record is a frame, so ChannelData needs no padding, and several frames make several
	// records.
	for _, data := range []string{"odd", "even", "long enough"} {
		if _, err := peer.WriteToUDPAddrPort([]byte(data), relayed); err != nil {
			t.Fatal(err)
		}
	}
	for _, want := range []string{"odd", "even", "long enough"} {
		frame := c.read(patience)
		if len(frame) != 4+len(want) || string(frame[4:]) != want {
			t.Errorf("got % x, want ChannelData of %q", frame, want)
		}
	}

	c.conn.Close()
	eventually(t, "the allocation of a connection that was closed is gone",
		func() bool { return r.s.Allocations() == 0 })
}

func TestDTLSAndUDPOfOneClientAreTwo(t *testing.T) {
	t.Parallel()
	r := newRig(t, withDTLS(t))
	plain, secure := r.dial("udp", "u", "p"), r.dialDTLS("u", "p")
	if a, b := plain.allocate(), secure.allocate(); a == b {
		t.Errorf("both relay on %v", a)
	}
}

func TestDTLSIsOffUnlessThereIsACertificate(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	c := r.dial("udp", "u", "p")
	c.write(clientHello(nil))
	eventually(t, "it is a malformed frame", func() bool { return r.s.counters.drops[dropMalformed].Load() == 1 })
	c.nothing()
}

func TestDTLSIdleConnectionsEnd(t *testing.T) {
	t.Parallel()
	r := newRigWith(t, withDTLS(t), func(s *Server) { s.streams.idle = 2 * time.Second })
	idle, busy := r.dialDTLS("u", "p"), r.dialDTLS("u", "p")
	busy.allocate()
	idle.write(idle.build(wire.MethodBinding))
	idle.answer()
	// close_notify, and none for the one that has an allocation
	if frame := idle.read(patience); frame != nil {
		t.Errorf("got % x", frame)
	}
	busy.write(busy.build(wire.MethodBinding))
	busy.answer()
	r.advance(time.Hour)
	eventually(t, "a connection whose allocation is over ends", func() bool {
		r.s.streams.mu.Lock()
		defer r.s.streams.mu.Unlock()
		return len(r.s.streams.all) == 0
	})
}

func TestDTLSConnectionsAreLimitedPerSource(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(o *Options) {
		withDTLS(t)(o)
		o.Limits.ConnectionsPerSource = 2
	})
	for range 2 {
		r.dialDTLS("u", "p").allocate()
	}
	third, err := r.tryHands(listenLoopback(t))
	if err == nil {
		_, err = third.Read(make([]byte, dtlsDatagram))
	}
	if err == nil {
		t.Error("a third connection is served")
	}
}

// What somebody else sends with the client's address ends nothing: pion would take an alert that
// nobody has signed for the client's.
func TestDTLSConnectionOutlivesForgedDatagrams(t *testing.T) {
	t.Parallel()
	r := newRig(t, withDTLS(t))
	socket := listenLoopback(t)
	c := &client{t: t, conn: r.shakeHands(socket), user: "u", key: cred.LongTermKey("u", testRealm, "p")}
	c.allocate()
	to := netip.MustParseAddrPort(r.addr["udp"])
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
			if _, err := socket.WriteToUDPAddrPort(forged, to); err != nil {
				t.Fatal(err)
			}
		}
	}
	// The flood may push some of the client's own datagrams out.
	refresh := c.build(wire.MethodRefresh)
	eventually(t, "a Refresh is answered", func() bool {
		c.write(refresh)
		m := c.answerOrNil(100 * time.Millisecond)
		return m != nil && m.Class == wire.ClassSuccess
	})
}

// A client that was restarted comes back from the same address with a new handshake; only that ends
// the old connection.
func TestDTLSRestartedClient(t *testing.T) {
	t.Parallel()
	r := newRig(t, withDTLS(t))
	socket := listenLoopback(t)
	c := &client{t: t, conn: r.shakeHands(socket), user: "u", key: cred.LongTermKey("u", testRealm, "p")}
	c.allocate()
	socket.Close() // it dies without a word
	again, err := net.ListenUDP("udp4", socket.LocalAddr().(*net.UDPAddr))
	if err != nil {
		t.Fatal(err)
	}
	c.conn = r.shakeHands(again)
	eventually(t, "the old connection's allocation is gone", func() bool { return r.s.Allocations() == 0 })
	c.allocate()
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

// Spoofed ClientHellos cost a bounded amount of everything, don't hold up the socket's other
// clients, and leave nothing behind.
func TestDTLSFloodOfClientHellos(t *testing.T) {
	r := newRig(t, withDTLS(t))
	r.s.dtls.hellos.SetLimit(1 << 20) // what is held is looked at here, not what it costs in time
	socket := listenLoopback(t)
	f := newDTLSFront(r.s, socket)
	before := runtime.NumGoroutine()
	hello := clientHello(nil)
	most := 0
	start := time.Now()
	const flood = 20000
	for i := range flood {
		// The answers go to ports of loopback's where nobody listens.
		f.receive(hello, netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 1, byte(i >> 8), byte(i)}), 9))
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
	r.dialDTLS("u", "p").allocate() // an honest client gets through, if not at once
	eventually(t, "handshakes that go nowhere end", func() bool { return r.handshaking() == 0 })
	f.close()
	if len(f.peers) != 0 {
		t.Errorf("%d clients are left", len(f.peers))
	}
}

// Those whose cookie is still out make room for others; who has proven to receive at its address
// stays.
func TestDTLSFloodGivesUpUnprovenHandshakesOnly(t *testing.T) {
	t.Parallel()
	h := newHandshakes(nil)
	pipe := func(i int) *dtlsPipe {
		return &dtlsPipe{peer: netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 1, byte(i >> 8), byte(i)}), 9),
			in: packetio.NewBuffer()}
	}
	over := func(p *dtlsPipe) bool {
		_, err := p.in.Write([]byte{0})
		return err != nil
	}
	honest, embryo := pipe(0), pipe(1)
	if !h.begin(honest) || !h.begin(embryo) {
		t.Fatal("no room")
	}
	h.proven(honest)
	h.hellos.SetLimit(1 << 20)
	for i := 2; len(h.all) < handshakeLimit; i++ {
		h.begin(pipe(i))
	}
	for i := range 10 * handshakeLimit {
		if p := pipe(1000 + i); h.begin(p) {
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
	if !h.begin(pipe(9999)) {
		t.Error("no room where one has ended")
	}
}

func TestDTLSHandshakesOfOneSource(t *testing.T) {
	t.Parallel()
	h := newHandshakes(nil)
	begun := 0
	for port := range uint16(100) {
		if h.begin(&dtlsPipe{peer: netip.AddrPortFrom(netip.MustParseAddr("2001:db8::1"), 1000+port),
			in: packetio.NewBuffer()}) {
			begun++
		}
	}
	if begun != handshakePerSource {
		t.Errorf("%d handshakes of one source, want %d", begun, handshakePerSource)
	}
	if !h.begin(&dtlsPipe{peer: netip.MustParseAddrPort("[2001:db8:0:1::1]:1000"), in: packetio.NewBuffer()}) {
		t.Error("another source finds no room")
	}
}

// What is never going to be a handshake costs no more than a look.
func TestDTLSFrontIgnoresWhatBeginsNothing(t *testing.T) {
	t.Parallel()
	r := newRig(t, withDTLS(t))
	c := r.dial("udp", "u", "p")
	for _, datagram := range [][]byte{
		record(contentApplication, 1, 1, 1), record(contentAlert, 0, 1, 2, 40),
		clientHello([]byte("a cookie of nobody's")), {22, 254, 253, 0}, make([]byte, 20),
	} {
		datagram[0] = max(datagram[0], firstDTLS)
		c.write(datagram)
	}
	eventually(t, "they are counted", func() bool { return r.s.counters.drops[dropDTLS].Load() == 5 })
	if n := r.handshaking(); n != 0 {
		t.Errorf("%d handshakes", n)
	}
}
