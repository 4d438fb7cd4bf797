package turnsvc

import (
	"crypto/tls"
	"errors"
	"io"
	"net"
	"os"
	"testing"
	"time"

	"signalbox/turnsvc/internal/wire"
)

// withTLS serves TLS where TURN over TCP is served.
func withTLS(t *testing.T) func(*Options) {
	t.Helper()
	var o Options
	withDTLS(t)(&o)
	return func(to *Options) {
		to.TLS = &tls.Config{NextProtos: []string{"stun.turn"},
			GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return o.DTLSCertificate("") }}
	}
}

// 4 of the operators' reports: a client that is told the plain port for TLS is served all the same,
// and beside it those who speak TURN at once.
func TestIssue16TLSOnThePlainPort(t *testing.T) {
	t.Parallel()
	r := newRig(t, withTLS(t))
	for name, protocols := range map[string][]string{
		"as browsers do": nil, "by ALPN": {"stun.turn"}, "as coturn does": {"http/1.1", "stun.turn"},
	} {
		conn, err := tls.Dial("tcp", r.addr["tcp"], &tls.Config{InsecureSkipVerify: true, NextProtos: protocols})
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		defer conn.Close()
		c := r.clientOn(conn, "tcp")
		c.allocate()
		peer := r.peer()
		at := peer.LocalAddr().String()
		c.ok(wire.MethodChannelBind, withChannel(0x4000), withPeer(at))
		c.write(c.channelFrame(0x4000, "hello"))
		if data, _ := readPeer(t, peer); data != "hello" {
			t.Errorf("%s: the peer got %q", name, data)
		}
	}
	for _, a := range r.s.Snapshot().Allocations {
		if a.Transport != "tls" {
			t.Errorf("an allocation over TLS is said to be over %s", a.Transport)
		}
	}
	r.dial("tcp", "u", "p").allocate()
	if conn, err := tls.Dial("tcp", r.addr["tcp"], &tls.Config{InsecureSkipVerify: true,
		NextProtos: []string{"http/1.1"}}); err == nil {
		conn.Close()
		t.Error("who wants a web page is served")
	}
}

// 4 of the operators' reports: whoever says nothing, begins a handshake and stops, or begins one
// that is junk, has a place of a stranger's: it makes room for a client, and is shown out in time.
func TestIssue16HandshakesThatStopMakeRoom(t *testing.T) {
	t.Parallel()
	const places = 8
	patient := quick
	patient.firstFrame, patient.stranger = 6*time.Second, 8*time.Second // all have to come meanwhile
	r := newRigWith(t, func(o *Options) { withTLS(t)(o); o.Limits.Connections = places },
		func(s *Server) { s.streams.timeouts = patient })
	var stopped []net.Conn
	for i := range 3 * places {
		conn := r.dial("tcp", "u", "p").conn
		if part := [][]byte{nil, {handshakeByte}, {handshakeByte, 3, 1, 0x40, 0, 1, 0, 0x3F, 0xFC}}[i%3]; part != nil {
			conn.Write(part) //nolint:errcheck // it may have made room already
		}
		stopped = append(stopped, conn)
	}
	eventually(t, "all have come", func() bool { return r.s.Snapshot().Drops["crowded-out"] == 2*places })
	conn, err := tls.Dial("tcp", r.addr["tcp"], &tls.Config{InsecureSkipVerify: true})
	if err != nil {
		t.Fatalf("no place for a client among those who have stopped: %v", err)
	}
	defer conn.Close()
	c := r.clientOn(conn, "tcp")
	c.allocate()
	for _, conn := range stopped {
		if err := conn.SetReadDeadline(time.Now().Add(patience)); err != nil {
			t.Fatal(err)
		}
		if _, err := io.Copy(io.Discard, conn); errors.Is(err, os.ErrDeadlineExceeded) {
			t.Error("one who has stopped is not shown out")
		}
	}
	c.ok(wire.MethodRefresh)
}
