//go:build linux

package lab_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"signalbox/internal/testkit"
	"signalbox/scripts/lab"
)

// holdDevices has the page wait for its devices, as it does while a visitor looks at the browser's
// question: labDevices.held has the answers that have not been given, labDevices.tracks all tracks
// that ever came. The devices are the browser's own.
const holdDevices = `(() => {
	const held = [], tracks = [];
	window.labDevices = {
		held, tracks,
		live: () => tracks.filter(t => t.readyState == "live").length,
		release: () => Promise.all(held.splice(0).map(answer => answer())),
	};
	for (const ask of ["getUserMedia", "getDisplayMedia"]) {
		const own = navigator.mediaDevices[ask].bind(navigator.mediaDevices);
		navigator.mediaDevices[ask] = async (constraints) => {
			const stream = await own(constraints);
			tracks.push(...stream.getTracks());
			await new Promise(done => held.push(async () => { done(); await 0; }));
			return stream;
		};
	}
	return true;
})()`

// TestAttackS2LateDeviceAnswers leaves a call while the browser still asks for a device. What the
// answer opens must not stay open, nor be sent in the next call.
func TestAttackS2LateDeviceAnswers(t *testing.T) {
	besideOthers(t)
	l := lab.New(t, lab.Symmetric, lab.Symmetric)
	server := lab.StartServer(t, l.Server, lab.Config)
	p := enter(lab.StartBrowser(t, l.A, lab.BrowserOptions{}), server, "Ann", "", lab.PageOptions{})
	p.Eval(holdDevices, nil)

	leave := func(answers int) {
		t.Helper()
		p.Await(10*time.Second, "the browser asks", fmt.Sprintf(`labDevices.held.length == %d`, answers))
		p.Click("#leave")
		p.Await(5*time.Second, "Ann has left", `document.body.dataset.state == "left"`)
		p.Await(5*time.Second, "the answer has come", `labDevices.release().then(() => true)`)
		p.Await(5*time.Second, "no device is open", `labDevices.live() == 0`)
	}
	again := func() {
		t.Helper()
		p.Click("#rejoin")
		p.Await(10*time.Second, "the lobby asks for devices", `labDevices.held.length == 1`)
		p.Await(5*time.Second, "it gets them",
			`labDevices.release().then(() => document.querySelector("#preview").videoWidth > 0)`)
		p.Click("#join")
		p.Await(15*time.Second, "Ann is in the call", `document.body.dataset.state == "in-call"`)
		p.Await(5*time.Second, "a microphone and a camera are open", `labDevices.live() == 2`)
		p.Await(5*time.Second, "no screen is shared", `document.querySelector(".tile[data-self]")?.
			matches(":not([data-screen])") && !document.querySelector("#share").hasAttribute("data-active")`)
	}

	t.Run("screen", func(t *testing.T) {
		p.Click("#share")
		leave(1)
		again()
	})

	t.Run("camera", func(t *testing.T) {
		p.Click("#camera")
		p.Await(5*time.Second, "the camera is off", `labDevices.live() == 1`)
		p.Click("#camera")
		leave(1)
		again()
	})

	// The answers of two visits to the lobby are one visitor's devices, once.
	t.Run("lobby", func(t *testing.T) {
		leave(0)
		for i := range 2 {
			p.Click("#rejoin")
			p.Await(10*time.Second, "the lobby asks for devices", fmt.Sprintf(`labDevices.held.length == %d`, i+1))
			p.Click("#join")
			p.Await(15*time.Second, "Ann is in the call", `document.body.dataset.state == "in-call"`)
			if i == 0 {
				p.Click("#leave")
				p.Await(5*time.Second, "Ann has left", `document.body.dataset.state == "left"`)
			}
		}
		p.Await(5*time.Second, "both answers have come", `labDevices.release().then(() => true)`)
		p.Await(5*time.Second, "one microphone and one camera are open", `labDevices.live() == 2`)
		leave(0)
	})
}

// TestCallSaysWhatIsWrongWithADevice has devices fail in the lobby and in a call.
func TestCallSaysWhatIsWrongWithADevice(t *testing.T) {
	besideOthers(t)
	l := lab.New(t, lab.Symmetric, lab.Symmetric)
	server := lab.StartServer(t, l.Server, lab.Config)
	p := enter(lab.StartBrowser(t, l.A, lab.BrowserOptions{}), server, "Ann", "", lab.PageOptions{})
	p.Eval(`(() => {
		window.labRefusal = "";
		for (const ask of ["getUserMedia", "getDisplayMedia"]) {
			const own = navigator.mediaDevices[ask].bind(navigator.mediaDevices);
			navigator.mediaDevices[ask] = async (constraints) => {
				if (labRefusal) throw new DOMException("", labRefusal);
				return own(constraints);
			};
		}
		return true;
	})()`, nil)
	refuse := func(name string) { p.Eval(fmt.Sprintf(`(labRefusal = %q, true)`, name), nil) }
	hidden := `document.querySelector("#trouble").hidden`

	p.Click("#camera")
	refuse("NotReadableError")
	p.Click("#camera")
	p.AwaitText(5*time.Second, "#trouble", "Another program is using the camera")
	refuse("")
	p.Click("#camera")
	p.Await(5*time.Second, "nothing is wrong with the camera any more", hidden)

	refuse("NotFoundError")
	p.Click("#share")
	p.AwaitText(5*time.Second, "#trouble", "The browser found no screen")
	refuse("")
	p.Click("#share")
	p.Await(5*time.Second, "nothing is wrong with the screen any more", hidden)
	p.Click("#share")
	refuse("NotAllowedError")
	p.Click("#share")
	p.Await(5*time.Second, "who wants no screen hears nothing",
		hidden+` && !document.querySelector("#share").hasAttribute("data-active")`)

	p.Click("#leave")
	p.Click("#rejoin")
	p.AwaitText(5*time.Second, "#media-notes", "refuse it")
	p.Await(5*time.Second, "nothing is said twice", hidden)
	p.Await(5*time.Second, "another speaker is not there", `(() => {
		HTMLMediaElement.prototype.setSinkId = async () => { throw new DOMException("", "NotFoundError"); };
		const choice = document.querySelector("#use-speaker");
		choice.append(new Option("gone", "gone"));
		choice.value = "gone";
		choice.dispatchEvent(new Event("change"));
		return true;
	})()`)
	p.AwaitText(5*time.Second, "#trouble", "found no speaker")
}

// TestLongCallSaysThatACameraGivesNothing: Chromium shows its second fake camera, and sends nothing
// of it. Only the others would notice.
func TestLongCallSaysThatACameraGivesNothing(t *testing.T) {
	testkit.Long(t)
	l := lab.New(t, lab.PortRestricted, lab.PortRestricted)
	server := lab.StartServer(t, l.Server, lab.Config)
	b := lab.StartBrowser(t, l.A, lab.BrowserOptions{Flags: []string{choice}})
	const (
		within = 2 * time.Minute  // ten seconds in a row in which this machine has time
		quiet  = 13 * time.Second // longer than it takes to be said
	)
	bo := enter(b, server, "Bo", "", lab.PageOptions{})
	ann := enter(b, server, "Ann", "", lab.PageOptions{})
	use := func(camera string) {
		ann.Click("#settings-open")
		ann.Eval(fmt.Sprintf(`(choice => {
			choice.value = [...choice.options].find(o => o.label == %q).value;
			choice.dispatchEvent(new Event("change"));
		})(document.querySelector("#use-camera"))`, camera), nil)
		ann.Click("#settings-close")
	}
	staysQuiet := func() {
		t.Helper()
		time.Sleep(quiet)
		if said := ann.Text("#trouble"); said != "" {
			t.Errorf("of a camera that gives frames, it says %q", said)
		}
	}
	staysQuiet()
	use("fake_device_1")
	ann.AwaitText(within, "#trouble", "no moving picture of you")
	ann.Shoot("frozen")
	time.Sleep(20 * time.Second) // other things are said for 15
	if said := ann.Text("#trouble"); !strings.Contains(said, "gives nothing that can be sent") {
		t.Errorf("it is no longer said, but %q", said)
	}
	use("fake_device_0")
	ann.Await(within, "another camera does", `document.querySelector("#trouble").hidden`)
	moreFrames(t, bo)
	staysQuiet()
}
