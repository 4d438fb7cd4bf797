//go:build linux

package lab_test

import (
	"fmt"
	"testing"
	"time"

	"signalbox/scripts/lab"
)

// screens is what a page shows: of each tile where it is, and whether its picture moves, which the
// second frame from now tells: the first may have been there. Firefox's getVideoPlaybackQuality has
// no frames of what comes live.
const screens = `(() => {
	const frame = (video) => new Promise(done => video.requestVideoFrameCallback(() => done(true)));
	const late = new Promise(done => setTimeout(done, 1000, false));
	return Promise.all([...document.querySelectorAll(".tile")].map(async (tile) => {
		const video = tile.querySelector("video");
		const { left, top, right, bottom } = tile.getBoundingClientRect();
		const isShown = tile.hasAttribute("data-picture") && getComputedStyle(video).visibility == "visible";
		return {
			kind: "screen" in tile.dataset ? (tile.dataset.screen ? "screen" : "own screen") :
				"self" in tile.dataset ? "self" : "person",
			area: Math.round((right - left) * (bottom - top)),
			fits: left >= 0 && top >= 0 && right <= innerWidth && bottom <= innerHeight && right - left > 40,
			moves: isShown && await Promise.race([frame(video).then(() => frame(video)), late]),
		};
	}));
})()`

// seen is true once a page shows exactly these tiles, each with a moving picture but for those that
// are said to have none, and all of them on the screen.
func seen(tiles string) string {
	return fmt.Sprintf(`%s.then(all => all.every(tile => tile.fits) && JSON.stringify(all.map(tile =>
		tile.kind + (tile.moves ? "" : " without picture")).sort()) == JSON.stringify(%s.sort()))`, screens, tiles)
}

// largest is true once a page shows one tile much larger than all others: of this kind, with a
// picture that moves.
func largest(kind string) string {
	return screens + `.then(all => {
		const [first, second] = all.sort((a, b) => b.area - a.area);
		return first.kind == "` + kind + `" && first.moves && first.area > 2 * second.area;
	})`
}

// heldScreen keeps what is shared, so that the test can end it as the browser's own bar does.
const heldScreen = `(() => {
	const own = navigator.mediaDevices.getDisplayMedia.bind(navigator.mediaDevices);
	navigator.mediaDevices.getDisplayMedia = async (...args) => {
		const stream = await own(...args);
		window.labStopSharing = () => stream.getTracks().forEach(track => {
			track.stop();
			track.dispatchEvent(new Event("ended"));
		});
		return stream;
	};
	return true;
})()`

// TestCallShowsScreensBesideCameras shares screens in a call, of which everybody sees both, the
// screen large and the camera in its own tile; also who comes later, also on a phone.
func TestCallShowsScreensBesideCameras(t *testing.T) {
	besideOthers(t)
	l := lab.New(t, lab.PortRestricted, lab.PortRestricted)
	server := lab.StartServer(t, l.Server, lab.Config)
	a := lab.StartBrowser(t, l.A, lab.BrowserOptions{})
	b := lab.StartBrowser(t, l.B, lab.BrowserOptions{})
	ann := enter(a, server, "Ann", "", lab.PageOptions{})
	bo := enter(b, server, "Bo", "", lab.PageOptions{Locale: "zh-CN", Width: 390, Height: 844})
	bo.Eval(heldScreen, nil)
	const within = 15 * time.Second

	ann.Click("#share")
	bo.Await(within, "Bo sees Ann's screen and Ann", seen(`["self", "person", "screen"]`))
	bo.AwaitText(within, ".tile[data-screen]", "Ann 的屏幕")
	bo.Await(within, "on a phone, the screen is the largest", screens+`.then(all => {
		const area = kind => all.find(tile => tile.kind == kind).area;
		return area("screen") > area("person") && area("screen") > 374 * 200;
	})`)
	ann.Await(within, "Ann sees herself, Bo and what she shares", seen(`["self", "person", "own screen"]`))
	ann.AwaitText(within, ".tile[data-screen]", "You are sharing your screen")
	ann.Shoot("sharing")
	bo.Shoot("shared")
	bo.Click("#language")
	bo.AwaitText(within, ".tile[data-screen]", "Ann’s screen")

	cy := enter(b, server, "Cy", "", lab.PageOptions{})
	cy.Await(within, "Cy, who comes later, sees both", seen(`["self", "person", "person", "screen"]`))

	ann.Click("#camera")
	cy.Await(within, "Cy sees the screen of Ann, who shows herself no more",
		seen(`["self", "person", "person without picture", "screen"]`))
	ann.Click("#camera")
	cy.Await(within, "Cy sees Ann again", seen(`["self", "person", "person", "screen"]`))

	bo.Click("#share")
	cy.Await(within, "Cy sees two screens", seen(`["self", "person", "person", "screen", "screen"]`))
	bo.Await(within, "Bo sees Ann's screen and his own", seen(`["self", "person", "person", "screen", "own screen"]`))
	bo.Shoot("both-share")

	cy.Click(`#people .tile[data-peer] [aria-pressed]`)
	cy.Await(within, "whom Cy pins is large", largest("person"))
	cy.Audit("pinned")
	cy.Shoot("pinned")
	cy.Click(`[aria-pressed="true"]`)
	cy.Await(within, "and the screens are again", seen(`["self", "person", "person", "screen", "screen"]`)+
		` && document.querySelectorAll("#screens .tile").length == 2`)
	cy.Eval(`(document.querySelector("#people .tile[data-peer]").dispatchEvent(
		new MouseEvent("dblclick", { bubbles: true })), 0)`, nil)
	cy.Await(within, "the whole of a picture is shown", `getComputedStyle(document.querySelector(
		"#people .tile[data-peer] video")).objectFit == "contain"`)

	bo.Eval(`(labStopSharing(), 0)`, nil)
	cy.Await(within, "Cy sees one screen", seen(`["self", "person", "person", "screen"]`))
	bo.Await(within, "Bo shares no more", seen(`["self", "person", "person", "screen"]`)+
		` && !document.querySelector("#share").hasAttribute("data-active")`)

	ann.Click(".tile[data-screen] button")
	for name, p := range map[string]*lab.Page{"Ann": ann, "Bo": bo, "Cy": cy} {
		p.Await(within, name+" sees no screen", seen(`["self", "person", "person"]`))
	}

	ann.Click("#share")
	bo.Await(within, "Bo sees Ann's screen again", seen(`["self", "person", "person", "screen"]`))
	ann.Click("#leave")
	bo.Await(within, "Ann has left, with her screen", seen(`["self", "person"]`))
}
