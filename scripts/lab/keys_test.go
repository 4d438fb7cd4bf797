//go:build linux

package lab_test

import (
	"testing"
	"time"

	"signalbox/scripts/lab"
)

// plugs lets a test unplug what the page opens from now on: labUnplug(kind) takes the device of the
// last track of that kind away.
const plugs = `(() => {
	const devices = navigator.mediaDevices, gone = new Set(), tracks = {};
	const [ask, list] = ["getUserMedia", "enumerateDevices"].map(name => devices[name].bind(devices));
	devices.getUserMedia = async (constraints) => {
		for (const { deviceId } of [constraints.audio, constraints.video].filter(Boolean)) {
			if (gone.has(deviceId?.exact)) throw new OverconstrainedError("deviceId");
		}
		const stream = await ask(constraints);
		for (const track of stream.getTracks()) tracks[track.kind] = track;
		return stream;
	};
	devices.enumerateDevices = async () => (await list()).filter(({ deviceId }) => !gone.has(deviceId));
	window.labUnplug = (kind) => {
		gone.add(tracks[kind].getSettings().deviceId);
		tracks[kind].stop();
		tracks[kind].dispatchEvent(new Event("ended"));
		devices.dispatchEvent(new Event("devicechange"));
		return true;
	};
	return true;
})()`

// choice is Chromium's flag that has it fake three cameras. It shows what the second one gives, but
// sends nothing of it: its pixels are gray, of 16 bits.
const choice = "--use-fake-device-for-media-stream=device-count=3"

// changeDevice has a page, which has the `choice`, use the last device of a kind that it doesn't
// use, in its settings.
func changeDevice(p *lab.Page, kind string) {
	p.Click("#settings-open")
	p.Eval(`(() => {
		const choice = document.querySelector("#use-`+kind+`");
		choice.value = [...choice.options].findLast(option => !option.selected).value;
		choice.dispatchEvent(new Event("change"));
	})()`, nil)
}

// sentDevice is the name of the device that a page sends to every peer: audio or video.
func sentDevice(kind string) string {
	return `[...new Set(labPeerConnections.filter(pc => pc.connectionState != "closed").flatMap(pc => pc.getSenders())
		.map(s => s.track).filter(track => track?.kind == "` + kind + `" && track.readyState == "live")
		.map(track => track.label))].join()`
}

// TestCallByKeyboard calls without a mouse: by keys, in the chat, and in the choice of devices.
func TestCallByKeyboard(t *testing.T) {
	besideOthers(t)
	l := lab.New(t, lab.PortRestricted, lab.PortRestricted)
	server := lab.StartServer(t, l.Server, lab.Config)
	b := lab.StartBrowser(t, l.A, lab.BrowserOptions{Flags: []string{choice}})
	const within = 10 * time.Second
	bo := enter(b, server, "Bo", "", lab.PageOptions{Width: 390, Height: 844})
	ann := enter(b, server, "Ann", "", lab.PageOptions{})
	ann.Await(within, "they can talk", `document.querySelector(".tile[data-peer]")?.dataset.path`)
	off := func(button string) string {
		return `document.querySelector("#` + button + `").hasAttribute("data-off")`
	}

	t.Run("keys", func(t *testing.T) {
		ann.Press("#stage", "m")
		ann.Await(within, "the microphone is off", off("mute"))
		ann.Eval(`(document.querySelector("#stage").dispatchEvent(new KeyboardEvent("keydown",
			{ key: " ", bubbles: true })), 0)`, nil)
		ann.Await(within, "it is on while the space bar is held", "!"+off("mute"))
		ann.Eval(`(document.dispatchEvent(new KeyboardEvent("keyup", { key: " " })), 0)`, nil)
		ann.Await(within, "and off afterwards", off("mute"))
		ann.Press("#stage", "m")
		ann.Await(within, "the microphone is on", "!"+off("mute"))
		ann.Press("#stage", "v")
		ann.Await(within, "the camera is off", off("camera"))
		ann.Press("#stage", "v")
		ann.Await(within, "the camera is on", "!"+off("camera"))
		ann.Press("#stage", "?")
		ann.Await(within, "the keys are told", `document.querySelector("#keys").open`)
		ann.Audit("keys")
		ann.Shoot("keys")
		ann.Press("#keys-close", "Escape")
		ann.Await(within, "and not any more", `!document.querySelector("#keys").open`)
	})

	t.Run("chat", func(t *testing.T) {
		ann.Press("#stage", "c")
		ann.Await(within, "the chat is open, and empty", `document.activeElement.id == "chat-input" &&
			document.activeElement.value == ""`)
		ann.AwaitText(within, "#chat-log", "before you came")
		for _, text := range []string{"mvsc", "see https://example.org/a_(b), and <b>", "http://[ is none"} {
			ann.Fill("#chat-input", text)
			ann.Press("#chat-input", "Enter")
		}
		bo.Await(within, "how many messages wait is said", `document.querySelector("#chat-toggle").
			getAttribute("aria-label") == "Chat, 3 unread"`)
		bo.Click("#chat-toggle")
		bo.Await(within, "one link, one name", `(() => {
			const log = document.querySelector("#chat-log");
			return log.querySelectorAll("a").length == 1 &&
				log.querySelector("a").href == "https://example.org/a_(b)" &&
				log.querySelectorAll(".chat-who").length == 1 && log.querySelectorAll(".chat-text").length == 3;
		})()`)
		bo.Await(within, "on a phone, one can mute and write", `document.querySelector("#mute").checkVisibility() &&
			document.elementFromPoint(...["x", "y"].map(at =>
				document.querySelector("#mute").getBoundingClientRect()[at] + 10)).closest("#mute")`)
		// Somebody else of that name, who writes from right to left, is somebody else.
		twin := enter(b, server, "Ann", "", lab.PageOptions{})
		twin.Await(within, "the twin is there", `document.querySelectorAll(".tile[data-peer]").length == 2`)
		twin.Click("#chat-toggle")
		twin.Fill("#chat-input", "אני אן")
		bo.Await(within, "the twin can be heard",
			`document.querySelectorAll(".tile[data-path]:not([data-path=''])").length == 2`)
		twin.Press("#chat-input", "Enter")
		bo.Await(within, "two names, each kept apart from its time", `
			[...document.querySelectorAll("#chat-log .chat-who bdi")].map(e => e.textContent).join() == "Ann,Ann"`)
		twin.Close()
		ann.Audit("chat")
		ann.Shoot("chat")
		bo.Press("#chat-input", "Escape")
		ann.Press("#chat-input", "Escape")
	})

	t.Run("details", func(t *testing.T) {
		ann.Await(within, "Ann sees who speaks: the fake microphone beeps",
			`document.querySelector(".tile[data-peer]").hasAttribute("data-speaks")`)
		ann.Press(".tile[data-peer] .tile-path", "Enter")
		ann.AwaitText(within, "#details", "connection to bo")
		ann.AwaitText(within, "#details-figures", "direct[^]*ms[^]*Mbit/s[^]*\\d+×\\d+[^]*opus[^]*udp")
		ann.Await(within, "the ends of the path are what the browser says",
			`Promise.all(labPeerConnections.map(pc => pc.getStats()))
			.then(all => all.flatMap(stats => [...stats.values()]).some(({ id, address, port }) => address &&
				document.querySelector("#details-figures").innerText.includes(address + ":" + port)))`)
		ann.Await(within, "lines are drawn", `(() => {
			const canvas = document.querySelector("#plot-rate");
			const { data } = canvas.getContext("2d").getImageData(0, 20, canvas.width, canvas.height - 24);
			return data.some(value => value > 0);
		})()`)
		ann.Eval(`(navigator.clipboard.writeText = async text => { window.labCopied = text; }, 0)`, nil)
		ann.Click("#details-copy")
		ann.Await(within, "the report has samples", `JSON.parse(window.labCopied).samples.length > 0`)
		ann.Audit("details")
		ann.Shoot("details")
		ann.Press("#details-close", "Enter")
		ann.Await(within, "it is closed", `!document.querySelector("#details").open`)
	})

	t.Run("devices", func(t *testing.T) {
		ann.Eval(plugs, nil)
		sent := sentDevice("video")
		var before string
		ann.Eval(sent, &before)
		changeDevice(ann, "camera")
		ann.Await(within, "another camera is sent", sent+` != "`+before+`"`)
		moreFrames(t, bo)
		ann.Await(within, "the microphone's level is shown",
			`parseFloat(document.querySelector("#level").style.getPropertyValue("--level")) > 0.2`)
		ann.Audit("devices")
		ann.Shoot("devices")
		ann.Click("#settings-close")
		ann.Eval(`labUnplug("video")`, nil)
		ann.Await(within, "the first camera takes its place", sent+` == "`+before+`"`)
		ann.AwaitText(within, "#trouble", "the camera was unplugged. now in use: fake")
		ann.Shoot("fallback")
		unplugMicrophone(ann, within, bo)
		bo.Audit("in call")
		bo.Shoot("in-call")
	})
}

// unplugMicrophone has a page, which has `plugs`, change its microphone and then lose it: another
// one takes its place, the page says so, and the others hear it.
func unplugMicrophone(p *lab.Page, within time.Duration, others ...*lab.Page) {
	sent := sentDevice("audio")
	var before, lost string
	p.Eval(sent, &before)
	changeDevice(p, "microphone")
	p.Await(within, "another microphone is sent", sent+` != "`+before+`"`)
	p.Click("#settings-close")
	p.Eval(sent, &lost)
	p.Eval(`labUnplug("audio")`, nil)
	p.AwaitText(within, "#trouble", "the microphone was unplugged. now in use: fake")
	p.Await(within, "yet another is sent", `(now => now && now != "`+lost+`")(`+sent+`)`)
	for _, other := range others {
		other.Await(within, "the new microphone is heard", `document.querySelector(".tile[aria-label=Ann]").
			hasAttribute("data-speaks")`)
	}
}
