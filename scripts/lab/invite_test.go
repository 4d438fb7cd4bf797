//go:build linux

package lab_test

import (
	"testing"
	"time"

	"signalbox/scripts/lab"
)

// keepSigns has a page keep what it tells of by other means than words.
const keepSigns = `(() => {
	window.labSigns = { tones: 0, locks: 0 };
	const start = OscillatorNode.prototype.start;
	OscillatorNode.prototype.start = function (at) { labSigns.tones++; return start.call(this, at); };
	navigator.wakeLock.request = async () => (labSigns.locks++, Object.assign(new EventTarget(),
		{ release() { labSigns.locks--; } }));
	navigator.clipboard.writeText = async text => { labSigns.copied = text; };
	return true;
})()`

// TestCallInvites waits alone in a call, hands on the link, and hears who comes.
func TestCallInvites(t *testing.T) {
	besideOthers(t)
	l := lab.New(t, lab.Symmetric, lab.Symmetric)
	server := lab.StartServer(t, l.Server, lab.Config)
	b := lab.StartBrowser(t, l.A, lab.BrowserOptions{})
	const within = 10 * time.Second
	ann := b.Open(server.HTTPS+"/call/x", lab.PageOptions{})
	ann.Eval(keepSigns, nil)
	knock(ann, "Ann")
	ann.AwaitText(within, "#invite", "Nobody else is here yet")
	ann.AwaitText(within, "#invite-link", server.HTTPS+"/call/x")
	ann.Await(within, "the screen stays on", `labSigns.locks == 1`)
	ann.Click("#invite-copy")
	ann.AwaitText(within, "#invite-copy", "Copied")
	ann.Await(within, "the link is copied", `labSigns.copied == "`+server.HTTPS+`/call/x"`)
	ann.Await(within, "a code is drawn, with its quiet zone", `(() => {
		const code = document.querySelector("#invite-qr");
		return code.viewBox.baseVal.x == -4 && code.viewBox.baseVal.width > 29 &&
			code.querySelector("path").getBBox().width == code.viewBox.baseVal.width - 8;
	})()`)
	fits(t, ann)
	ann.Audit("alone")
	ann.Shoot("alone")
	ann.Click("#language")
	ann.AwaitText(within, "#invite", "还没有其他人")
	ann.Shoot("alone-in-chinese")
	ann.Click("#language")

	ann.Eval(`(Object.defineProperty(document, "hidden", { value: true, configurable: true }), 0)`, nil)
	bo := enter(b, server, "Bo", "", lab.PageOptions{})
	ann.Await(within, "the title says who has come", `document.title.startsWith("Bo is here")`)
	ann.Await(within, "it can be heard", `labSigns.tones == 2`)
	ann.Await(within, "nobody is invited any more", `document.querySelector("#invite").hidden`)
	ann.Eval(`(delete document.hidden, document.dispatchEvent(new Event("visibilitychange")), 0)`, nil)
	ann.Await(within, "who looks has seen it", `document.title.startsWith("x · ")`)
	bo.Click("#leave")
	ann.Await(within, "Ann is alone again", `!document.querySelector("#invite").hidden`)
	ann.Click("#leave")
	ann.Await(within, "the screen may go dark", `labSigns.locks == 0`)
	ann.Audit("left")
	ann.Shoot("left")
}
