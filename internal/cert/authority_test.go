package cert

import (
	"crypto/tls"
	"os/exec"
	"strings"
	"testing"
	"time"

	"signalbox/internal/testkit"
)

// The authority is for this box's names, those of local networks and addresses. Go and OpenSSL hold
// it to that.
func TestTheAuthoritySignsForNobodyElse(t *testing.T) {
	t.Parallel()
	openssl := testkit.Need(t, "openssl")
	ca, err := newAuthority(time.Now(), []string{"Call.example.org", "box", "192.0.2.7"})
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]bool{
		"call.example.org": true, "CALL.example.org": true, "a.call.example.org": true, "box": true, "localhost": true,
		"box.local": true, "box.lan": true,
		"box.home.arpa": true, "box.internal": true, "192.0.2.7": true, "198.51.100.9": true, "2001:db8::7": true,
		"example.org": false, "bank.example": false, "xcall.example.org": false, "otherbox": false, "notlocal": false,
	} {
		text, err := ca.sign(time.Now(), []string{name})
		if err != nil {
			t.Fatal(err)
		}
		both, err := tls.X509KeyPair(text, text)
		if err != nil {
			t.Fatal(err)
		}
		if err := testkit.Verifies(both.Leaf, ca.cert, name); (err == nil) != want || ca.permits(name) != want {
			t.Errorf("%s: Go says %v, we say %t", name, err, ca.permits(name))
		}
		dir := t.TempDir()
		testkit.WriteFile(t, dir+"/ca.pem", ca.pem())
		testkit.WriteFile(t, dir+"/leaf.pem", text)
		out, err := exec.Command(openssl, "verify", "-x509_strict", "-purpose", "sslserver", "-CAfile", dir+"/ca.pem",
			dir+"/leaf.pem").CombinedOutput()
		if (err == nil) != want || !want && !strings.Contains(string(out), "permitted subtree violation") {
			t.Errorf("%s: openssl says %s", name, out)
		}
	}
}
