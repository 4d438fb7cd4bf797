//go:build linux

package lab

import (
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"
)

// Config is a configuration that fits a lab, whose addresses are none of the
// public internet. Tests append to it.
const Config = `
[web]
listen = ":8080"
tls_listen = ":8443"

[turn]
allow_peers = ["203.0.113.0/24", "10.0.0.0/8"]

[[turn.users]]
name = "u"
password = "p"
`

// A Server is the signalbox binary, running in a namespace.
type Server struct {
	HTTP  string // origin of its pages without TLS, such as "http://203.0.113.10:8080"
	HTTPS string // and with TLS
	Log   string // path of what it prints

	in     *Namespace
	binary string
	config string   // path of its configuration
	flags  []string // of serve, and of what asks it

	// of the process, which Start replaces
	cmd     *exec.Cmd
	running bool // as far as the test wants it to
	exited  chan struct{}
	err     error // of the exit; to be read once exited is closed
}

// StartServer starts the signalbox binary, built from this tree, with the given
// configuration in a lab's server and waits until it is ready. With the test it
// is interrupted, and the test fails unless it then exits cleanly.
func StartServer(t testing.TB, in *Namespace, config string, args ...string) *Server {
	t.Helper()
	binary := Binary(t)
	dir := t.TempDir()
	file := filepath.Join(dir, "config.toml")
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	s := &Server{
		HTTP:   "http://" + in.Public + ":8080",
		HTTPS:  "https://" + in.Public + ":8443",
		Log:    filepath.Join(Artifacts(t), "server.log"),
		in:     in,
		binary: binary,
		config: file,
		// Tests count what the relay does, so it is not to test itself.
		flags: append([]string{"-c", file, "--state", filepath.Join(dir, "state"), "--set", "notify.self_test=0s"},
			args...),
	}
	t.Cleanup(func() {
		s.Stop(t)
		if t.Failed() {
			t.Logf("the server's log, %s, ends:\n%s", s.Log, s.tail(60))
		}
	})
	s.Start(t)
	return s
}

// Start starts a server again that was stopped or killed, with what it has kept,
// and waits until it is ready.
func (s *Server) Start(t testing.TB) {
	t.Helper()
	// Appended to: the test may have had a server before.
	log, err := os.OpenFile(s.Log, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o644)
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	// Not t.Context(): the server outlives it, to be stopped in good order.
	cmd := s.in.Command(context.Background(), s.binary, append([]string{"serve"}, s.flags...)...)
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		t.Fatalf("start the server: %v", err)
	}
	exited := make(chan struct{})
	s.cmd, s.running, s.exited = cmd, true, exited
	go func() {
		s.err = cmd.Wait()
		close(exited)
	}()
	s.awaitReady(t)
}

// Kill ends the server as a crash would, without a last word to anybody.
func (s *Server) Kill(t testing.TB) {
	t.Helper()
	s.running = false
	if err := s.cmd.Process.Kill(); err != nil {
		t.Fatalf("kill the server: %v", err)
	}
	<-s.exited
}

// Reload gives the server another configuration, and returns what `signalbox reload` says of it.
func (s *Server) Reload(t testing.TB, config string) (said string) {
	t.Helper()
	if err := os.WriteFile(s.config, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	return s.in.Exec(t, s.binary, append([]string{"reload"}, s.flags...)...)
}

// Host returns the address that clients reach the server by.
func (s *Server) Host() string { return s.in.Public }

// PID returns the id of the server's process, whose memory and CPU time a test may look at.
func (s *Server) PID(t testing.TB) int {
	t.Helper()
	comm, err := os.ReadFile(fmt.Sprintf("/proc/%d/comm", s.cmd.Process.Pid))
	if err != nil || string(bytes.TrimSpace(comm)) == "ip" {
		t.Fatalf("the process is %q, not the server: %v", comm, err)
	}
	return s.cmd.Process.Pid // `ip netns exec` becomes what it executes
}

// Inside returns the origin of its pages on its own host: behind 1:1 NAT, its
// public address leads nowhere from there.
func (s *Server) Inside() string { return "http://127.0.0.1:8080" }

// Client returns an HTTP client whose connections come from inside the
// namespace and which trusts any certificate.
func (n *Namespace) Client() *http.Client {
	return &http.Client{
		Timeout: patience,
		Transport: &http.Transport{
			DialContext:       n.DialContext,
			TLSClientConfig:   &tls.Config{InsecureSkipVerify: true}, // the lab's certificates are self-signed
			DisableKeepAlives: true,
		},
	}
}

// AdminURL returns the one-time link to /admin that the server has printed.
func (s *Server) AdminURL(t testing.TB) string {
	t.Helper()
	const pattern = `https?://\S+/admin#code=(\S+)\s`
	s.AwaitLog(t, pattern)
	out, err := os.ReadFile(s.Log)
	if err != nil {
		t.Fatal(err)
	}
	link := regexp.MustCompile(pattern).FindSubmatch(out)
	return s.HTTPS + "/admin#code=" + string(link[1])
}

func (s *Server) awaitReady(t testing.TB) {
	t.Helper()
	client := s.in.Client()
	deadline := time.Now().Add(patience)
	var last string
	for time.Now().Before(deadline) {
		select {
		case <-s.exited:
			t.Fatalf("the server exited before it was ready: %v", s.err)
		case <-time.After(50 * time.Millisecond):
		}
		resp, err := client.Get(s.Inside() + "/readyz")
		if err != nil {
			last = err.Error()
			continue
		}
		body, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		if resp.StatusCode == http.StatusOK {
			return
		}
		last = fmt.Sprintf("%s: %s", resp.Status, body)
	}
	t.Fatalf("the server does not become ready: %s", last)
}

// Stop interrupts the server, which then has to exit by itself. What has been
// stopped or killed is not stopped again with the test.
func (s *Server) Stop(t testing.TB) {
	t.Helper()
	if !s.running {
		return
	}
	s.running = false
	select {
	case <-s.exited:
		t.Errorf("the server exited during the test: %v", s.err)
		return
	default:
	}
	s.cmd.Process.Signal(syscall.SIGINT)
	select {
	case <-s.exited:
		if s.err != nil {
			t.Errorf("the server did not exit cleanly: %v", s.err)
		}
	case <-time.After(patience):
		t.Errorf("the server still runs %v after SIGINT; asking it for its goroutines", patience)
		s.cmd.Process.Signal(syscall.SIGQUIT)
		select {
		case <-s.exited:
		case <-time.After(2 * time.Second):
			s.cmd.Process.Kill()
			<-s.exited
		}
	}
}

// Logged reports whether the server has printed what matches a pattern.
func (s *Server) Logged(t testing.TB, pattern string) bool {
	t.Helper()
	out, err := os.ReadFile(s.Log)
	if err != nil {
		t.Fatal(err)
	}
	return regexp.MustCompile(pattern).Match(out)
}

// AwaitLog waits until the server has printed what matches a pattern.
func (s *Server) AwaitLog(t testing.TB, pattern string) {
	t.Helper()
	for deadline := time.Now().Add(patience); !s.Logged(t, pattern); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("the server does not print %s", pattern)
		}
	}
}

func (s *Server) tail(lines int) string {
	out, err := os.ReadFile(s.Log)
	if err != nil {
		return err.Error()
	}
	all := strings.Split(strings.TrimRight(string(out), "\n"), "\n")
	return strings.Join(all[max(0, len(all)-lines):], "\n")
}

// Binary returns the path of the signalbox binary. SIGNALBOX_LAB_BINARY
// names one that is built already; scripts/test sets it, because root, as whom
// labs run, may have no Go.
func Binary(t testing.TB) string {
	t.Helper()
	if binary := os.Getenv("SIGNALBOX_LAB_BINARY"); binary != "" {
		return binary
	}
	dir := filepath.Join(root(t), "artifacts", "bin")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	// Other test processes build the same file.
	lock, err := os.Create(filepath.Join(dir, "lock"))
	if err != nil {
		t.Fatal(err)
	}
	defer lock.Close()
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX); err != nil {
		t.Fatalf("lock %s: %v", lock.Name(), err)
	}
	binary := filepath.Join(dir, "signalbox")
	cmd := exec.CommandContext(t.Context(), "go", "build", "-buildvcs=false", "-o", binary, "./cmd/signalbox")
	cmd.Dir = root(t)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("build the server: %v\n%s", err, bytes.TrimSpace(out))
	}
	return binary
}

// Artifacts returns the folder for what a test leaves to be looked at: logs,
// screenshots. It lies under artifacts/ at the module's root and bears the test's
// name, so that a run replaces what the one before has left.
func Artifacts(t testing.TB) string {
	t.Helper()
	dir := filepath.Join(root(t), "artifacts", filepath.FromSlash(t.Name()))
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}

// root returns the module's root: the nearest folder with a go.mod, going up.
func root(t testing.TB) string {
	t.Helper()
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for start := dir; ; {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			t.Fatalf("no go.mod above %s", start)
		}
		dir = parent
	}
}
