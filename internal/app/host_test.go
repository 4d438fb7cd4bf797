package app

import (
	"crypto/tls"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"signalbox/internal/cert"
	"signalbox/internal/config"
	"signalbox/internal/publicip"
	"signalbox/internal/state"
)

// What doctor is told is what a start would come to.
func TestDoctorSeesWhatAStartWould(t *testing.T) {
	t.Parallel()
	cfg, err := load(config.LoadOptions{Dev: true, Set: []string{"turn.relay_ip=127.0.0.1", "public_ip=192.0.2.7",
		"turn.relay_ports=50000-50099"}})
	if err != nil {
		t.Fatal(err)
	}
	where, _, err := FindRelays(t.Context(), &cfg)
	if err != nil || len(where) != 1 || where[0].Bind.IP != netip.MustParseAddr("127.0.0.1") ||
		where[0].Public.IP != netip.MustParseAddr("192.0.2.7") || where[0].Public.Why == "" {
		t.Errorf("got %+v, %v", where, err)
	}
	if p := cfg.TURN.RelayPorts; p.First != 50000 || p.Last != 50099 {
		t.Errorf("got %v", p)
	}

	dir := t.TempDir()
	kept := func() (*tls.Certificate, error) { return KeptCertificate(&cfg, state.Existing(dir)) }
	if pair, err := kept(); pair != nil || err != nil ||
		cert.KeptAuthority(state.Existing(dir)) != nil {
		t.Errorf("before the first start there is a certificate, or an error: %v", err)
	}
	app := newAppIn(t, dir, nil)
	if err := app.Listen(); err != nil { // it keeps what it made
		t.Fatal(err)
	}
	t.Cleanup(func() { app.Close() })
	pair, err := kept()
	if err != nil || pair == nil {
		t.Fatalf("after it there is none: %v", err)
	}
	if err := verifies(pair.Leaf, cert.KeptAuthority(state.Existing(dir)), "localhost"); err != nil {
		t.Error(err)
	}
	if now := time.Now(); cert.EndsSoon(pair.Leaf, now) ||
		!cert.EndsSoon(pair.Leaf, pair.Leaf.NotAfter) {
		t.Error("the time of warning is not the log's")
	}
	if err := os.WriteFile(filepath.Join(dir, "self-signed.pem"), []byte("none"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := kept(); err == nil {
		t.Error("a broken file is no error")
	}
	if err := os.Remove(filepath.Join(dir, "self-signed.pem")); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(dir, "self-signed.pem"), 0o700); err != nil {
		t.Fatal(err)
	}
	if _, err := kept(); err == nil {
		t.Error("what can't be read passes for what is not there")
	}
}

// A second address for discovery that does not fit this host is a warning and no error: what is
// checked on one machine may run on another.
func TestAlternateThatDoesNotFitTheHostIsAWarning(t *testing.T) {
	t.Parallel()
	check := func(set ...string) (cfg config.Config, warnings []config.Warning) {
		t.Helper()
		cfg, err := load(config.LoadOptions{Set: append([]string{"web.listen=", "web.tls_listen=", "turn.listen=:3478"},
			set...)})
		if err != nil {
			t.Fatalf("%v: %v", set, err)
		}
		for _, w := range CheckHost(t.Context(), &cfg) {
			if w.Key == "stun.alternate" {
				warnings = append(warnings, w)
			}
		}
		return cfg, warnings
	}
	cfg, _ := check()
	finder, err := publicip.New(publicOptions(&cfg, nil))
	if err != nil {
		t.Fatal(err)
	}
	own := finder.Reached().String()
	for _, tc := range []struct {
		set  []string
		want string // empty: no warning
	}{
		{[]string{"stun.alternate=" + own + ":3479"}, own + " is the address that clients ask anyway"},
		{[]string{"stun.alternate=192.0.2.1:3479"}, "this machine has no address 192.0.2.1"},
		{[]string{"turn.listen=127.0.0.2:3478", "public_ip=198.51.100.7", "stun.alternate=127.0.0.1:0"},
			"there is a NAT in front of it"},
		{[]string{"turn.listen=127.0.0.2:3478", "public_ip=127.0.0.1", "stun.alternate=127.0.0.1:0"}, ""},
	} {
		_, warnings := check(tc.set...)
		switch {
		case tc.want == "" && len(warnings) > 0:
			t.Errorf("%v: warnings %v", tc.set, warnings)
		case tc.want != "" && (len(warnings) == 0 || !strings.Contains(warnings[0].Text, tc.want)):
			t.Errorf("%v: warnings %v, want %q", tc.set, warnings, tc.want)
		}
	}
	// An address that turn.listen names is the configuration's own fault.
	_, err = load(config.LoadOptions{Set: []string{"turn.listen=127.0.0.1:3478", "stun.alternate=127.0.0.1:3479"}})
	if err == nil ||
		!strings.Contains(err.Error(), "stun.alternate (--set): 127.0.0.1 is the address that clients ask") {
		t.Errorf("the address of turn.listen: %v", err)
	}
}

// A Socket.IO client that isn't there is told of before the first page asks for it.
func TestMissingSocketIOClientIsAWarning(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "socket.io.js")
	cfg, err := load(config.LoadOptions{Dev: true, Set: []string{"compat.socketio_client=" + file}})
	if err != nil {
		t.Fatal(err)
	}
	warned := func() bool {
		return slices.ContainsFunc(CheckHost(t.Context(), &cfg), func(w config.Warning) bool {
			return w.Key == "compat.socketio_client" && strings.Contains(w.Text, file)
		})
	}
	if !warned() {
		t.Error("there is no warning")
	}
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if warned() {
		t.Error("there is one, though the file is there")
	}
}
