package app

import (
	"net/http"
	"strings"
	"testing"

	"github.com/gorilla/websocket"
)

// asked is the answer to a GET for a host.
func asked(t *testing.T, url, host string) (int, string) {
	t.Helper()
	req, err := http.NewRequest(http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Host = host
	resp, err := insecure().Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var body strings.Builder
	if err := resp.Write(&body); err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, body.String()
}

// A page whose own name leads to the box (DNS rebinding) asks it without an Origin, as one of the
// box's own would. It reads neither credentials nor metrics.
func TestAttackF10PagesOfOtherNamesReadNothing(t *testing.T) {
	t.Parallel()
	certs := t.TempDir()
	writeCertificate(t, certs+"/both.pem", "cert.example.org")
	app := startApp(t, metricsOn, "public_host=call.example.org", "public_ip=127.0.0.1",
		"web.allowed_origins=https://app.example.org", "tls.mode=files", "tls.cert="+certs+"/both.pem",
		"tls.key="+certs+"/both.pem")
	ice, turn := "http://"+app.Addrs().Web+"/api/ice", "http://"+app.Addrs().Web+"/api/turn"
	for host, want := range map[string]int{
		"call.example.org": http.StatusOK, "CALL.example.org:443": http.StatusOK, "app.example.org": http.StatusOK,
		"cert.example.org:8443": http.StatusOK, "": http.StatusOK, "localhost": http.StatusOK,
		"192.0.2.7:8080": http.StatusOK, "[2001:db8::7]:8080": http.StatusOK, "signalbox.local:8080": http.StatusOK,
		"evil.example": http.StatusForbidden, "127.0.0.1.evil.example:8080": http.StatusForbidden,
		"call.example.org.evil.example": http.StatusForbidden,
	} {
		for _, url := range []string{ice, turn, "http://" + app.Addrs().Metrics + "/metrics"} {
			code, body := asked(t, url, host)
			if code != want {
				t.Errorf("%s for %q: %d, want %d", url, host, code, want)
			}
			if want != http.StatusOK && (!strings.Contains(body, "public_host") || strings.Contains(body, "turn:") ||
				strings.Contains(body, "signalbox_build_info")) {
				t.Errorf("%s for %q: %s", url, host, body)
			}
		}
	}
	// What says nothing of the box stays open, to health checks say.
	if code, _ := asked(t, "http://"+app.Addrs().Web+"/readyz", "evil.example"); code != http.StatusOK {
		t.Errorf("/readyz: %d", code)
	}

	// Where every page may read /api/ice, names add nothing; the metrics are nobody's still.
	open := startApp(t, metricsOn, "web.allowed_origins=*")
	if code, _ := asked(t, "http://"+open.Addrs().Web+"/api/ice", "evil.example"); code != http.StatusOK {
		t.Errorf("open to all origins: %d", code)
	}
	if code, _ := asked(t, "http://"+open.Addrs().Metrics+"/metrics", "evil.example"); code != http.StatusForbidden {
		t.Errorf("metrics, open to all origins: %d", code)
	}
	// A key keeps pages out of /api/turn: programs may call the box what they like.
	keyed := startApp(t, "compat.turn_rest=0123456789abcdef")
	if code, body := asked(t, "http://"+keyed.Addrs().Web+"/api/turn?key=0123456789abcdef",
		"relay.example"); code != http.StatusOK {
		t.Errorf("/api/turn with a key: %d %s", code, body)
	}
}

// Pages may use the signaling if they are the box's own: under its names and addresses, also behind
// a proxy that rewrites Host, but not under any name that somebody leads to the box.
func TestHub9OwnOrigins(t *testing.T) {
	t.Parallel()
	certs := t.TempDir()
	writeCertificate(t, certs+"/both.pem", "cert.example.org")
	app := startApp(t, "public_host=call.example.org", "web.trusted_proxies=127.0.0.2", "tls.mode=files",
		"tls.cert="+certs+"/both.pem", "tls.key="+certs+"/both.pem")
	for _, test := range []struct {
		host, origin string
		want         int
	}{
		{"call.example.org", "https://call.example.org", http.StatusSwitchingProtocols},
		{"call.example.org:8443", "https://call.example.org:8443", http.StatusSwitchingProtocols},
		{"cert.example.org", "https://cert.example.org", http.StatusSwitchingProtocols},
		{"192.168.1.5:8080", "http://192.168.1.5:8080", http.StatusSwitchingProtocols},
		{"[fd00::5]:8080", "http://[fd00::5]:8080", http.StatusSwitchingProtocols},
		{"localhost:8080", "http://localhost:8080", http.StatusSwitchingProtocols},
		{"box.local:8080", "http://box.local:8080", http.StatusSwitchingProtocols},
		{"127.0.0.1:8080", "https://call.example.org", http.StatusSwitchingProtocols}, // a proxy has rewritten Host
		{"evil.example:8080", "http://evil.example:8080", http.StatusForbidden},
		{"127.0.0.1.nip.io:8080", "http://127.0.0.1.nip.io:8080", http.StatusForbidden},
		{"call.example.org", "https://evil.example", http.StatusForbidden},
		{"127.0.0.1:8080", "https://call.example.org:9000", http.StatusForbidden},
	} {
		header := http.Header{"Host": {test.host}, "Origin": {test.origin}}
		conn, resp, err := websocket.DefaultDialer.Dial("ws://"+app.Addrs().Web+"/signal", header)
		if err == nil {
			conn.Close()
		}
		if resp == nil || resp.StatusCode != test.want {
			t.Errorf("host %s, origin %s: %v, %v, want %d", test.host, test.origin, resp, err, test.want)
		}
	}
}
