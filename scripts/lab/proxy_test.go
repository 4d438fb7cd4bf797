//go:build linux

package lab_test

import (
	"bufio"
	"context"
	"fmt"
	"maps"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"signalbox/internal/testkit"
	"signalbox/scripts/lab"
)

// The box behind a reverse proxy that ends TLS, with the words that README.md
// has for it: of nginx, those in testdata/nginx.conf, and testdata/Caddyfile.

func TestCallBehindNginx(t *testing.T) {
	besideOthers(t)
	l := lab.New(t, lab.Symmetric, lab.Symmetric, lab.GlobalAddresses)
	server := startBehindProxy(t, l)
	startNginx(t, l.Server, snippet(t, "nginx.conf"), "")
	server.HTTPS = "https://" + server.Host()
	callBehindProxy(t, l, server)
}

func TestCallBehindCaddy(t *testing.T) {
	besideOthers(t)
	l := lab.New(t, lab.Symmetric, lab.Symmetric, lab.GlobalAddresses)
	// For ICE servers, Chromium asks the DNS, which is not there; for pages, the hosts file. So
	// public_host is not the pages' name, which must be named otherwise.
	server := startBehindProxy(t, l, "--set", "public_host="+l.Server.Public,
		"--set", "web.allowed_origins=https://call.example.org")
	name := startCaddy(t, l.Server, snippet(t, "Caddyfile"))
	for _, in := range []*lab.Namespace{l.A, l.B} {
		in.Resolve(t, name, l.Server.Public)
	}
	server.HTTPS = "https://" + name
	callBehindProxy(t, l, server)
}

// callBehindProxy has two browsers call each other and looks at what the box
// makes of them.
func callBehindProxy(t *testing.T, l *lab.Lab, server *lab.Server) {
	t.Helper()
	ann := enter(lab.StartBrowser(t, l.A, lab.BrowserOptions{}), server, "Ann", "", lab.PageOptions{})
	bo := enter(lab.StartBrowser(t, l.B, lab.BrowserOptions{}), server, "Bo", "", lab.PageOptions{})
	for name, p := range map[string]*lab.Page{"Ann": ann, "Bo": bo} {
		if f := watch(t, p, 1)[0]; !f.relayed() {
			t.Errorf("%s is connected %+v, not through a relay", name, f)
		}
	}
	seenAtTheirNATs(t, l, server)
}

// seenAtTheirNATs fails the test unless the box takes Ann and Bo for who they are
// on the internet, not for their proxy.
func seenAtTheirNATs(t *testing.T, l *lab.Lab, server *lab.Server) {
	t.Helper()
	want := map[string]string{"Ann": l.NATA.Public, "Bo": l.NATB.Public}
	if got := sources(t, l, server); !maps.Equal(got, want) {
		t.Errorf("the box sees its clients at %v, want %v", got, want)
	}
}

// An idle call says nothing for hours. Proxies cut a connection that is silent
// for long, nginx after 60 s; the pings of the box have to keep it.
func TestIdleConnectionBehindNginx(t *testing.T) {
	besideOthers(t)
	l := lab.New(t, lab.PortRestricted, lab.PortRestricted)
	startNginx(t, l.Server, snippet(t, "nginx.conf"), "proxy_read_timeout 2s;")
	idle := func(t *testing.T, heartbeat string) bool {
		server := startBehindProxy(t, l, "--set", "signal.heartbeat="+heartbeat)
		defer server.Stop(t)
		server.HTTP = "https://" + server.Host()
		return outlives(t, l, server, 5*time.Second)
	}
	if idle(t, "1m") {
		t.Error("nginx cuts nothing: this test proves nothing")
	}
	if !idle(t, "1s") {
		t.Error("a connection with a ping a second is cut")
	}
}

// TestLongIdleConnectionBehindNginx is the same with the defaults of nginx and
// of the box.
func TestLongIdleConnectionBehindNginx(t *testing.T) {
	testkit.Long(t)
	l := lab.New(t, lab.PortRestricted, lab.PortRestricted)
	server := startBehindProxy(t, l)
	startNginx(t, l.Server, snippet(t, "nginx.conf"), "")
	server.HTTP = "https://" + server.Host()
	if !outlives(t, l, server, 130*time.Second) {
		t.Error("nginx has cut an idle connection")
	}
}

// A proxy that collects what it passes on would keep a stream of events from its
// reader until enough has come.
func TestEventsBehindNginx(t *testing.T) {
	besideOthers(t)
	l := lab.New(t, lab.PortRestricted, lab.PortRestricted)
	server := startBehindProxy(t, l, "--set", "signal.heartbeat=1m") // nothing that would fill a buffer
	startNginx(t, l.Server, snippet(t, "nginx.conf"), "")
	client := l.A.Client()
	client.Transport.(*http.Transport).ForceAttemptHTTP2 = true // as browsers do
	resp, err := client.Get("https://" + server.Host() + "/signal/events")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.ProtoMajor != 2 {
		t.Errorf("the stream comes over %s: six of them block a browser's POSTs", resp.Proto)
	}
	lines := bufio.NewScanner(resp.Body)
	for lines.Scan() { // within the client's timeout
		if lines.Text() == "event: open" {
			return
		}
	}
	t.Errorf("%s, %s: the first event does not come: %v", resp.Status, resp.Header.Get("Content-Type"), lines.Err())
}

// outlives reports whether a connection with the hub is there after a time in which
// neither end has anything to say.
func outlives(t *testing.T, l *lab.Lab, server *lab.Server, idle time.Duration) bool {
	t.Helper()
	m := hello(t, l.A, server, "Ann", nil)
	select {
	case frame, open := <-m.frames:
		if open {
			t.Errorf("an idle session is told %s", frame)
		}
		return false
	case <-time.After(idle):
	}
	m.write(map[string]any{"type": "ping"})
	m.expect("pong", &struct{}{})
	return true
}

// startBehindProxy starts the box with its pages on loopback only, for a proxy
// on the same host.
func startBehindProxy(t *testing.T, l *lab.Lab, args ...string) *lab.Server {
	t.Helper()
	return lab.StartServer(t, l.Server, policyConfig(l, "room"), append([]string{"--set", "web.listen=127.0.0.1:8080",
		"--set", "web.tls_listen=", "--set", "web.trusted_proxies=127.0.0.1", "--set", "admin.token=" + statusToken},
		args...)...)
}

// snippet returns a file of testdata.
func snippet(t *testing.T, file string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", file))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// withoutWebSocket is nginx as it is found where nobody has thought of
// WebSocket: it passes no Upgrade header on.
func withoutWebSocket(t *testing.T) string {
	t.Helper()
	all := snippet(t, "nginx.conf")
	without := regexp.MustCompile(`(?m)^.*(\$http_upgrade|Connection upgrade).*\n`).ReplaceAllString(all, "")
	if strings.Count(all, "\n")-strings.Count(without, "\n") != 2 {
		t.Fatalf("nginx.conf has no two lines for WebSocket:\n%s", all)
	}
	return without
}

// startNginx runs nginx on port 443 with one site: what the location is in front
// of, and further directives of the site.
func startNginx(t *testing.T, in *lab.Namespace, location, more string) {
	t.Helper()
	lab.Require(t, "nginx")
	dir := t.TempDir()
	cert, key := lab.Certificate(t)
	config := fmt.Sprintf(`
daemon off;
user root;
pid %[1]s/pid;
events {}
http {
	access_log off;
	client_body_temp_path %[1]s/body;
	proxy_temp_path %[1]s/proxy;
	fastcgi_temp_path %[1]s/fastcgi;
	uwsgi_temp_path %[1]s/uwsgi;
	scgi_temp_path %[1]s/scgi;
	server {
		listen 443 ssl http2;
		ssl_certificate %[2]s;
		ssl_certificate_key %[3]s;
		%[4]s
%[5]s
	}
}
`, dir, cert, key, more, location)
	file := filepath.Join(dir, "nginx.conf")
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	startProxy(t, in, "nginx", "-e", "stderr", "-c", file)
}

// startCaddy runs Caddy with a Caddyfile, and a certificate authority of its own
// instead of a public one. It returns the name of the site.
func startCaddy(t *testing.T, in *lab.Namespace, caddyfile string) (name string) {
	t.Helper()
	lab.Require(t, "caddy")
	name, _, _ = strings.Cut(caddyfile, " ")
	dir := t.TempDir()
	file := filepath.Join(dir, "Caddyfile")
	global := fmt.Sprintf("{\n\tadmin off\n\tlocal_certs\n\tskip_install_trust\n\tstorage file_system %q\n}\n", dir)
	if err := os.WriteFile(file, []byte(global+caddyfile), 0o600); err != nil {
		t.Fatal(err)
	}
	startProxy(t, in, "caddy", "run", "--adapter", "caddyfile", "--config", file)
	return name
}

// startProxy runs a program until the test ends and waits until it listens on
// port 443.
func startProxy(t *testing.T, in *lab.Namespace, program string, args ...string) {
	t.Helper()
	log, err := os.Create(filepath.Join(lab.Artifacts(t), program+".log"))
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	ctx, kill := context.WithCancel(context.Background())
	cmd := in.Command(ctx, program, args...)
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		kill()
		t.Fatal(err)
	}
	exited := make(chan struct{})
	go func() {
		defer close(exited)
		cmd.Wait()
	}()
	t.Cleanup(func() {
		defer kill()
		cmd.Process.Signal(syscall.SIGTERM)
		select {
		case <-exited:
		case <-time.After(30 * time.Second):
			t.Errorf("%s does not end", program)
		}
	})
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		conn, err := in.DialContext(t.Context(), "tcp4", net.JoinHostPort(in.Public, "443"))
		if err == nil {
			conn.Close()
			return
		}
		select {
		case <-exited:
			t.Fatalf("%s has ended; its log is %s", program, log.Name())
		default:
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s does not listen: %v; its log is %s", program, err, log.Name())
		}
	}
}
