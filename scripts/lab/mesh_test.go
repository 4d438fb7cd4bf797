//go:build linux

package lab_test

import (
	"fmt"
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

// TestLongMeshOfFour and TestLongMeshOfEight measure a mesh: who sends what, and gaps in voices.
func TestLongMeshOfFour(t *testing.T) { mesh(t, 4) }

func TestLongMeshOfEight(t *testing.T) { mesh(t, 8) }

// gaps notes the longest time in which no new sound was heard of any peer, in ms, beyond what the
// sender was silent for: the fake microphone beeps all the time.
const gaps = `(() => {
	window.labGap = 0;
	const concealed = new Map();
	const look = async () => {
		for (const pc of labPeerConnections) {
			for (const s of (await pc.getStats()).values()) {
				if (s.type != "inbound-rtp" || s.kind != "audio") continue;
				const id = pc.labId ??= Math.random();
				const lost = (s.concealedSamples - s.silentConcealedSamples) / 48;
				const before = concealed.get(id) ?? lost;
				concealed.set(id, lost);
				labGap = Math.max(labGap, lost - before);
			}
		}
		setTimeout(look, 500);
	};
	look();
	return true;
})()`

func mesh(t *testing.T, people int) {
	testkit.Long(t)
	l := lab.New(t, lab.PortRestricted, lab.PortRestricted)
	server := lab.StartServer(t, l.Server, lab.Config)
	var pages []*lab.Page
	for n := range people {
		b := lab.StartBrowser(t, l.A, lab.BrowserOptions{})
		pages = append(pages, enter(b, server, fmt.Sprint("guest ", n), "", lab.PageOptions{Width: 800, Height: 600}))
	}
	for _, p := range pages {
		watch(t, p, people-1)
		p.Eval(gaps, nil)
	}
	time.Sleep(20 * time.Second)
	for n, p := range pages {
		var all []map[string]any
		p.Eval(sent, &all)
		var gap float64
		p.Eval(`labGap`, &gap)
		t.Logf("%d sends %v; the longest gap in a voice is %.0f ms", n, all, gap)
		if gap > 200 {
			t.Errorf("%d: %.0f ms of a voice are missing", n, gap)
		}
	}
}
