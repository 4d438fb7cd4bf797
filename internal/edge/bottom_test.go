package edge

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"testing"
	"time"

	"signalbox/internal/source"
	"signalbox/internal/testkit"
)

// bottoms is a TURN server that only looks for the TCP connection at the bottom of each, as that
// which bounds what the kernel holds does.
type bottoms chan error

func (b bottoms) ServeConn(conn net.Conn, _ string) {
	defer conn.Close()
	below := conn
	for {
		above, ok := below.(interface{ NetConn() net.Conn })
		if !ok {
			break
		}
		below = above.NetConn()
	}
	var err error
	if _, ok := below.(*net.TCPConn); !ok {
		err = errors.New("TURN finds no TCP connection")
	}
	b <- err
}

func (bottoms) ServePacket(*net.UDPConn) error    { return nil }
func (bottoms) ServeSTUN(*net.UDPConn) error      { return nil }
func (bottoms) UDPInUse() map[netip.AddrPort]bool { return nil }

// Whatever the edge puts over a connection, TURN finds what its bounds are set of.
func TestTURNFindsTheSocket(t *testing.T) {
	t.Parallel()
	pair, err := testkit.SelfSigned(time.Now(), []string{"127.0.0.1"})
	if err != nil {
		t.Fatal(err)
	}
	cert, err := tls.X509KeyPair(pair, pair)
	if err != nil {
		t.Fatal(err)
	}
	conf := &tls.Config{Certificates: []tls.Certificate{cert}, NextProtos: Protocols()}
	free := netip.MustParseAddrPort("127.0.0.1:0")
	e := New(Options{Web: free, WebTLS: free, TLS: conf, Connections: source.NewCrowd(0, 0),
		TURN: []Service{{"tcp", free}, {"tls", free}}, Log: slog.New(slog.DiscardHandler)})
	if err := e.Bind(); err != nil {
		t.Fatal(err)
	}
	found := make(bottoms, 1)
	ctx, stop := context.WithCancel(t.Context())
	var serving sync.WaitGroup
	serving.Go(func() { e.Serve(ctx, found, Handlers{}) })
	defer serving.Wait()
	defer e.Close()
	defer stop()
	for name, dial := range map[string]struct {
		addr string
		alpn []string
		tls  bool
	}{
		"plain web port":    {addr: e.Web().Addr().String()},
		"web port over TLS": {addr: e.WebTLS().Addr().String(), tls: true},
		"and by its ALPN":   {addr: e.WebTLS().Addr().String(), tls: true, alpn: TURNProtocols()},
		"TCP port of TURN":  {addr: e.TURN()[0].Addr.String()},
		"TLS port of TURN":  {addr: e.TURN()[1].Addr.String(), tls: true},
	} {
		conn, err := net.Dial("tcp", dial.addr)
		if err != nil {
			t.Fatal(err)
		}
		if dial.tls {
			conn = tls.Client(conn, &tls.Config{InsecureSkipVerify: true, NextProtos: dial.alpn})
		}
		if _, err := conn.Write([]byte{0}); err != nil {
			t.Fatal(err)
		}
		if err := <-found; err != nil {
			t.Errorf("%s: %v", name, err)
		}
		conn.Close()
	}
}
