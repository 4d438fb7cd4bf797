package app

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"net/http"
	"net/netip"
	"os"
	"slices"
	"strings"
	"testing"

	"signalbox/internal/netaddr"
	"signalbox/internal/publicip"
)

// A device that trusts the authority verifies the certificate for every name and address of the
// box.
func TestLocalCAIsAllThatADeviceNeeds(t *testing.T) {
	t.Parallel()
	app := startApp(t, "public_host=box.example.org", "public_ip=198.51.100.7", "turn.relay_ip=127.0.0.1")
	base := "http://" + app.Addrs().Web
	_, header, text := get(t, insecure(), base+"/ca.pem")
	block, rest := pem.Decode([]byte(text))
	if block == nil || block.Type != "CERTIFICATE" || len(rest) > 0 {
		t.Fatalf("/ca.pem: %s %q", header.Get("Content-Type"), text)
	}
	_, header, der := get(t, insecure(), base+"/ca.crt")
	if header.Get("Content-Type") != "application/x-x509-ca-cert" || der != string(block.Bytes) {
		t.Errorf("/ca.crt: %s, %d bytes", header.Get("Content-Type"), len(der))
	}
	root, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	leaf := servedTo(t, app, "box.example.org")
	for _, name := range []string{"box.example.org", "localhost", "127.0.0.1", "::1"} {
		if err := verifies(leaf, root, name); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if verifies(leaf, root, "elsewhere.example.org") == nil {
		t.Error("the certificate is good for any name")
	}

	want := []string{"http://box.example.org:" + netaddr.Port(app.edge.Web().Addr()) + "/", "https://box.example.org:" +
		netaddr.Port(app.edge.WebTLS().Addr()) + "/"}
	var trust struct {
		Fingerprint string
		NotAfter    int64
		URLs        []string
	}
	if code, _, body := get(t, insecure(), base+"/api/trust"); code != http.StatusOK ||
		json.Unmarshal([]byte(body), &trust) != nil {
		t.Fatalf("/api/trust: %d %s", code, body)
	}
	sum := sha256.Sum256([]byte(der))
	digits := strings.ReplaceAll(trust.Fingerprint, ":", "")
	if !strings.EqualFold(digits, hex.EncodeToString(sum[:])) || trust.NotAfter != root.NotAfter.UnixMilli() {
		t.Errorf("/api/trust: %+v", trust)
	}
	var welcome strings.Builder
	if err := app.Welcome(&welcome); err != nil || !strings.Contains(welcome.String(), want[0]+"trust") ||
		!strings.Contains(welcome.String(), trust.Fingerprint) {
		t.Errorf("the welcome does not name the authority: %v, %s", err, welcome.String())
	}
	if !slices.Equal(trust.URLs, want) {
		t.Errorf("URLs %v, want %v", trust.URLs, want)
	}
	for _, url := range iceURLs(app, "box.example.org")[1:] {
		if strings.HasPrefix(url, "turns:") {
			t.Errorf("%s is handed out, which a browser that does not trust the authority fails on", url)
		}
	}
}

func TestOtherModesHaveNoCertificateAuthority(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	writeCertificate(t, dir+"/both.pem", "call.example.org")
	app := startApp(t, "tls.mode=files", "tls.cert="+dir+"/both.pem", "tls.key="+dir+"/both.pem")
	for _, path := range []string{"/ca.crt", "/ca.pem", "/api/trust"} {
		if code, _, _ := get(t, insecure(), "http://"+app.Addrs().Web+path); code != http.StatusNotFound {
			t.Errorf("%s: %d", path, code)
		}
	}
	if _, err := os.Stat(app.dir.Path("local-ca.pem")); err == nil {
		t.Error("one is made all the same")
	}
}

// The certificate names every address that people may type: this machine's, and what relays are
// bound to and known by.
func TestTheCertificateNamesEveryAddress(t *testing.T) {
	t.Parallel()
	app := newApp(t)
	names := certificateNames(&app.cfg, publicip.Relays{{
		Bind:   publicip.Choice{IP: netip.MustParseAddr("192.168.1.5")},
		Public: publicip.Choice{IP: netip.MustParseAddr("::ffff:198.51.100.7")},
	}})
	local, err := netaddr.Local()
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range append(local, netip.MustParseAddr("192.168.1.5"), netip.MustParseAddr("198.51.100.7")) {
		if !slices.Contains(names, want.String()) {
			t.Errorf("%s is not in %v", want, names)
		}
	}
}

// What Listen finds out is in the certificate before the welcome tells anybody.
func TestAnAddressThatIsLookedUpIsInTheFirstCertificate(t *testing.T) {
	t.Parallel()
	app := newApp(t, "public_ip=box.example.org", "turn.relay_ip=127.0.0.1")
	o := publicOptions(&app.cfg, app.log)
	o.Lookup = func(context.Context, string) ([]netip.Addr, error) {
		return []netip.Addr{netip.MustParseAddr("198.51.100.7")}, nil
	}
	var err error
	if app.relays, err = publicip.New(o); err != nil {
		t.Fatal(err)
	}
	if err := app.Listen(); err != nil {
		t.Fatal(err)
	}
	runApp(t, app)
	if err := verifies(servedTo(t, app, "localhost"), app.certs.Authority().Certificate(), "198.51.100.7"); err != nil {
		t.Error(err)
	}
	kept, err := app.dir.Read("self-signed.pem")
	if block, _ := pem.Decode(kept); err != nil || !bytes.Equal(block.Bytes, app.certs.InForce().Pair.Leaf.Raw) {
		t.Errorf("another is kept: %v", err)
	}
}
