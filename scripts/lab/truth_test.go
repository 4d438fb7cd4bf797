//go:build linux

package lab_test

import (
	"fmt"
	"testing"
	"time"

	"signalbox/scripts/lab"
)

// TestCallTellsTheTruth has the call page say what is so when it is easiest to say something else.
func TestCallTellsTheTruth(t *testing.T) {
	besideOthers(t)
	l := lab.New(t, lab.PortRestricted, lab.PortRestricted)
	server := lab.StartServer(t, l.Server, lab.Config, "--set", "web.allowed_origins=http://127.0.0.1:8080")
	a, b := lab.StartBrowser(t, l.A, lab.BrowserOptions{}), lab.StartBrowser(t, l.B, lab.BrowserOptions{})
	const within = 20 * time.Second

	t.Run("what is turned off stays so", func(t *testing.T) {
		p := a.Open(server.HTTPS+"/call/y", lab.PageOptions{})
		p.Await(within, "the preview plays", `document.querySelector("#preview").videoWidth > 0`)
		for _, button := range []string{"#lobby-camera", "#lobby-mic"} {
			p.Click(button)
		}
		p.Reload()
		p.Await(within, "both are off", `["camera", "mic"].every(name =>
			document.querySelector("#lobby-" + name).hasAttribute("data-off"))`)
		p.Await(within, "the microphone is open, the camera is not",
			`!document.querySelector("#preview").srcObject && document.querySelector("#media-notes").innerText == ""`)
		p.Click("#join")
		p.Await(within, "Ann is in the call", `document.body.dataset.state == "in-call"`)
		p.Await(within, "the keys have a place to begin", `document.activeElement.id == "stage"`)
		p.Close()
	})

	t.Run("a link is one that others can open", func(t *testing.T) {
		local := lab.StartBrowser(t, l.Server, lab.BrowserOptions{})
		p := local.Open(server.Inside()+"/call/x?relay=1", lab.PageOptions{Width: 390, Height: 844})
		p.Eval(`(navigator.clipboard.writeText = text => (window.copied = text, Promise.resolve()), 0)`, nil)
		p.Click("#copy-link")
		p.AwaitText(within, "#copy-link", "Copied")
		p.Await(within, "the link is the box's own", `window.copied == "`+server.HTTPS+`/call/x"`)
		p.Close()

		// In pages from elsewhere: the code is the box's own, the page is not.
		p = local.Open(server.Inside()+"/", lab.PageOptions{})
		p.AwaitText(within, "#snippet", server.HTTPS+"/signalbox.js")
		code := p.Text("#snippet")
		var pages [2]*lab.Page
		for i := range pages {
			pages[i] = local.Open(server.Inside()+"/healthz", lab.PageOptions{})
			pages[i].Expect("favicon")
			pages[i].Eval(fmt.Sprintf(
				`import(URL.createObjectURL(new Blob([%q], { type: "text/javascript" }))).then(() => 0)`, code), nil)
		}
		for _, p := range pages {
			p.Await(within, "the code shows the other one", `document.querySelector("video").videoWidth > 0`)
			p.Close()
		}

		plain := a.Open(server.HTTP+"/", lab.PageOptions{})
		plain.Fill("#room", "tea")
		plain.Click("#start button[type=submit]")
		plain.Await(within, "the room is a secure page", `location.href == "`+server.HTTPS+`/call/tea"`)
		plain.Close()
	})

	t.Run("a wrong path leads on", func(t *testing.T) {
		p := a.Open(server.HTTPS+"/chek", lab.PageOptions{Locale: "zh-CN"})
		p.Expect(`404`)
		p.AwaitText(within, "h1", "这里什么也没有")
		fits(t, p)
		p.Audit("missing")
		p.Shoot("missing")
		p.Close()
	})

	t.Run("the box is away", func(t *testing.T) {
		ann := enter(a, server, "Ann", "?relay=1", lab.PageOptions{})
		bo := enter(b, server, "Bo", "?relay=1", lab.PageOptions{Locale: "zh-CN"})
		for _, p := range []*lab.Page{ann, bo} {
			p.Expect(`ERR_|WebSocket`)
			tile(p)
		}
		server.Kill(t)
		for p, words := range map[*lab.Page]string{ann: "the call stands still", bo: "通话已停住"} {
			p.AwaitText(within, "#banner", words)
			p.Await(within, "no path is said",
				`!document.querySelector(".tile[data-peer] .tile-path").checkVisibility()`)
		}
		ann.Shoot("box-away")
		server.Start(t)
		for _, p := range []*lab.Page{ann, bo} {
			p.Await(2*within, "all is well", `!document.querySelector("#banner").checkVisibility()`)
			tile(p)
		}
		ann.Close()
		bo.Close()
	})

	t.Run("directly, the call goes on", func(t *testing.T) {
		ann := enter(a, server, "Ann", "", lab.PageOptions{})
		bo := enter(b, server, "Bo", "", lab.PageOptions{})
		for _, p := range []*lab.Page{ann, bo} {
			p.Expect(`ERR_|WebSocket`)
			p.Await(2*within, "the path is direct",
				`document.querySelector(".tile[data-peer]")?.dataset.path == "direct"`)
		}
		server.Kill(t)
		ann.AwaitText(within, "#banner", "The call goes on")
		server.Start(t)
		ann.Await(2*within, "the box is back", `!document.querySelector("#banner").checkVisibility()`)
	})
}
