package edge

import (
	"bytes"
	"context"
	"io"
	"net"
	"net/netip"
	"testing"

	"signalbox/internal/source"
	"signalbox/internal/testkit"
)

// Connections over the limit are closed, and those that end make room.
func TestWebConnectionsAreLimited(t *testing.T) {
	t.Parallel()
	m := &mux{o: &Options{Connections: source.NewCrowd(0, 1)}}
	from := func(ip string) net.Conn {
		ours, theirs := net.Pipe()
		t.Cleanup(func() { ours.Close(); theirs.Close() })
		return m.receive(t.Context(), &conn{Conn: ours, remote: &net.TCPAddr{IP: net.ParseIP(ip), Port: 1}})
	}
	first := from("192.0.2.1")
	if first == nil || from("192.0.2.2") == nil || from("127.0.0.1") == nil || from("127.0.0.1") == nil {
		t.Error("too few are let in")
	}
	if from("192.0.2.1") != nil {
		t.Error("too many are let in")
	}
	first.Close()
	first.Close() // as often as one likes
	if from("192.0.2.1") == nil {
		t.Error("a place was not given back")
	}
}

// scripted is a connection on which everything has been said already.
type scripted struct {
	net.Conn
	in  *bytes.Reader
	end bool
}

func (s *scripted) Read(b []byte) (int, error) { return s.in.Read(b) }
func (s *scripted) Close() error               { s.end = true; return nil }
func (s *scripted) RemoteAddr() net.Addr       { return &net.TCPAddr{IP: net.IPv4(192, 0, 2, 1), Port: 1} }

// FuzzProxyHeader: whatever a proxy's connection begins with, it is refused, or what follows the
// header comes through unchanged, with an address that is one.
func FuzzProxyHeader(f *testing.F) {
	for _, header := range []string{
		"PROXY TCP4 192.0.2.7 192.0.2.1 5000 443\r\nGET / HTTP/1.1\r\n", "PROXY UNKNOWN\r\n\x00\x03",
		testkit.ProxyHeader(f, "192.0.2.8:5000") + "\x16\x03\x01",
		testkit.ProxyHeader(f, "[2001:db8::8]:5000"), "\r\n\r\n\x00\r\nQUIT\n\x20\x00\x00\x00x",
	} {
		f.Add([]byte(header))
	}
	f.Fuzz(func(t *testing.T, said []byte) {
		raw := &scripted{in: bytes.NewReader(said)}
		c, err := readProxyHeader(context.Background(), raw)
		if err != nil {
			return
		}
		if _, err := netip.ParseAddrPort(c.RemoteAddr().String()); err != nil {
			t.Fatalf("address %v", c.RemoteAddr())
		}
		rest, err := io.ReadAll(c)
		if err != nil || !bytes.HasSuffix(said, rest) || len(rest) == len(said) {
			t.Fatalf("%q of %q came through, %v", rest, said, err)
		}
	})
}

// FuzzPeek: what was read to tell the protocol comes again, and the protocol is told by its first
// byte.
func FuzzPeek(f *testing.F) {
	f.Add([]byte("GET / HTTP/1.1\r\n"))
	f.Add([]byte("\x00\x01\x00\x00\x21\x12\xa4\x42"))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, said []byte) {
		raw := &scripted{in: bytes.NewReader(said)}
		c := peek(context.Background(), raw)
		if c == nil {
			if len(said) != 0 || !raw.end {
				t.Fatalf("refused %q", said)
			}
			return
		}
		if got := c.isTURN(); got != (said[0] < 0x40) {
			t.Fatalf("%q is TURN: %v", said, got)
		}
		if rest, err := io.ReadAll(c); err != nil || !bytes.Equal(rest, said) {
			t.Fatalf("%q of %q came through, %v", rest, said, err)
		}
	})
}

// Whoever takes the plain web port for the one with TLS is for the web server, not for the relay.
func TestFirstByteTells(t *testing.T) {
	t.Parallel()
	for first, want := range map[byte]bool{0: true, 1: true, 22: false, 0x3f: true, 0x40: false, 'G': false} {
		if got := (&conn{first: []byte{first}}).isTURN(); got != want {
			t.Errorf("%#x is taken for TURN: %v", first, got)
		}
	}
}
