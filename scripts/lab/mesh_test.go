//go:build linux

package lab_test

import (
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"signalbox/internal/testkit"
	"signalbox/scripts/lab"
)

// sent is what a page's senders of pictures are set to.
const sent = `labPeerConnections.filter(pc => pc.connectionState == "connected").flatMap(pc => pc.getSenders())
	.filter(s => s.track?.kind == "video").map(s => s.getParameters().encodings[0])`

// TestCallSendsWhatIsShown: each sender sends what the policy says, by how many people there are
// and how large the receiver shows it.
func TestCallSendsWhatIsShown(t *testing.T) {
	besideOthers(t)
	l := lab.New(t, lab.PortRestricted, lab.PortRestricted)
	server := lab.StartServer(t, l.Server, lab.Config)
	b := lab.StartBrowser(t, l.A, lab.BrowserOptions{})
	const within = 20 * time.Second
	ann := enter(b, server, "Ann", "", lab.PageOptions{})
	bo := enter(b, server, "Bo", "", lab.PageOptions{Width: 390, Height: 844})
	ann.Await(within, "Ann sends a pair's picture", sent+`.some(e => e.maxFramerate == 30 && e.active)`)
	ann.Await(within, "her voice comes first", `labPeerConnections.flatMap(pc => pc.getSenders())
		.some(s => s.track?.kind == "audio" && s.getParameters().encodings[0].priority == "high")`)
	cy := enter(b, server, "Cy", "", lab.PageOptions{})
	ann.Await(within, "with three, it is smaller and slower", `(all => all.length == 2 &&
		all.every(e => e.maxFramerate == 24 && e.maxBitrate <= 1_460_000))(`+sent+`)`)
	ann.Await(within, "Bo's small tile asks for less than Cy's large one",
		`new Set(`+sent+`.map(e => e.scaleResolutionDownBy)).size == 2 || `+
			sent+`.every(e => e.scaleResolutionDownBy == 1)`)
	cy.Close()
	ann.Await(within, "and as before once Cy has gone",
		`(all => all.length == 1 && all[0].maxFramerate == 30)(`+sent+`)`)
	moreFrames(t, bo)
}

// TestLongMeshOfFour and TestLongMeshOfEight measure a mesh: who sends what, at what cost, and gaps
// in voices.
func TestLongMeshOfFour(t *testing.T) { mesh(t, 4, 480, lab.PageOptions{Width: 800, Height: 600}) }

func TestLongMeshOfEight(t *testing.T) { mesh(t, 8, 240, lab.PageOptions{Width: 480, Height: 360}) }

const (
	meshTime   = 20 * time.Second // how long a mesh is measured
	voiceGap   = 200              // ms of a voice that may be missing at once
	idleLeast  = 0.1              // share of the machine that is idle where it is not the machine that stutters
	voiceLeast = 25               // packets of a voice that must arrive in a second, of 50 that are sent
	// More people share a browser, in which each has a process with encoders of their own: eight
	// whole browsers are too much for two cores.
	meshBrowsers = 4
)

// listens has a page note the longest time for which sound of a peer was made up, in ms, beyond
// what the peer was silent for: the fake microphone beeps all the time.
const listens = `(() => {
	window.labGap = 0;
	const concealed = new Map();
	const look = async () => {
		for (const pc of labPeerConnections) {
			for (const s of (await pc.getStats()).values()) {
				if (s.type != "inbound-rtp" || s.kind != "audio") continue;
				const made = (s.concealedSamples - s.silentConcealedSamples) / 48;
				labGap = Math.max(labGap, made - (concealed.get(pc) ?? made));
				concealed.set(pc, made);
			}
		}
		setTimeout(look, 500);
	};
	look();
	return true;
})()`

// sends is what a page sends to and hears of each peer, and has sent so far.
const sends = `Promise.all(labPeerConnections.filter(pc => pc.connectionState == "connected").map(async pc => {
	const all = [...(await pc.getStats()).values()];
	const of = (type, kind) => all.find(s => s.type == type && s.kind == kind) ?? {};
	const [video, audio] = ["video", "audio"].map(kind => of("outbound-rtp", kind));
	const heard = of("inbound-rtp", "audio");
	const [set] = pc.getSenders().find(s => s.track?.kind == "video").getParameters().encodings;
	return {
		Height: video.frameHeight ?? 0, Frames: video.framesEncoded ?? 0, Limited: video.qualityLimitationReason ?? "",
		Video: video.bytesSent ?? 0, Audio: audio.bytesSent ?? 0, Heard: heard.packetsReceived ?? 0,
		MaxRate: set.maxBitrate ?? 0, MaxFrames: set.maxFramerate ?? 0,
	};
}))`

// sentTo is what sends says of one peer.
type sentTo struct {
	Height, Frames, Video, Audio, Heard, MaxRate, MaxFrames int
	Limited                                                 string
}

// mesh has so many people call each other, one coming after the other, and fails unless each sends
// every other one what the policy allows, no larger than the `highest`, in all no more than an
// uplink of 3 Mbit/s has room for, and every voice arrives: without gaps, where the machine has
// time to spare for all the encoders of all the people.
func mesh(t *testing.T, people, highest int, window lab.PageOptions) {
	testkit.Long(t)
	l := lab.New(t, lab.PortRestricted, lab.PortRestricted)
	server := lab.StartServer(t, l.Server, lab.Config)
	b := lab.StartBrowser(t, l.A, lab.BrowserOptions{})
	var pages []*lab.Page
	for n := range people { // one after the other, as people come
		if n > 0 && people <= meshBrowsers {
			b = lab.StartBrowser(t, l.A, lab.BrowserOptions{})
		}
		pages = append(pages, enter(b, server, fmt.Sprint("guest ", n), "", window))
		for _, p := range pages {
			p.Await(2*time.Minute, "all are connected", fmt.Sprintf(
				`labPeerConnections.filter(pc => pc.connectionState == "connected").length == %d`, n))
		}
		t.Logf("%d are there", n+1)
	}
	before, since := make([][]sentTo, people), make([]time.Time, people)
	for n, p := range pages {
		p.Eval(listens, nil)
		p.Eval(sends, &before[n])
		since[n] = time.Now()
	}
	machine, browsers, box := idleTime(t), cpuOf(t, l.A), cpuOf(t, l.Server)
	begun := time.Now()
	time.Sleep(meshTime)
	took := time.Since(begun)
	idle := (idleTime(t) - machine).Seconds() / took.Seconds() / float64(runtime.NumCPU())
	t.Logf("%d people on %d cores, of which %.0f %% are idle: browsers take %.2f cores, the box %.3f", people,
		runtime.NumCPU(), 100*idle, (cpuOf(t, l.A)-browsers).Seconds()/took.Seconds(),
		(cpuOf(t, l.Server)-box).Seconds()/took.Seconds())
	for n, p := range pages {
		var after []sentTo
		p.Eval(sends, &after)
		seconds := time.Since(since[n]).Seconds()
		if len(after) != people-1 || len(before[n]) != people-1 {
			t.Fatalf("guest %d has %d connections, and had %d", n, len(after), len(before[n]))
		}
		var gap float64
		p.Eval(`labGap`, &gap)
		all := 0.0
		for i, s := range after {
			was := before[n][i]
			video, voice := float64(s.Video-was.Video)*8/seconds, float64(s.Audio-was.Audio)*8/seconds
			frames := float64(s.Frames-was.Frames) / seconds
			all += video + voice
			t.Logf("guest %d to %d: %dp at %.1f of %d frames/s, %.0f of %d kbit/s, limited by %s; voice %.0f kbit/s",
				n, i, s.Height, frames, s.MaxFrames, video/1000, s.MaxRate/1000, s.Limited, voice/1000)
			if s.MaxRate == 0 || frames > 1.2*float64(s.MaxFrames) || video > 1.3*float64(s.MaxRate) {
				t.Errorf("guest %d sends %d more than it is set to", n, i)
			}
			if s.Height > highest {
				t.Errorf("guest %d sends %d pixels in height", n, s.Height)
			}
			if heard := float64(s.Heard-was.Heard) / seconds; heard < voiceLeast {
				t.Errorf("guest %d hears %.1f packets/s of %d", n, heard, i)
			}
		}
		t.Logf("guest %d sends %.0f kbit/s in all; the longest gap in a voice is %.0f ms", n, all/1000, gap)
		if all > 3_300_000 {
			t.Errorf("guest %d sends %.0f kbit/s", n, all/1000)
		}
		if gap > voiceGap && idle >= idleLeast {
			t.Errorf("guest %d misses %.0f ms of a voice", n, gap)
		}
	}
	if idle < idleLeast {
		t.Logf("gaps are not judged: this machine has no time left for %d people", people)
	}
	pages[0].Shoot("in-call")
}

// idleTime is how long all cores of the machine together have had nothing to do.
func idleTime(t *testing.T) time.Duration {
	t.Helper()
	text, err := os.ReadFile("/proc/stat")
	if err != nil {
		t.Fatal(err)
	}
	fields := strings.Fields(string(text)) // cpu user nice system idle ...
	ticks, err := strconv.Atoi(fields[4])
	if err != nil {
		t.Fatal(err)
	}
	return time.Duration(ticks) * 10 * time.Millisecond
}

// cpuOf is what the processes in a namespace have computed.
func cpuOf(t *testing.T, in *lab.Namespace) time.Duration {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "ip", "netns", "pids", in.Name).Output()
	if err != nil {
		t.Fatal(err)
	}
	var all time.Duration
	for _, field := range strings.Fields(string(out)) {
		pid, err := strconv.Atoi(field)
		if err != nil {
			t.Fatal(err)
		}
		if used, err := testkit.CPU(pid); err == nil { // else it has ended meanwhile
			all += used
		}
	}
	return all
}
