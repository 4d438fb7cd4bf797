package signalbox

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/pires/go-proxyproto"
)

// proxyV2 is a binary header.
func proxyV2(t testing.TB, from string) string {
	t.Helper()
	source := net.TCPAddrFromAddrPort(netip.MustParseAddrPort(from))
	text, err := proxyproto.HeaderProxyFromAddrs(2, source, &net.TCPAddr{IP: source.IP, Port: 443}).Format()
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// seenAs has a session over a connection that begins with header, and returns the address that the
// hub sees.
func seenAs(t *testing.T, app *App, header string) (netip.Addr, error) {
	t.Helper()
	conn, err := net.Dial("tcp", app.Addrs().Web)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	post := func(body string) (*http.Response, *bufio.Reader, error) {
		in := bufio.NewReader(conn)
		if _, err := io.WriteString(conn, body); err != nil {
			return nil, in, err
		}
		resp, err := http.ReadResponse(in, nil)
		return resp, in, err
	}
	resp, _, err := post(header + "GET /signal/events HTTP/1.1\r\nHost: x\r\n\r\n")
	if err != nil {
		return netip.Addr{}, err
	}
	events := bufio.NewReader(resp.Body)
	for {
		line, err := events.ReadString('\n')
		if err != nil {
			return netip.Addr{}, err
		}
		if key, ok := strings.CutPrefix(line, `data: {"key":"`); ok {
			key, _, _ = strings.Cut(key, `"`)
			body := `{"key":"` + key + `","frames":[{"type":"hello"},{"type":"join","room":"tea"}]}`
			client := &http.Client{Transport: &http.Transport{DialContext: dialAsProxy, DisableKeepAlives: true}}
			resp, err := client.Post("http://"+app.Addrs().Web+"/signal/send", "text/plain", strings.NewReader(body))
			if err != nil {
				return netip.Addr{}, err
			}
			resp.Body.Close()
			return app.Status().Signal.Rooms[0].Members[0].Source, nil
		}
	}
}

// A trusted proxy's header says who is there; whoever leaves it out is refused, and one of nobody
// else's is believed.
func TestProxyProtocol(t *testing.T) {
	t.Parallel()
	for header, want := range map[string]string{
		"PROXY TCP4 192.0.2.7 192.0.2.1 5000 443\r\n":     "192.0.2.7",
		"PROXY TCP6 2001:db8::7 2001:db8::1 5000 443\r\n": "2001:db8::7",
		"PROXY UNKNOWN\r\n":                               "127.0.0.1",
		proxyV2(t, "192.0.2.8:5000"):                      "192.0.2.8",
		proxyV2(t, "[2001:db8::8]:5000"):                  "2001:db8::8",
		"":                                                "",
		"PROXY TCP4 nonsense 192.0.2.1 5000 443\r\n":      "",
		"PROXY TCP4 " + strings.Repeat("1", 10_000):       "",
		"\r\n\r\n\x00\r\nQUIT\n\x21\x11\xff\xff":          "",
		"\r\n\r\n\x00\r\nQUIT\n\x21\x31\x00\xd8" + string(make([]byte, 216)): "", // a Unix socket
	} {
		t.Run(fmt.Sprintf("%.20q", header), func(t *testing.T) {
			t.Parallel()
			app := startApp(t, "web.trusted_proxies=127.0.0.0/8", "web.proxy_protocol=true")
			got, err := seenAs(t, app, header)
			switch {
			case want == "" && err == nil:
				t.Errorf("seen as %v", got)
			case want != "" && (err != nil || got.String() != want):
				t.Errorf("seen as %v, %v", got, err)
			}
		})
	}
	t.Run("not from a proxy", func(t *testing.T) {
		t.Parallel()
		app := startApp(t, "web.trusted_proxies=192.0.2.1", "web.proxy_protocol=true")
		if got, err := seenAs(t, app, "PROXY TCP4 192.0.2.7 192.0.2.1 5000 443\r\n"); err == nil {
			t.Errorf("seen as %v", got)
		}
	})
	t.Run("TURN", func(t *testing.T) {
		t.Parallel()
		app := startApp(t, "web.trusted_proxies=127.0.0.1", "web.proxy_protocol=true")
		conn, err := net.Dial("tcp", app.Addrs().Web)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		if _, err := io.WriteString(conn, "PROXY TCP4 192.0.2.7 192.0.2.1 5000 443\r\n"); err != nil {
			t.Fatal(err)
		}
		if err := allocateOn(conn); err != nil {
			t.Error(err)
		}
	})
	t.Run("the command line", func(t *testing.T) {
		t.Parallel()
		app := startApp(t, "web.trusted_proxies=127.0.0.1", "web.proxy_protocol=true", "admin.token=0123456789abcdef")
		cfg := app.cfg
		cfg.Web.Listen = app.Addrs().Web
		admin, err := NewAdmin(cfg, app.state, "")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := admin.Status(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

func TestCrowd(t *testing.T) {
	t.Parallel()
	c := &crowd{all: 4, perSource: 2, sources: map[netip.Prefix]int{}}
	var leaves []func()
	for _, step := range []struct {
		ip string
		ok bool
	}{
		{"192.0.2.1", true}, {"192.0.2.1", true}, {"192.0.2.1", false}, {"2001:db8::1", true}, {"2001:db8::2", true},
		{"192.0.2.2", false},
	} {
		leave, ok := c.enter(netip.MustParseAddr(step.ip))
		if ok != step.ok {
			t.Errorf("%s: %v", step.ip, ok)
		}
		if ok {
			leaves = append(leaves, leave)
		}
	}
	leaves[2]()
	if _, ok := c.enter(netip.MustParseAddr("2001:db8::ffff")); !ok {
		t.Error("a place was not given back")
	}
	for i, leave := range leaves {
		if i != 2 {
			leave()
		}
	}
	if shot := c.snapshot(); shot.Open != 1 || shot.Refused != 2 || len(c.sources) != 1 {
		t.Errorf("%+v of %d sources", shot, len(c.sources))
	}
	unlimited := &crowd{sources: map[netip.Prefix]int{}}
	for range 10 {
		if _, ok := unlimited.enter(netip.MustParseAddr("192.0.2.1")); !ok {
			t.Fatal("a limit of 0 is one")
		}
	}
}

// Connections over the limit are closed, and those that end make room.
func TestWebConnectionsAreLimited(t *testing.T) {
	t.Parallel()
	m := &mux{trusts: func(netip.Addr) bool { return false },
		conns: &crowd{perSource: 1, sources: map[netip.Prefix]int{}}}
	from := func(ip string) net.Conn {
		ours, theirs := net.Pipe()
		t.Cleanup(func() { ours.Close(); theirs.Close() })
		return m.receive(t.Context(), &edgeConn{Conn: ours, remote: &net.TCPAddr{IP: net.ParseIP(ip), Port: 1}})
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
		proxyV2(f, "192.0.2.8:5000") + "\x16\x03\x01",
		proxyV2(f, "[2001:db8::8]:5000"), "\r\n\r\n\x00\r\nQUIT\n\x20\x00\x00\x00x",
	} {
		f.Add([]byte(header))
	}
	f.Fuzz(func(t *testing.T, said []byte) {
		conn := &scripted{in: bytes.NewReader(said)}
		c, err := readProxyHeader(context.Background(), conn)
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
		conn := &scripted{in: bytes.NewReader(said)}
		c := peek(context.Background(), conn)
		if c == nil {
			if len(said) != 0 || !conn.end {
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
