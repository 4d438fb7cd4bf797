//go:build linux

package lab_test

import (
	"testing"
	"time"

	"signalbox/internal/testkit"
	"signalbox/scripts/lab"
)

// A page written for AppRTC meets another one, and a page of the box's own, whoever comes first.
// Each way to leave is noticed, and a third one finds the room ready.
func TestAppRTCPages(t *testing.T) {
	besideOthers(t)
	meetAppRTC(t, false)
}

// So is a cable that is cut, after some time.
func TestLongAppRTCCut(t *testing.T) {
	testkit.Long(t)
	meetAppRTC(t, true)
}

func meetAppRTC(t *testing.T, lossy bool) {
	t.Helper()
	root := t.TempDir()
	write(t, root, videoPage("apprtc"), "apprtc.js")
	l := lab.New(t, lab.Symmetric, lab.Symmetric)
	server := lab.StartServer(t, l.Server, lab.Config, "--set", "web.root="+root, "--set", "signal.heartbeat=1s")
	first, second := lab.StartBrowser(t, l.A, lab.BrowserOptions{}), lab.StartBrowser(t, l.B, lab.BrowserOptions{})
	open := func(b *lab.Browser, room string) *lab.Page {
		p := b.Open(server.HTTPS+"/apprtc.html?it=relay#"+room, lab.PageOptions{})
		p.Expect(`WebSocket|ERR_`)
		return p
	}
	// sees waits for decoded video of the present connection, through the relay.
	sees := func(name string, p *lab.Page) {
		t.Helper()
		for _, f := range watch(t, p, 1) {
			if !f.relayedOnly() {
				t.Errorf("%s is connected by %s and %s", name, f.Local, f.Remote)
			}
		}
	}

	stays := open(first, "tea")
	stays.Await(15*time.Second, "the first one has offered", `app.pc && app.pc.localDescription && app.ws`)
	// leave has another one come, see and be seen, and leave.
	leave := func(how string, do func(p *lab.Page)) {
		t.Helper()
		p := open(second, "tea")
		sees("who stays, before the "+how, stays)
		sees("who leaves by the "+how, p)
		stays.Eval(`(app.log.length = 0)`, nil)
		do(p)
		stays.Await(25*time.Second, "who stays hears of the "+how,
			`app.log.join() == "bye" && app.isInitiator && app.pc.localDescription`)
	}
	leave("button", func(p *lab.Page) { p.Eval(`app.hangUp()`, nil) })
	leave("tab", func(p *lab.Page) { p.Close() })
	if lossy {
		leave("cut", func(*lab.Page) { l.B.Exec(t, "ip", "link", "set", "eth0", "down") })
	}

	// A page of the box's own comes to one of AppRTC's, by the link of its room.
	own := first.Open(server.HTTPS+"/r/tea?relay=1", lab.PageOptions{})
	knock(own, "Own")
	sees("the box's page that came second", own)
	sees("AppRTC's page that came first", stays)
	own.Click("#leave")
	stays.Await(10*time.Second, "who stays hears that the box's page has left", `app.log.at(-1) == "bye"`)
	own.Close()
	stays.Close()

	// And the other way round.
	own = first.Open(server.HTTPS+"/r/milk?relay=1", lab.PageOptions{})
	knock(own, "Own")
	own.Await(10*time.Second, "the box's page is in the call", `document.body.dataset.state == "in-call"`)
	late := open(first, "milk")
	sees("the box's page that came first", own)
	sees("AppRTC's page that came second", late)
	late.Eval(`app.hangUp()`, nil)
	own.Await(10*time.Second, "AppRTC's tile is gone", `!document.querySelector(".tile[data-peer]")`)
}
