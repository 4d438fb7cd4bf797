package app

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"

	"signalbox/internal/admin"
	"signalbox/internal/testkit"
)

// seenAs has a session over a connection that begins with header, and returns the address that the
// hub sees. more are lines of the HTTP request.
func seenAs(t *testing.T, app *App, header string, more ...string) (netip.Addr, error) {
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
	resp, _, err := post(header + "GET /signal/events HTTP/1.1\r\nHost: x\r\n" +
		strings.Join(append(more, "\r\n"), "\r\n"))
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
			client := &http.Client{Transport: &http.Transport{DialContext: adminOf(t, app).Dial,
				DisableKeepAlives: true}}
			resp, err := client.Post("http://"+app.Addrs().Web+"/signal/send", "text/plain", strings.NewReader(body))
			if err != nil {
				return netip.Addr{}, err
			}
			resp.Body.Close()
			return app.Status().Signal.Rooms[0].Members[0].Source, nil
		}
	}
}

// A trusted proxy's header names the client. A proxy that leaves it out is refused, and a header
// from anybody else is not believed.
func TestProxyProtocol(t *testing.T) {
	t.Parallel()
	for header, want := range map[string]string{
		"PROXY TCP4 192.0.2.7 192.0.2.1 5000 443\r\n":     "192.0.2.7",
		"PROXY TCP6 2001:db8::7 2001:db8::1 5000 443\r\n": "2001:db8::7",
		"PROXY UNKNOWN\r\n":                               "0.0.0.0",
		"\r\n\r\n\x00\r\nQUIT\n\x20\x00\x00\x00":          "0.0.0.0", // LOCAL
		"\r\n\r\n\x00\r\nQUIT\n\x21\x00\x00\x00":          "",        // UNSPEC
		testkit.ProxyHeader(t, "192.0.2.8:5000"):          "192.0.2.8",
		testkit.ProxyHeader(t, "[2001:db8::8]:5000"):      "2001:db8::8",
		"": "",
		"PROXY TCP4 nonsense 192.0.2.1 5000 443\r\n":                         "",
		"PROXY TCP4 " + strings.Repeat("1", 10_000):                          "",
		"\r\n\r\n\x00\r\nQUIT\n\x21\x11\xff\xff":                             "",
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
		if _, err := adminOf(t, app).Status(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

// Whom a proxy can't name is not the proxy: what such a client says of others is not believed, its
// connections count, and plain http leads it to https. A LOCAL connection is no more.
func TestAttackF10ProxyUnknownIsNotTheProxy(t *testing.T) {
	t.Parallel()
	certs := t.TempDir()
	writeCertificate(t, certs+"/both.pem", "call.example.org")
	for name, header := range map[string]string{
		"PROXY UNKNOWN": "PROXY UNKNOWN\r\n", "LOCAL": "\r\n\r\n\x00\r\nQUIT\n\x20\x00\x00\x00",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			app := startApp(t, "web.trusted_proxies=0.0.0.0/0", "web.proxy_protocol=true", "tls.mode=files",
				"tls.cert="+certs+"/both.pem", "tls.key="+certs+"/both.pem")
			conn, err := net.Dial("tcp", app.Addrs().Web)
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
				t.Fatal(err)
			}
			if _, err := io.WriteString(conn, header+"GET / HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
				t.Fatal(err)
			}
			resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
			if err != nil {
				t.Fatal(err)
			}
			if resp.StatusCode != http.StatusTemporaryRedirect {
				t.Errorf("GET / over http: %s, want the way to https", resp.Status)
			}
			if open := app.Status().Web.Open; open != 1 {
				t.Errorf("%d connections count, want 1", open)
			}
		})
	}
	t.Run("X-Forwarded-For", func(t *testing.T) {
		t.Parallel()
		app := startApp(t, "web.trusted_proxies=0.0.0.0/0", "web.proxy_protocol=true")
		got, err := seenAs(t, app, "PROXY UNKNOWN\r\n", "X-Forwarded-For: 198.51.100.7")
		if err != nil || got.String() != "0.0.0.0" {
			t.Errorf("seen as %v, %v", got, err)
		}
	})
}

// adminOf is a client of the admin API, as the commands are.
func adminOf(t testing.TB, app *App) *admin.Client {
	t.Helper()
	cfg := app.cfg
	if err := cfg.Web.Listen.UnmarshalTOML(app.Addrs().Web); err != nil {
		t.Fatal(err)
	}
	client, err := ConfiguredAdmin(&cfg, app.dir)
	if err != nil {
		t.Fatal(err)
	}
	return client
}
