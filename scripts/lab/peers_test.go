//go:build linux

package lab_test

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"signalbox/scripts/lab"
)

// What an application has of its peers beside one picture: a screen apart from the camera, data of
// every kind, questions, what each says of itself, and encryption from end to end. Each in both
// browsers, towards the other one.
func TestPeersOfAnApplication(t *testing.T) {
	besideOthers(t)
	root := t.TempDir()
	if err := os.WriteFile(filepath.Join(root, "app.html"), []byte(`<!doctype html><title>app</title>
		<link rel="icon" href="/assets/favicon.svg">`), 0o600); err != nil {
		t.Fatal(err)
	}
	l := lab.New(t, lab.PortRestricted, lab.PortRestricted)
	server := lab.StartServer(t, l.Server, lab.Config, "--set", "web.root="+root)
	chromium := lab.StartBrowser(t, l.A, lab.BrowserOptions{})
	firefox := lab.StartBrowser(t, l.B, lab.BrowserOptions{Engine: lab.Firefox})
	open := func(b *lab.Browser, options string) *lab.Page {
		p := b.Open(server.HTTPS+"/app.html", lab.PageOptions{})
		p.Expect(`WebSocket`)
		p.Await(30*time.Second, "the application has joined",
			fmt.Sprintf("(%s)(%s).then(() => true)", snippet(t, "peers.js"), options))
		return p
	}

	t.Run("in the clear", func(t *testing.T) {
		ann := open(chromium, `{ name: "Ann", meta: { hand: true } }`)
		bob := open(firefox, `{ name: "Bob", meta: { hand: false } }`)
		both := map[string]*lab.Page{"Chromium": ann, "Firefox": bob}
		for name, p := range both {
			run(p, name+" has the camera and the screen apart", `app.colors().then(all => all == "red,blue")`)
			run(p, name+" knows what the other says of itself", `app.data.metaOf(app.peer())?.hand === `+
				map[string]string{"Chromium": "false", "Firefox": "true"}[name])
			run(p, name+" has its own servers", `app.peer().connection.getConfiguration().iceServers
				.some(({ urls }) => String(urls).includes("203.0.113.9"))`)
			run(p, name+" was told a changed description",
				`app.peer().connection.remoteDescription.sdp.includes("b=AS:4444")`)
			run(p, name+" sends the screen as it is to be sent", `app.peer().connection.getStats().then(stats => {
				const sender = app.peer().connection.getSenders().find(s => s.track === app.screen.getVideoTracks()[0]);
				const sent = [...stats.values()].filter(s => s.type === "outbound-rtp" && s.codecId);
				return sender.getParameters().encodings[0].maxBitrate === 400_000
					&& sent.map(s => stats.get(s.codecId).mimeType).sort().join() === "video/VP8,video/VP9";
			})`)
			changeSender(p, name, p == ann)
			run(p, name+" asks and is answered", `app.data.ask(app.peer(), { n: 1 }).then(got =>
				got.asked.n === 1 && got.by !== app.session.name)`)
		}
		for name, p := range both {
			other := bob
			if p == bob {
				other = ann
			}
			for _, value := range []string{`{}`, `[]`, `""`, `0`, `false`, `{"a":[1,"工"]}`} {
				run(p, name+" sends "+value, `app.data.send(`+value+`) === 1`)
				run(other, value+" arrives", `JSON.stringify(app.received) === '`+value+`'`)
			}
			run(p, name+" transfers a file",
				`app.data.transfer(new Blob([new Uint8Array(3e6).fill(7)])).then(n => n === 1)`)
			run(other, "the file arrives", `app.received.byteLength === 3e6 && app.progress === 1 &&
				new Uint8Array(app.received).every(byte => byte === 7)`)
			run(p, name+" ends the screen", `app.room.replaceTrack("video", null, "screen").then(() => true)`)
			run(other, "the screen is gone", `app.peer().streams.size === 0 && app.log.includes("stream screen false")`)
			run(p, name+" shows it again", `app.room.replaceTrack("video", app.screen.getVideoTracks()[0], "screen")
				.then(() => true)`)
			run(other, "the screen is back", `app.colors().then(all => all == "red,blue")`)
		}
		// A transfer, a track and statistics end with the peer that they are for.
		for _, p := range both {
			p.Eval(`(app.ends = Promise.allSettled([app.data.transfer(new Uint8Array(2e8)), app.data.ask(app.peer(), 1),
				app.room.replaceTrack("video", null), app.peer().path(), app.data.drain()]), 0)`, nil)
		}
		for _, p := range both {
			p.Eval(`(app.room.leave(), 0)`, nil)
		}
		for name, p := range both {
			run(p, name+" waits for nobody", `app.ends.then(all => all.length === 5)`)
		}
		ann.Close()
		bob.Close()
	})

	// Whoever is there first makes the offers.
	t.Run("encrypted, for one who only listens", func(t *testing.T) {
		const speaks, listens = `{ secret: "correct horse" }`, `{ secret: "correct horse", listens: true }`
		for _, tt := range []struct {
			name          string
			first, second *lab.Browser
			before, after string
			listener      int
		}{
			{"Chromium offers and listens", chromium, firefox, listens, speaks, 0},
			{"Chromium offers and speaks", chromium, firefox, speaks, listens, 1},
			{"Firefox offers and speaks", firefox, chromium, speaks, listens, 1},
			{"Firefox offers and listens", firefox, chromium, listens, speaks, 0},
		} {
			pages := []*lab.Page{open(tt.first, tt.before), open(tt.second, tt.after)}
			run(pages[tt.listener], tt.name+": sees both", `app.colors().then(all => all == "red,blue")`)
			for _, p := range pages {
				p.Close()
			}
		}
	})

	for _, tt := range []struct{ name, secret, colors string }{
		{"encrypted", "correct horse", "red,blue"}, {"encrypted with another key", "wrong horse", ","},
	} {
		t.Run(tt.name, func(t *testing.T) {
			ann := open(chromium, `{ name: "Ann", secret: "correct horse" }`)
			bob := open(firefox, `{ name: "Bob", secret: "`+tt.secret+`" }`)
			for name, p := range map[string]*lab.Page{"Chromium": ann, "Firefox": bob} {
				run(p, name+" is connected", `app.peer()?.state === "connected"`)
				run(p, name+" gets frames", `app.peer().connection.getStats().then(stats =>
					[...stats.values()].some(s => s.type === "inbound-rtp" && s.packetsReceived > 100))`)
				run(p, name+" sees "+tt.colors, `app.colors().then(all => all == "`+tt.colors+`")`)
				if tt.colors == "," {
					run(p, name+" has decoded nothing", `app.peer().connection.getStats().then(stats =>
						![...stats.values()].some(s => s.type === "inbound-rtp" && s.framesDecoded > 0))`)
				}
			}
			ann.Close()
			bob.Close()
		})
	}
}

// changeSender changes the limit of the screen during the call, and, where that is possible, its
// codec.
func changeSender(p *lab.Page, name string, hasCodec bool) {
	run(p, name+" sends the screen within another limit", `(async () => {
		const track = app.screen.getVideoTracks()[0];
		const sender = app.peer().connection.getSenders().find(each => each.track === track);
		const parameters = sender.getParameters();
		const codec = parameters.codecs.find(({ mimeType }) => mimeType === "video/VP8");
		for (const encoding of parameters.encodings) Object.assign(encoding, { maxBitrate: 200_000, codec });
		await sender.setParameters(parameters);
		return sender.getParameters().encodings[0].maxBitrate === 200_000;
	})()`)
	if !hasCodec {
		return
	}
	run(p, name+" sends the screen by another codec", `app.peer().connection.getStats().then(stats => {
		const sent = [...stats.values()].filter(s => s.type === "outbound-rtp" && s.codecId);
		return sent.map(s => stats.get(s.codecId).mimeType).join() === "video/VP8,video/VP8"
			&& sent.some(s => s.targetBitrate <= 200_000);
	})`)
}
