//go:build linux

package lab_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"testing"
	"time"

	"signalbox/scripts/lab"
)

// device makes a page one of a user's devices, which notes what happens to it.
const device = `(async () => {
	const { connect } = await import("/signalbox.js");
	window.lab = { events: [], texts: [], ringing: null, call: null, endedAt: 0 };
	lab.watch = (call) => {
		lab.call = call;
		call.on("open", () => lab.events.push("open"));
		call.on("message", ({ data }) => lab.texts.push(data));
		call.on("left", ({ reason }) => lab.events.push("left " + reason));
		call.on("closed", () => lab.events.push("closed"));
	};
	lab.session = await connect({ token: %q });
	lab.session.on("call", ({ call }) => {
		lab.ringing = call;
		call.on("canceled", ({ reason }) => {
			lab.endedAt = Date.now();
			lab.events.push("canceled " + reason);
		});
	});
	lab.accept = () => {
		const at = Date.now();
		lab.watch(lab.ringing.accept());
		return at;
	};
	return true;
})()`

// A call rings on two devices. One answers, and the other stops at once; text flows with the one,
// and nothing is left of it after hanging up, so that the next call can be the other's.
func TestCallRingsOnAllDevices(t *testing.T) {
	besideOthers(t)
	l := lab.New(t, lab.Symmetric, lab.Symmetric)
	const key = "0123456789abcdef0123456789abcdef"
	server := lab.StartServer(t, l.Server, lab.Config+"[auth]\nmode = \"jwt\"\njwt_key = \""+key+"\"\n"+
		"[signal]\ndevices = 2\n")
	token := func(user string) string {
		claims := fmt.Sprintf(`{"user":%q,"exp":%d}`, user, time.Now().Add(time.Hour).Unix())
		text := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"HS256"}`)) + "." +
			base64.RawURLEncoding.EncodeToString([]byte(claims))
		mac := hmac.New(sha256.New, []byte(key))
		mac.Write([]byte(text))
		return text + "." + base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
	}
	a, b := lab.StartBrowser(t, l.A, lab.BrowserOptions{}), lab.StartBrowser(t, l.B, lab.BrowserOptions{})
	open := func(b *lab.Browser, user string) *lab.Page {
		p := b.Open(server.HTTPS+"/", lab.PageOptions{})
		run(p, user+" is connected", fmt.Sprintf(device, token(user)))
		return p
	}
	ann, phone, laptop := open(a, "ann"), open(b, "bob"), open(b, "bob")

	for _, round := range []struct {
		name           string
		answers, other *lab.Page
	}{{"the phone answers", phone, laptop}, {"the laptop answers", laptop, phone}} {
		t.Run(round.name, func(t *testing.T) {
			ann.Eval(`(lab.calling = lab.session.call("bob"), lab.calling.then(lab.watch), 0)`, nil)
			for _, p := range []*lab.Page{round.answers, round.other} {
				run(p, "it rings", `lab.ringing?.user == "ann"`)
				p.Eval(`(lab.events.length = 0)`, nil)
			}
			var accepted, ended int64
			round.answers.Eval(`lab.accept()`, &accepted)
			run(round.other, "it has stopped", `lab.events.join() == "canceled answered-elsewhere"`)
			round.other.Eval(`lab.endedAt`, &ended)
			took := time.Duration(ended-accepted) * time.Millisecond
			if t.Logf("the other one stopped ringing after %v", took); took > 15*time.Second {
				t.Errorf("the other one rang for %v more", took) // by itself it would for 45 s
			}
			run(ann, "she talks to the one that has answered",
				`lab.calling.then(call => call.peers.size == 1 && call.peer.user == "bob")`)
			run(ann, "text can flow", `lab.calling.then(call => call.peer.send("hello"))`)
			run(round.answers, "it has come", `lab.texts.at(-1) == "hello" && lab.call.peer.send("hi")`)
			run(ann, "so has the answer", `lab.texts.at(-1) == "hi"`)
			run(ann, "she hangs up", `(lab.call.hangup(), lab.texts.length = 0, true)`)
			run(round.answers, "the device knows it", `lab.events.join() == "open,left left,closed"`)
			for _, p := range []*lab.Page{ann, phone, laptop} {
				run(p, "nothing is left of it", `lab.session.calls.size == 0 && labPeerConnections.every(pc => `+
					`pc.connectionState == "closed")`)
				p.Eval(`(lab.ringing = null, lab.texts.length = 0, lab.events.length = 0)`, nil)
			}
		})
	}
}
