package doctor

import (
	"crypto/ed25519"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"signalbox/internal/config"
)

// examine checks this machine with a configuration and a state directory.
func examine(t testing.TB, cfg config.Config, dir string) Report {
	t.Helper()
	d := New(nil)
	d.Host(deadline(t), HostOptions{Config: cfg, State: dir, TLS: &tls.Config{}, Timeout: patience})
	return d.Report()
}

// free returns an address that nobody listens on.
func free(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// contents are the files of a directory.
func contents(t testing.TB, dir string) map[string]string {
	t.Helper()
	out := map[string]string{}
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		text, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		info, err := e.Info()
		if err != nil {
			t.Fatal(err)
		}
		out[e.Name()] = string(text) + info.ModTime().String()
	}
	return out
}

// Where no box runs doctor runs one, and leaves nothing behind.
func TestThisMachineWithoutABox(t *testing.T) {
	t.Parallel()
	for name, dir := range map[string]string{"never started": filepath.Join(t.TempDir(), "state"),
		"kept": start(t).dir} {
		var before map[string]string
		if name == "kept" {
			before = contents(t, dir)
		}
		r := examine(t, configuration(t, "web.listen="+free(t), "web.tls_listen="+free(t)), dir)
		wants(t, r, "config", OK)
		wants(t, r, "relay address", OK, "127.0.0.1")
		wants(t, r, "port range", OK, "49152-65535")
		wants(t, r, "state", OK, dir)
		wants(t, r, "start", OK, "copy of the state directory")
		wants(t, r, "certificate", OK, "signalbox local CA")
		wants(t, r, "turn/udp", OK)
		wants(t, r, find(t, r, "turn/tcp").Name+" data", OK)
		if r.Failed != 0 || !strings.Contains(r.Verdict, "also through the relay") {
			t.Errorf("%s: %s", name, text(r))
		}
		if before == nil {
			if _, err := os.Stat(dir); err == nil {
				t.Error("the state directory was made")
			}
			continue
		}
		after := contents(t, dir)
		for file := range before {
			if before[file] != after[file] {
				t.Errorf("%s was changed", file)
			}
		}
		if len(before) != len(after) || len(before) == 0 {
			t.Errorf("%d files, then %d", len(before), len(after))
		}
	}
}

// What is copied is what a box keeps: no links, whose targets are others' files, and nothing large.
func TestCopiedState(t *testing.T) {
	t.Parallel()
	from, to := t.TempDir(), t.TempDir()
	for name, size := range map[string]int{"turn-secret": 44, "exact": 1 << 20, "large": 1<<20 + 1,
		".turn-secret-1": 10} {
		if err := os.WriteFile(filepath.Join(from, name), make([]byte, size), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if runtime.GOOS != "windows" {
		if err := os.Symlink(filepath.Join(start(t).dir, "turn-secret"), filepath.Join(from, "link")); err != nil {
			t.Fatal(err)
		}
	}
	if err := copyState(from, to); err != nil {
		t.Fatal(err)
	}
	copied := contents(t, to)
	if len(copied) != 2 || copied["turn-secret"] == "" || copied["exact"] == "" {
		t.Errorf("%d files", len(copied))
	}
	if info, err := os.Stat(filepath.Join(to, "turn-secret")); err != nil || runtime.GOOS != "windows" &&
		info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info, err)
	}
	root, err := os.OpenRoot(from)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	if _, err := readUpTo(1, root, "link"); err == nil { // a file may have become one since it was listed
		t.Error("a link is followed")
	}
}

// The box that runs here is found by the configuration, and asked instead.
func TestThisMachineWithABox(t *testing.T) {
	t.Parallel()
	for _, mode := range [][]string{
		{"auth.mode=open"}, {"auth.mode=password", "auth.password=north-north"},
		{"auth.mode=jwt", "auth.jwt_key=north-north-north-north-north-north"},
		{"tls.mode=off"}, {"web.trusted_proxies=127.0.0.1", "web.proxy_protocol=true"},
	} {
		set := append([]string{"web.listen=" + free(t), "web.tls_listen=" + free(t)}, mode...)
		cfg := configuration(t, set...)
		b := startWith(t, cfg)
		r := examine(t, cfg, b.dir)
		wants(t, r, "running", OK, "0 sessions, 0 allocations")
		wants(t, r, "room", OK) // with a token that the configuration makes
		wants(t, r, find(t, r, "turn/udp").Name+" data", OK)
		if r.Failed != 0 {
			t.Error(text(r))
		}

		r = examine(t, cfg, t.TempDir())
		wants(t, r, "running", Warning, "not with this state directory", "--state DIR")
	}
}

// Behind many NATs a machine can't reach itself by its public address, which is normal. The box is
// at 127.0.0.1 only, and hands out 127.0.0.9.
func TestThisMachineBehindANAT(t *testing.T) {
	t.Parallel()
	if runtime.GOOS != "linux" {
		t.Skip("only Linux has all of 127.0.0.0/8")
	}
	r := examine(t, configuration(t, "web.listen="+free(t), "web.tls_listen=", "public_host=127.0.0.9"), t.TempDir())
	for _, name := range []string{"stun/udp 127.0.0.9", "turn/udp 127.0.0.9", "turn/tcp 127.0.0.9"} {
		wants(t, r, name, Warning, "does not reach 127.0.0.9", "in another network")
	}
	if r.Failed != 0 || !strings.Contains(r.Verdict, "shows from another network only") ||
		strings.Contains(r.Verdict, "no relay works") {
		t.Error(text(r))
	}
}

// Another program has a port that the box needs.
func TestTakenPort(t *testing.T) {
	t.Parallel()
	other, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { other.Close() })
	taken := other.Addr().String()
	for _, key := range []string{"turn.listen", "web.listen"} {
		d := New(nil)
		d.Host(deadline(t), HostOptions{Config: configuration(t, key+"="+taken), State: t.TempDir(), TLS: &tls.Config{},
			Timeout: time.Second})
		r := d.Report()
		wants(t, r, "start", Failed, key+": listen on tcp "+taken, "choose another")
		if runtime.GOOS == "linux" {
			wants(t, r, "start", Failed, "doctor.test (process ")
		}
		if !strings.HasPrefix(r.Verdict, "This machine is not ready") {
			t.Error(r.Verdict)
		}
	}
}

func TestThisMachinesCertificate(t *testing.T) {
	t.Parallel()
	expired, key := keyPair(t, time.Now().Add(-time.Hour))
	set := []string{"tls.mode=files", "tls.cert=" + expired, "tls.key=" + key, "web.listen=" + free(t),
		"web.tls_listen=" + free(t)}
	r := examine(t, configuration(t, set...), t.TempDir())
	wants(t, r, "kept certificate", Failed, "it expired on ", "renew")

	r = examine(t, configuration(t, append(set, "tls.key="+expired)...), t.TempDir())
	wants(t, r, "kept certificate", Failed, "tls.cert, tls.key: ")
	wants(t, r, "start", Failed)

	good, key := keyPair(t, time.Now().Add(60*24*time.Hour))
	r = examine(t, configuration(t, "tls.mode=files", "tls.cert="+good, "tls.key="+key, "public_host=127.0.0.2"),
		t.TempDir())
	wants(t, r, "kept certificate", Failed, "it is not for 127.0.0.2")

	// No orders from doctor.
	r = examine(t, configuration(t, "tls.mode=acme", "public_host=call.example.org", "web.listen="+free(t),
		"web.tls_listen="+
			free(t)), t.TempDir())
	wants(t, r, "running", Skipped, "orders no certificates", "start signalbox")
}

func TestWhatDoesNotFitThisMachine(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "turn-secret"), []byte("north-north-north-north"), 0o644); err != nil {
		t.Fatal(err)
	}
	r := examine(t, configuration(t, "turn.listen=192.0.2.77:3478", "turn.relay_ip=127.0.0.1",
		"turn.relay_ports=50000-50009",
		"web.listen="+free(t), "web.tls_listen="), dir)
	wants(t, r, "config", Warning, "this machine has no address 192.0.2.77")
	wants(t, r, "port range", Warning, "only 10 ports")
	wants(t, r, "start", Failed, "this machine has no such address")
	if runtime.GOOS != "windows" {
		wants(t, r, "state", Warning, "chmod 600 ")
	}

	r = examine(t, configuration(t, "web.listen=", "web.tls_listen="), t.TempDir())
	wants(t, r, "running", Skipped, "no signaling to check")

	file := filepath.Join(dir, "turn-secret")
	wants(t, examine(t, configuration(t, "web.listen=", "web.tls_listen="), file), "state", Failed,
		"is not a directory")
}

// A configuration with a public key makes no tokens: doctor says so, and does not blame the
// network.
func TestRoomTokensOfOthers(t *testing.T) {
	t.Parallel()
	public, _, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKIXPublicKey(public)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "public.pem")
	if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	r := examine(t, configuration(t, "auth.mode=jwt", "auth.jwt_key="+path, "web.listen="+free(t), "web.tls_listen="),
		t.TempDir())
	wants(t, r, "signaling", Failed, "its configuration can't make one", "--token")
}

// What a box says of itself does not steer the terminal of who asks.
func TestAttackF10ChecksInATerminal(t *testing.T) {
	t.Parallel()
	const hostile = "eve\x1b[2J\u009b1m\nroot\t\u202exy\x7f"
	d := New(func(c Check) {
		for _, s := range []string{c.Name, c.Detail, c.Fix} {
			if want := `eve\x1b[2J\u009b1m\nroot\t\u202exy\x7f`; s != want {
				t.Errorf("%q, want %q", s, want)
			}
		}
	})
	d.add(Check{Name: hostile, Detail: hostile, Fix: hostile})
	if n := len(d.Report().Checks); n != 1 {
		t.Errorf("%d checks", n)
	}
}

// What everybody on this machine can read is said, of the state directory and of the configuration.
func TestAttackF10WhatOthersCanReadIsSaidByDoctor(t *testing.T) {
	t.Parallel()
	if runtime.GOOS == "windows" {
		t.Skip("permissions are others there")
	}
	dir := filepath.Join(t.TempDir(), "state")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	cfg := configuration(t, "web.listen=", "web.tls_listen=", "admin.token=0123456789abcdef")
	cfg.File = filepath.Join(dir, "..", "config.toml")
	if err := os.WriteFile(cfg.File, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	r := examine(t, cfg, dir)
	wants(t, r, "state", Warning, "everybody on this machine", "chmod 700 "+dir)
	wants(t, r, "config", Warning, "admin.token", "everybody on this machine can read "+cfg.File)
	for name, mode := range map[string]os.FileMode{dir: 0o700, cfg.File: 0o600} {
		if err := os.Chmod(name, mode); err != nil {
			t.Fatal(err)
		}
	}
	r = examine(t, cfg, dir)
	wants(t, r, "state", OK)
	wants(t, r, "config", OK)
}

// The box that doctor runs for its checks tells nobody of what is wrong.
func TestDoctorsBoxTellsNobody(t *testing.T) {
	t.Parallel()
	box, c := listen(configuration(t, "notify.self_test=12h", "notify.webhook=https://chat.example.org/"), t.TempDir())
	if c.Verdict != OK {
		t.Fatalf("%+v", c)
	}
	defer box.Close()
	if s := box.Status(); s.SelfTest.On || s.Notices.On {
		t.Errorf("%+v %+v", s.SelfTest, s.Notices)
	}
}
