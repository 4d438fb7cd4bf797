package turnsvc

import (
	"context"
	"crypto/tls"
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/pion/dtls/v3"

	"signalbox/internal/testkit"
	"signalbox/turnsvc/cred"
	"signalbox/turnsvc/internal/wire"
)

// withDTLS turns TURN over DTLS on.
func withDTLS(t testing.TB) func(*Options) {
	t.Helper()
	pair := testkit.Certificate(t)
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
	hello := []byte{22, 0xFE, 0xFD, 0, 0, 0, 0, 0, 0, 0, 0, 0, 12} // a record with the beginning of a ClientHello
	c.write(append(hello, 1, 0, 0, 44, 0, 0, 0, 0, 0, 0, 0, 44))
	eventually(t, "it is a malformed frame", func() bool { return r.s.core.counters.drops[dropMalformed].Load() == 1 })
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
		_, err = third.Read(make([]byte, 8192))
	}
	if err == nil {
		t.Error("a third connection is served")
	}
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
