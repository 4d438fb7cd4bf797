//go:build linux

package lab_test

import (
	"fmt"
	"testing"
	"time"

	"signalbox/scripts/lab"
)

// TestCallControls presses the buttons of one page and looks at the other.
func TestCallControls(t *testing.T) {
	besideOthers(t)
	l := lab.New(t, lab.Symmetric, lab.Symmetric)
	server := lab.StartServer(t, l.Server, lab.Config, "--set", "signal.room_capacity=2")
	a := lab.StartBrowser(t, l.A, lab.BrowserOptions{})
	b := lab.StartBrowser(t, l.B, lab.BrowserOptions{})
	ann := enter(a, server, "Ann", "", lab.PageOptions{})
	bo := enter(b, server, "Bo", "", lab.PageOptions{})
	watch(t, ann, 1)
	watch(t, bo, 1)

	sendsVoice := `labPeerConnections.flatMap(pc => pc.getSenders()).some(s => s.track?.kind == "audio" && ` +
		`s.track.enabled)`
	showsMuted := `!document.querySelector(".tile[data-peer] .tile-bar > svg").hasAttribute("hidden")`
	hears := `document.querySelector(".tile[data-peer]").hasAttribute("data-speaks")` // the level is above silence
	showsPicture := `document.querySelector(".tile[data-peer]").hasAttribute("data-picture")`
	showsScreen := `document.querySelector(".tile[data-screen]") != null`
	not := func(expression string) string { return "!(" + expression + ")" }

	t.Run("mute", func(t *testing.T) {
		bo.Await(10*time.Second, "Bo hears Ann", hears)
		ann.Click("#mute")
		ann.Await(5*time.Second, "Ann sends no voice", not(sendsVoice))
		ann.Await(5*time.Second, "and next to no packets of it", `(async () => {
			const sent = async () => [...(await labPeerConnections.at(-1).getStats()).values()]
				.find(s => s.type == "outbound-rtp" && s.kind == "audio").packetsSent;
			const before = await sent();
			await new Promise(resolve => setTimeout(resolve, 1000));
			return await sent() - before <= 10; // of 50
		})()`)
		bo.Await(5*time.Second, "Bo sees that Ann is muted, and hears nothing", showsMuted+" && "+not(hears))
		ann.Click("#mute")
		ann.Await(5*time.Second, "Ann sends her voice again", sendsVoice)
		bo.Await(5*time.Second, "Bo sees that Ann is not muted, and hears her", not(showsMuted)+" && "+hears)
	})

	t.Run("camera", func(t *testing.T) {
		ann.Click("#camera")
		bo.Await(5*time.Second, "Bo sees no picture of Ann", not(showsPicture))
		ann.Click("#camera")
		bo.Await(5*time.Second, "Bo sees a picture of Ann again", showsPicture)
		moreFrames(t, bo)
	})

	t.Run("screen", func(t *testing.T) {
		ann.Click("#share")
		bo.Await(10*time.Second, "Bo sees Ann's screen and Ann", showsScreen+" && "+showsPicture)
		moreFrames(t, bo)
		ann.Click("#share")
		bo.Await(5*time.Second, "Bo sees Ann again", not(showsScreen)+" && "+showsPicture)
	})

	t.Run("a third finds the room full", func(t *testing.T) {
		third := a.Open(server.HTTPS+"/call/x", lab.PageOptions{})
		knock(third, "Cy")
		third.Await(10*time.Second, "the call has failed", `document.body.dataset.state == "failed"`)
		third.AwaitText(5*time.Second, ".end", "room is full")
		third.Audit("room full")
		third.Shoot("room-full")
		third.Close()
	})

	t.Run("reload", func(t *testing.T) {
		bo.Reload()
		knock(bo, "Bo")
		bo.Await(15*time.Second, "Bo is in the call again", `document.body.dataset.state == "in-call"`)
		watch(t, bo, 1)
		ann.Await(10*time.Second, "Ann has one tile of Bo's",
			`document.querySelectorAll(".tile[data-peer]").length == 1`)
		moreFrames(t, ann)
	})
}

// moreFrames waits until a page decodes 20 frames more than it has so far.
func moreFrames(t *testing.T, p *lab.Page) {
	t.Helper()
	count := flows + `.then(all => all.reduce((n, f) => n + f.Frames, 0))`
	var before int
	p.Eval(count, &before)
	p.Await(20*time.Second, "20 more frames decoded", fmt.Sprintf("%s.then(n => n > %d + 20)", count, before))
}
