//go:build linux

package lab_test

import (
	"testing"
	"time"

	"signalbox/scripts/lab"
)

// A box that asks for a password gets it from a link or from a field, once for each tab.
func TestAdmission(t *testing.T) {
	besideOthers(t)
	const password = "green-signal-42"
	l := lab.New(t, lab.Symmetric, lab.Symmetric)
	server := lab.StartServer(t, l.Server, lab.Config, "--set", "auth.mode=password", "--set", "auth.password="+
		password)
	a := lab.StartBrowser(t, l.A, lab.BrowserOptions{})

	t.Run("typed in", func(t *testing.T) {
		p := a.Open(server.HTTPS+"/call/x", lab.PageOptions{})
		p.Expect(`401`) // what /api/ice says to what is wrong
		p.AwaitText(10*time.Second, "#pass-problem", "password or a token")
		p.Await(5*time.Second, "no camera is on, and no name asked for", `
			!document.querySelector("#preview").srcObject &&
			!document.querySelector("#name").checkVisibility() && document.activeElement.id == "pass"`)
		if state := p.Attr("body", "data-state"); state != "lobby" {
			t.Errorf("the page is %q", state)
		}
		p.Audit("asked")
		p.Shoot("asked")
		p.Fill("#pass", "wrong")
		p.Click("#join")
		p.AwaitText(10*time.Second, "#pass-problem", "refuses this password or token")
		p.Audit("refused")
		p.Shoot("refused")
		p.Fill("#pass", password)
		p.Click("#join")
		p.Await(10*time.Second, "then comes the camera", `document.querySelector("#preview").videoWidth > 0 &&
			!document.querySelector("#pass").checkVisibility()`)
		knock(p, "Ann")
		p.Await(10*time.Second, "Ann is in the call", `document.body.dataset.state == "in-call"`)
		p.Reload()
		knock(p, "Ann")
		p.Await(10*time.Second, "the tab has kept it", `document.body.dataset.state == "in-call"`)
		p.Close()
	})

	t.Run("from a link", func(t *testing.T) {
		p := a.Open(server.HTTPS+"/call/x#token="+password, lab.PageOptions{Locale: "zh-CN"})
		p.Await(5*time.Second, "the link doesn't show it any more",
			`!location.href.includes("token") && location.hash == ""`)
		knock(p, "Bo")
		p.Await(10*time.Second, "Bo is in the call", `document.body.dataset.state == "in-call"`)
		p.Eval(`(navigator.clipboard.writeText = text => (window.copied = text, Promise.resolve()), 0)`, nil)
		p.Click("#copy-link")
		p.Await(5*time.Second, "the link to others is without it", `window.copied == "`+server.HTTPS+`/call/x"`)
		p.Close()
	})

	t.Run("in the example", func(t *testing.T) {
		p := a.Open(server.HTTPS+"/example", lab.PageOptions{Locale: "zh-CN"})
		p.Click("#join button")
		p.AwaitText(15*time.Second, "#password-field", "密码")
		p.AwaitText(5*time.Second, "#status", "准入")
		p.Fill("#password", password)
		p.Press("#password", "Enter")
		p.AwaitText(15*time.Second, "#status", "已加入")
		p.Close()
	})

	t.Run("for a check", func(t *testing.T) {
		p := a.Open(server.HTTPS+"/check", lab.PageOptions{})
		p.Expect(`401`) // what /api/ice says then
		p.AwaitText(30*time.Second, "#verdict", "password or a token")
		if got := p.Attr("#verdict", "data-verdict"); got != "warn" {
			t.Errorf("a room with a password is called %s", got) // it is as it should be
		}
		p.Await(5*time.Second, "the field is shown", `document.querySelector("#pass").checkVisibility()`)
		p.Shoot("check-asked")
		p.Fill("#pass", password)
		p.Press("#pass", "Enter")
		p.AwaitText(60*time.Second, "#verdict", "calls connect|everything works|the relay works")
		p.Await(5*time.Second, "the field is gone", `!document.querySelector("#pass").checkVisibility()`)
	})
}

// Where something on the way breaks WebSockets, everything goes over HTTP, and the page says so.
func TestCallWithoutWebSockets(t *testing.T) {
	besideOthers(t)
	l := lab.New(t, lab.Symmetric, lab.Symmetric)
	server := lab.StartServer(t, l.Server, lab.Config)
	ann := lab.StartBrowser(t, l.A, lab.BrowserOptions{}).Open(server.HTTPS+"/call/x", lab.PageOptions{})
	ann.Expect(`404.*/signal/send`) // the answer to her goodbye: the connection is over
	ann.Eval(`(window.WebSocket = class { constructor() { throw new DOMException("broken on the way", `+
		`"SecurityError"); } }, 0)`, nil)
	knock(ann, "Ann")
	ann.Await(15*time.Second, "Ann is in the call", `document.body.dataset.state == "in-call"`)
	ann.AwaitText(5*time.Second, "#carrier-note", "backup connection")
	bo := enter(lab.StartBrowser(t, l.B, lab.BrowserOptions{}), server, "Bo", "", lab.PageOptions{})
	watch(t, ann, 1)
	watch(t, bo, 1)
	ann.Shoot("no-websocket")
	bo.Await(5*time.Second, "Bo's page says nothing of it", `document.querySelector("#carrier-note").hidden`)
	ann.Click("#leave")
	bo.Await(5*time.Second, "Ann's tile is gone", `!document.querySelector(".tile[data-peer]")`)
}

// The example's source is what applications begin with.
func TestExample(t *testing.T) {
	besideOthers(t)
	l := lab.New(t, lab.Symmetric, lab.Symmetric)
	server := lab.StartServer(t, l.Server, lab.Config)
	ann := lab.StartBrowser(t, l.A, lab.BrowserOptions{}).Open(server.HTTPS+"/example", lab.PageOptions{})
	bo := lab.StartBrowser(t, l.B, lab.BrowserOptions{}).Open(server.HTTPS+"/example", lab.PageOptions{Locale: "zh-CN"})
	for p, words := range map[*lab.Page]string{ann: "you are in the room", bo: "你已加入房间"} {
		p.Fill("#room", "tea")
		p.Press("#room", "Enter")
		p.AwaitText(15*time.Second, "#status", words)
	}
	for _, p := range []*lab.Page{ann, bo} {
		watch(t, p, 1)
		p.Await(5*time.Second, "it plays both",
			`document.querySelectorAll("video").length == 2 && [...document.querySelectorAll("video")].every(v => `+
				`v.videoWidth > 0)`)
		fits(t, p)
		p.Shoot("example")
	}
	bo.Click("#leave")
	ann.Await(5*time.Second, "Bo's picture is gone", `document.querySelectorAll("video").length == 1`)
	bo.Await(5*time.Second, "Bo can join again",
		`document.querySelector("#join").checkVisibility() && !document.querySelector("video")`)
	bo.Click("#join button")
	watch(t, bo, 1)
}
