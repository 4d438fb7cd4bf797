//go:build linux

package lab_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"signalbox/scripts/lab"
)

// mediaModule makes a page use the media module, beside the page's own scripts. What happens stands
// in lab.events; lab.plugged(kind, there) unplugs a device that is open, and plugs it in again.
const mediaModule = `(async () => {
	// In Firefox, a script can't have an event happen to a track, so the listeners are called.
	const listeners = [];
	const listen = EventTarget.prototype.addEventListener;
	EventTarget.prototype.addEventListener = function (type, listener, ...more) {
		listeners.push({ target: this, type, listener });
		return listen.call(this, type, listener, ...more);
	};
	const happen = (target, type) => listeners.filter(l => l.target == target && l.type == type)
		.forEach(({ listener }) => listener.call(target, new Event(type)));

	const { Media, Meter } = await import("/signalbox-media.js");
	const media = new Media({ remember: "lab.devices" });
	window.lab = { Media, Meter, media, events: [], codes: [] };
	media.on("track", ({ kind, track, reason }) => lab.events.push(kind + " " + (track ? "on" : "off") + " " + reason));
	media.on("error", ({ kind, error }) => lab.events.push(kind + " " + error.code));
	lab.say = () => lab.events.splice(0).join(", ");
	lab.code = (promise) => promise.then(() => "done", (error) => error.code);

	const own = navigator.mediaDevices.enumerateDevices.bind(navigator.mediaDevices);
	const gone = new Set();
	navigator.mediaDevices.enumerateDevices = async () => (await own()).filter(({ groupId }) => !gone.has(groupId));
	lab.unplug = (kind) => {
		const track = media[kind];
		gone.add(track.getSettings().groupId);
		track.stop();
		happen(track, "ended");
		happen(navigator.mediaDevices, "devicechange");
		return true;
	};
	lab.plug = () => {
		gone.clear();
		happen(navigator.mediaDevices, "devicechange");
		return true;
	};
	return true;
})()`

// TestMediaModule uses devices as an application does: the browsers' own, of which it has a
// `choice` in Chromium and one of each kind in Firefox. Only unplugging is played.
func TestMediaModule(t *testing.T) {
	besideOthers(t)
	l := lab.New(t, lab.Symmetric, lab.Symmetric)
	server := lab.StartServer(t, l.Server, lab.Config)
	for _, engine := range []lab.Engine{lab.Chromium, lab.Firefox} {
		t.Run(string(engine), func(t *testing.T) {
			var flags []string
			if engine == lab.Chromium {
				flags = []string{choice}
			}
			b := lab.StartBrowser(t, l.A, lab.BrowserOptions{Engine: engine, Flags: flags})
			p := b.Open(server.HTTPS+"/", lab.PageOptions{})
			run(p, "the module is loaded", mediaModule)
			said := func(want string) {
				t.Helper()
				var got string
				if p.Eval(`lab.say()`, &got); got != want {
					t.Errorf("the module says %q, want %q", got, want)
				}
			}
			run(p, "microphone and camera are open", `lab.media.open().then(() => lab.media.isOn("microphone") && `+
				`lab.media.isOn("camera"))`)
			said("microphone on opened, camera on opened")
			run(p, "the devices have names", `lab.media.devices.camera.every(({ label }) => label)`)
			testMute(p, said)
			testLateAnswers(p, said)
			if engine == lab.Chromium { // Firefox has one device of each kind, no screen here, and no sound
				testSwitch(p, said)
				testScreen(p, said)
				testSpeaker(p)
				testLevels(t, p)
				run(p, "a camera is unplugged", `lab.unplug("camera")`)
				run(p, "another takes its place", `lab.media.isOn("camera")`)
				said("camera off ended, camera ended, camera unplugged, camera on fallback")
				p.Eval(`lab.plug()`, nil)
			} else {
				run(p, "the camera is unplugged", `lab.unplug("camera")`)
				run(p, "it is known", `lab.media.errorOf("camera")?.code == "unplugged" && !lab.media.camera`)
				said("camera off ended, camera ended, camera unplugged")
				run(p, "it is back", `lab.plug()`)
				run(p, "and open", `lab.media.isOn("camera")`)
				said("camera on fallback")
			}
			p.Eval(`(lab.before = [lab.media.microphone, lab.media.camera], lab.media.close(), 0)`, nil)
			run(p, "every device is free", `lab.before.every(track => track.readyState == "ended")`)
		})
	}
}

func testMute(p *lab.Page, said func(string)) {
	run(p, "a muted microphone stays open", `(lab.before = lab.media.microphone, lab.media.mute("microphone"),
		lab.before.readyState == "live" && !lab.before.enabled)`)
	run(p, "it is the same when it speaks again", `lab.media.unmute("microphone").then(track => `+
		`track == lab.before && track.enabled)`)
	said("")
	run(p, "a muted camera is freed", `(lab.before = lab.media.camera, lab.media.mute("camera"),
		lab.before.readyState == "ended" && lab.media.camera == null)`)
	run(p, "it is opened again", `lab.media.unmute("camera").then(track => track != lab.before && `+
		`track.readyState == "live")`)
	said("camera off muted, camera on opened")
	run(p, "a microphone is freed if one likes", `(lab.before = lab.media.microphone,
		lab.media.mute("microphone", { free: true }), lab.before.readyState == "ended")`)
	run(p, "it is opened again", `lab.media.unmute("microphone").then(track => track.readyState == "live")`)
	said("microphone off muted, microphone on opened")
}

func testLateAnswers(p *lab.Page, said func(string)) {
	p.Eval(`lab.media.close()`, nil)
	said("microphone off closed, camera off closed")
	p.Eval(holdDevices, nil)
	p.Eval(`(lab.opening = lab.media.open(), 0)`, nil)
	run(p, "the browser has opened both", `labDevices.live() == 2`)
	p.Eval(`lab.media.close()`, nil)
	run(p, "nobody waits for the answer", `lab.opening.then(() => true)`)
	p.Eval(`(lab.opening = lab.media.open(), 0)`, nil)
	run(p, "the browser has opened both again", `labDevices.live() == 4`)
	run(p, "both answers have come", `labDevices.release().then(() => lab.opening).then(() => true)`)
	run(p, "one of each is open", `labDevices.live() == 2 && lab.media.isOn("microphone") && `+
		`lab.media.isOn("camera")`)
	said("microphone on opened, camera on opened")
	p.Eval(`(delete navigator.mediaDevices.getUserMedia, delete navigator.mediaDevices.getDisplayMedia, 0)`, nil)
}

func testSwitch(p *lab.Page, said func(string)) {
	run(p, "another camera is there", `(lab.other = lab.media.devices.camera.find(({ deviceId }) => deviceId != `+
		`lab.media.deviceOf("camera")), lab.before = lab.media.camera, lab.other != null)`)
	run(p, "it is in use", `lab.media.use("camera", lab.other.deviceId).then(() => `+
		`lab.before.readyState == "ended" && lab.media.camera.label == lab.other.label)`)
	run(p, "so is another microphone", `lab.media.use("microphone", lab.media.devices.microphone.at(-1).deviceId)
		.then(() => lab.media.deviceOf("microphone") == lab.media.devices.microphone.at(-1).deviceId)`)
	said("camera on switched, microphone on switched")
	run(p, "one that isn't there changes nothing", `lab.code(lab.media.use("camera", "none")).then(code => `+
		`code == "missing" && lab.media.isOn("camera"))`)
	said("camera missing")
	run(p, "both are remembered", `(async () => {
		const next = new lab.Media({ remember: "lab.devices" });
		await next.open();
		const same = ["microphone", "camera"].every(kind => next.deviceOf(kind) == lab.media.deviceOf(kind));
		next.close();
		return same;
	})()`)
}

func testScreen(p *lab.Page, said func(string)) {
	run(p, "a screen is shared beside the camera", `lab.media.share().then(track => track == lab.media.screen && `+
		`track.readyState == "live" && lab.media.camera.readyState == "live")`)
	run(p, "sharing ends", `(lab.before = lab.media.screen, lab.media.unshare(), lab.before.readyState == "ended")`)
	said("screen on opened, screen off closed")
}

func testSpeaker(p *lab.Page) {
	run(p, "an element plays through the speaker that is chosen", `(async () => {
		const early = new Audio(), late = new Audio();
		lab.media.play(early);
		const { deviceId } = lab.media.devices.speaker.at(-1);
		await lab.media.use("speaker", deviceId);
		lab.media.play(late);
		for (let i = 0; i < 100 && late.sinkId != deviceId; i++) await new Promise(done => setTimeout(done, 20));
		return deviceId && [early.sinkId, late.sinkId, lab.media.deviceOf("speaker")].every(id => id == deviceId);
	})()`)
	run(p, "there is no other", `lab.code(lab.media.use("speaker", "none")).then(code => code == "missing")`)
}

// testLevels listens to the fake microphone, which beeps once in a while.
func testLevels(t *testing.T, p *lab.Page) {
	const levels = `(async () => {
		const levels = [];
		for (const end = performance.now() + 2500; performance.now() < end;) {
			levels.push(lab.media.level);
			await new Promise(done => setTimeout(done, 20));
		}
		return [Math.min(...levels), Math.max(...levels)];
	})()`
	var heard, muted [2]float64
	p.Eval(levels, &heard)
	run(p, "the microphone is muted", `(lab.media.mute("microphone"), true)`)
	p.Await(5*time.Second, "what was said before has passed", `lab.media.level == 0`)
	p.Eval(levels, &muted)
	if heard[0] != 0 || heard[1] < 0.5 || muted != [2]float64{} {
		t.Errorf("levels lie between %v, and muted between %v", heard, muted)
	}
	run(p, "it speaks again", `lab.media.unmute("microphone").then(() => true)`)
}

// A device that isn't there, or is refused, is an error with a code and with words.
func TestMediaModuleWithoutDevices(t *testing.T) {
	besideOthers(t)
	l := lab.New(t, lab.Symmetric, lab.Symmetric)
	server := lab.StartServer(t, l.Server, lab.Config)
	for _, engine := range []lab.Engine{lab.Chromium, lab.Firefox} {
		t.Run(string(engine), func(t *testing.T) {
			b := lab.StartBrowser(t, l.A, lab.BrowserOptions{Engine: engine, NoCamera: true})
			p := b.Open(server.HTTPS+"/", lab.PageOptions{})
			run(p, "the module is loaded", mediaModule)
			run(p, "nothing is there", `lab.media.open().then(() => ["microphone", "camera"].every(kind => `+
				`lab.media.errorOf(kind).code == "missing"))`)
			run(p, "in words", `lab.media.errorOf("camera").words("zh-CN") == "没有找到摄像头。"`)
			run(p, "also of a speaker", `lab.code(lab.media.use("speaker", "none")).then(code => code == "missing")`)
		})
	}
}

// lossy makes the router of a lab drop a share of the UDP packets that its client sends.
func lossy(t *testing.T, router *lab.Namespace, percent int) (undo func()) {
	router.Nft(t, fmt.Sprintf(`table ip lossy {
  chain forw { type filter hook forward priority 10; iifname lan meta l4proto udp numgen random mod 100 < %d drop; }
}`, percent))
	return func() { router.Nft(t, "delete table ip lossy") }
}

// TestStatsModule compares what a call's page says with what the browser says, and with what the
// network does.
func TestStatsModule(t *testing.T) {
	besideOthers(t)
	l := lab.New(t, lab.PortRestricted, lab.PortRestricted)
	server := lab.StartServer(t, l.Server, lab.Config)
	ann := client(lab.StartBrowser(t, l.A, lab.BrowserOptions{}), server, "ann")
	bob := client(lab.StartBrowser(t, l.B, lab.BrowserOptions{}), server, "bob")
	both := map[string]*lab.Page{"Ann": ann, "Bob": bob}
	for _, p := range both {
		run(p, "it is in the room", `lab.join().then(() => true)`)
	}
	for name, p := range both {
		watch(t, p, 1)
		run(p, name+" is connected directly",
			`[...lab.group.peers.values()][0].path().then(path => path?.kind == "direct")`)
		run(p, "the module is loaded", `import("/signalbox-stats.js").then(({ Stats, verdictWords }) => {
			lab.words = verdictWords;
			lab.stats = new Stats([...lab.group.peers.values()][0]);
			lab.verdicts = [];
			lab.stats.on("verdict", ({ verdict }) => lab.verdicts.push(verdict.code));
			return true;
		})`)
	}

	for name, p := range both {
		run(p, name+" has samples", `lab.stats.samples.length >= 3`)
		var got struct {
			Path                   string
			RTT                    float64
			Module, Browser        [2]float64 // bits a second: up, down
			Audio, Video, FarVideo string
			Width                  int
			Verdict                string
		}
		p.Eval(`(async () => {
			const pc = lab.stats.last && [...lab.group.peers.values()][0].connection;
			const count = async () => {
				const all = [...(await pc.getStats()).values()];
				const bytes = (type) => all.filter(s => s.type == type).reduce((n, s) => n +
					(s.bytesSent ?? s.bytesReceived) + (s.headerBytesSent ?? s.headerBytesReceived ?? 0), 0);
				return { at: performance.now(), up: bytes("outbound-rtp"), down: bytes("inbound-rtp") };
			};
			const samples = async (n) => { // those that begin now
				const out = [];
				await new Promise(done => {
					const end = lab.stats.on("sample", ({ sample }) => {
						out.push(sample);
						if (out.length == n) { end(); done(); }
					});
				});
				return out;
			};
			await samples(1);
			const before = await count();
			const seen = await samples(5);
			const after = await count();
			const ms = after.at - before.at;
			const mean = (way) => seen.reduce((n, s) => n + s[way].bitrate, 0) / seen.length;
			const { last } = lab.stats;
			return {
				Path: last.path, RTT: last.rtt ?? -1,
				Module: [mean("up"), mean("down")],
				Browser: [(after.up - before.up) * 8000 / ms, (after.down - before.down) * 8000 / ms],
				Audio: last.up.audio.codec, Video: last.up.video.codec, FarVideo: last.down.video.codec,
				Width: last.down.video.width, Verdict: lab.stats.verdict.code,
			};
		})()`, &got)
		t.Logf("%s: %+v", name, got)
		if got.Path != "direct" || got.RTT < 0 || got.RTT > 200 {
			t.Errorf("%s's path is %q, %v ms", name, got.Path, got.RTT)
		}
		for way, module := range got.Module {
			if browser := got.Browser[way]; module < browser*0.8 || module > browser*1.25 || module < 20_000 {
				t.Errorf("%s's module says %.0f bit/s where the browser counts %.0f", name, module, browser)
			}
		}
		if got.Audio != "opus" || got.Video == "" || got.FarVideo != got.Video || got.Width < 320 {
			t.Errorf("%s's codecs: %+v", name, got)
		}
		if strings.HasSuffix(got.Verdict, "-loss") || got.Verdict == "no-path" || got.Verdict == "unknown" {
			t.Errorf("%s's verdict on a good network is %q", name, got.Verdict)
		}
	}

	undo := lossy(t, l.NATA, 15)
	run(ann, "Ann knows that her uplink loses",
		`/^Your uplink loses [1-9]\d? %\.$/.test(lab.words(lab.stats.verdict, "en"))`)
	run(bob, "Bob knows that his downlink loses",
		`lab.stats.verdict.code == "downlink-loss" && lab.stats.verdict.percent > 5`)
	run(ann, "about as much as is dropped", `lab.stats.last.up.loss > 0.08 && lab.stats.last.up.loss < 0.25`)
	var down float64
	if ann.Eval(`lab.stats.last.down.loss`, &down); down > 0.03 {
		t.Errorf("Ann's downlink loses %v, where nothing is dropped", down)
	}
	undo()
	run(ann, "it is over", `!lab.stats.verdict.code.endsWith("-loss")`)
}

// The page says in words what is wrong with a connection.
func TestCallShowsTheVerdict(t *testing.T) {
	besideOthers(t)
	l := lab.New(t, lab.PortRestricted, lab.PortRestricted)
	server := lab.StartServer(t, l.Server, lab.Config)
	ann := enter(lab.StartBrowser(t, l.A, lab.BrowserOptions{}), server, "Ann", "",
		lab.PageOptions{Width: 390, Height: 844})
	bo := enter(lab.StartBrowser(t, l.B, lab.BrowserOptions{}), server, "Bo", "", lab.PageOptions{Locale: "zh-CN"})
	for _, p := range []*lab.Page{ann, bo} {
		watch(t, p, 1)
		tile(p)
	}
	lossy(t, l.NATA, 20)
	ann.AwaitText(30*time.Second, ".tile[data-peer]", `your uplink loses \d+ %`)
	bo.AwaitText(30*time.Second, ".tile[data-peer]", `你的下行丢包 \d+ %`)
	var covered bool
	ann.Eval(`(() => {
		const [note, self] = [".tile[data-peer] .tile-note", ".tile[data-self]"].map(selector =>
			document.querySelector(selector).getBoundingClientRect());
		return note.right > self.left && note.bottom > self.top;
	})()`, &covered)
	if covered {
		t.Error("on a phone, the own tile covers the words")
	}
	ann.Shoot("uplink-loses")
	bo.Shoot("downlink-loses")
}

// Where there is a choice of devices, the lobby has it, and shows that the microphone hears.
func TestLobbyChoosesDevices(t *testing.T) {
	besideOthers(t)
	l := lab.New(t, lab.Symmetric, lab.Symmetric)
	server := lab.StartServer(t, l.Server, lab.Config)
	b := lab.StartBrowser(t, l.A, lab.BrowserOptions{Flags: []string{choice}})
	p := b.Open(server.HTTPS+"/call/x", lab.PageOptions{Width: 390, Height: 844})
	p.Await(10*time.Second, "three cameras to choose from", `(choice => choice.checkVisibility() && `+
		`choice.options.length == 3)(document.querySelector("#use-camera"))`)
	p.Await(10*time.Second, "the microphone hears", `Number(document.querySelector("#lobby-mic").style.`+
		`getPropertyValue("--level")) > 0.3`)
	p.Shoot("lobby-with-a-choice")
	p.Eval(`(() => {
		const select = document.querySelector("#use-camera");
		select.selectedIndex = 1;
		window.labChosen = select.selectedOptions[0].label;
		select.dispatchEvent(new Event("change"));
	})()`, nil)
	p.Await(5*time.Second, "the other camera is shown",
		`document.querySelector("#preview").srcObject.getVideoTracks()[0].label == labChosen`)
	p.Click("#join")
	p.Await(15*time.Second, "the call has begun", `document.body.dataset.state == "in-call"`)
	p.Reload()
	p.Await(10*time.Second, "it is remembered", `["fake_device_1", "fake_device_1"].join() == [
		document.querySelector("#preview").srcObject?.getVideoTracks()[0].label,
		document.querySelector("#use-camera").selectedOptions[0]?.label].join()`)
	if over, what := p.Overflow(390); over > 0 {
		t.Errorf("the lobby is %d pixels too wide for a phone: %s", over, what)
	}
}
