package site

import "testing"

// What only the box, or only a network of its own, can be called is known; every other name might
// be that of a page which leads it here.
func TestHosts(t *testing.T) {
	t.Parallel()
	h := Hosts{Names: []string{"call.example.org", "app.example.org"},
		Cert: func(host string) bool { return host == "cert.example.org" }}
	for host, want := range map[string]bool{
		"call.example.org": true, "Call.Example.Org:8443": true, "call.example.org.": true, "app.example.org": true,
		"cert.example.org:443": true, "127.0.0.1:8080": true, "[::1]:8080": true, "[2001:db8::1]": true, "::1": true,
		"198.51.100.7": true, "localhost:8080": true, "box:8080": true, "box.local:8080": true, "box.lan": true,

		"evil.example": false, "evil.example:8080": false, "call.example.org.evil.example": false,
		"xcall.example.org": false, "box.local.evil.example": false, "127.0.0.1.evil.example": false,
		"127.0.0.1.nip.io:8080": false, "": false, ":8080": false, "[::1": true, "evil.example:": false,
		"127.0.0.1@evil.example": false,
	} {
		if got := h.Knows(host); got != want {
			t.Errorf("%q: %v", host, got)
		}
	}
}
