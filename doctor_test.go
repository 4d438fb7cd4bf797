package signalbox

import (
	"net/netip"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// What doctor is told is what a start would come to.
func TestDoctorSeesWhatAStartWould(t *testing.T) {
	t.Parallel()
	cfg, err := Load(LoadOptions{Dev: true, Set: []string{"turn.relay_ip=127.0.0.1", "public_ip=192.0.2.7",
		"turn.relay_ports=50000-50099"}})
	if err != nil {
		t.Fatal(err)
	}
	where, err := HostRelays(t.Context(), cfg)
	if err != nil || len(where) != 1 || where[0].Bind != netip.MustParseAddr("127.0.0.1") ||
		where[0].Public != netip.MustParseAddr("192.0.2.7") || where[0].Why == "" {
		t.Errorf("got %+v, %v", where, err)
	}
	if first, last, err := RelayPorts(cfg); first != 50000 || last != 50099 || err != nil {
		t.Errorf("got %d-%d, %v", first, last, err)
	}

	dir := t.TempDir()
	if pair, err := KeptCertificate(cfg, ReadState(dir)); pair != nil || err != nil ||
		KeptAuthority(ReadState(dir)) != nil {
		t.Errorf("before the first start there is a certificate, or an error: %v", err)
	}
	app := newAppIn(t, dir, nil)
	if err := app.Listen(); err != nil { // it keeps what it made
		t.Fatal(err)
	}
	t.Cleanup(func() { app.Close() })
	pair, err := KeptCertificate(cfg, ReadState(dir))
	if err != nil || pair == nil {
		t.Fatalf("after it there is none: %v", err)
	}
	if err := verifies(pair.Leaf, KeptAuthority(ReadState(dir)), "localhost"); err != nil {
		t.Error(err)
	}
	if now := time.Now(); CertificateEndsSoon(pair.Leaf, now) ||
		!CertificateEndsSoon(pair.Leaf, now.Add(selfSignedLife)) {
		t.Error("the time of warning is not the log's")
	}
	if err := os.WriteFile(filepath.Join(dir, selfSignedFile), []byte("none"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := KeptCertificate(cfg, ReadState(dir)); err == nil {
		t.Error("a broken file is no error")
	}
	if err := os.Remove(filepath.Join(dir, selfSignedFile)); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(dir, selfSignedFile), 0o700); err != nil {
		t.Fatal(err)
	}
	if _, err := KeptCertificate(cfg, ReadState(dir)); err == nil {
		t.Error("what can't be read passes for what is not there")
	}
}
