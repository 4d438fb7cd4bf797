//go:build linux

package lab_test

import (
	"strings"
	"testing"

	"signalbox/scripts/lab"
)

// Two engines, each with an ICE and a TURN client of its own, meet at the relay.
func TestCallBetweenChromiumAndFirefox(t *testing.T) {
	l := lab.New(t, lab.Symmetric, lab.Symmetric)
	l.A.Resolve(t, lab.ServerName, l.Server.Public)
	l.B.Resolve(t, lab.ServerName, l.Server.Public)
	server := lab.StartServer(t, l.Server, lab.Config+lab.CertificateConfig(t), "--set", "web.tls_listen=:443")
	chromium, firefox := lab.StartBrowser(t, l.A, lab.BrowserOptions{}),
		lab.StartBrowser(t, l.B, lab.BrowserOptions{Engine: lab.Firefox})

	for _, tt := range []struct {
		name      string
		behind    lab.NAT // both
		transport string  // between each of them and its relay; empty: theirs to choose
	}{
		{"symmetric NATs", lab.Symmetric, ""},
		{"port 443 only", lab.TCP443Only, "tls"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			l.SetNAT(t, l.NATA, tt.behind)
			l.SetNAT(t, l.NATB, tt.behind)
			server.HTTPS = "https://" + lab.ServerName // the ICE servers follow: see lab.Firefox
			ann := enter(chromium, server, "Ann", "?relay=1", lab.PageOptions{})
			defer ann.Close()
			bo := enter(firefox, server, "Bo", "?relay=1", lab.PageOptions{})
			defer bo.Close()
			for name, p := range map[string]*lab.Page{"Chromium": ann, "Firefox": bo} {
				f := watch(t, p, 1)[0]
				if f.Local != "relay" || f.RelayProtocol == "" || tt.transport != "" &&
					f.RelayProtocol != tt.transport {
					t.Errorf("%s is connected %+v, not through its relay over %q", name, f, tt.transport)
				}
				moreFrames(t, p)
			}
			if path := tile(bo); !strings.HasPrefix(path, "relay-"+tt.transport) {
				t.Errorf("Firefox's page says %q of the connection", path)
			}
			bo.Shoot("in-call-" + string(tt.behind))
		})
	}
}
