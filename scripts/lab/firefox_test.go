//go:build linux

package lab_test

import (
	"strings"
	"testing"
	"time"

	"signalbox/scripts/lab"
)

// Two engines, each with an ICE and a TURN client of its own, meet at the relay.
func TestCallBetweenChromiumAndFirefox(t *testing.T) {
	besideOthers(t)
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
			for name, p := range map[string]*lab.Page{"Chromium": ann, "Firefox": bo} {
				measured(t, name, p)
			}
			if path := tile(bo); !strings.HasPrefix(path, "relay-"+tt.transport) {
				t.Errorf("Firefox's page says %q of the connection", path)
			}
			bo.Shoot("in-call-" + string(tt.behind))
		})
	}
}

// measured has the statistics of one engine's connection read by the SDK's module, which is given
// the bare connection.
func measured(t *testing.T, name string, p *lab.Page) {
	t.Helper()
	p.Await(20*time.Second, name+"'s samples", `(async () => {
		window.labStats ??= import("/signalbox-stats.js").then(({ Stats }) =>
			new Stats(labPeerConnections.find(pc => pc.connectionState == "connected")));
		window.labMeasured = await labStats;
		return labMeasured.samples.length >= 4;
	})()`)
	type flow struct {
		Codec          string
		Bitrate, Width int
	}
	var got struct {
		Path     string
		RTT      *int
		Up, Down struct {
			Bitrate, Packets int
			Lost             *int
			Audio, Video     *flow
		}
	}
	p.Eval(`(labMeasured.stop(), labMeasured.last)`, &got)
	for way, d := range map[string]struct {
		rate         int
		lost         *int
		audio, video *flow
	}{
		"up":   {got.Up.Bitrate, got.Up.Lost, got.Up.Audio, got.Up.Video},
		"down": {got.Down.Bitrate, got.Down.Lost, got.Down.Audio, got.Down.Video},
	} {
		if d.rate < 10_000 || d.lost == nil || d.audio == nil || d.video == nil || d.audio.Codec != "opus" ||
			d.video.Codec == "" || d.video.Width == 0 {
			t.Errorf("%s's sample, %s: %+v, audio %+v, video %+v", name, way, d, d.audio, d.video)
		}
	}
	if !strings.HasPrefix(got.Path, "relay-") || got.RTT == nil {
		t.Errorf("%s's sample has the path %q, round trip %v", name, got.Path, got.RTT)
	}
}
