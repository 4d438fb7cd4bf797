//go:build linux

package lab_test

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"signalbox/internal/testkit"
	"signalbox/scripts/lab"
)

// A flow is what a browser itself says of one of the page's peer connections:
// how it is connected and what has come of it.
type flow struct {
	Frames        int    // of video, decoded so far
	Local, Remote string // types of the selected pair's candidates
	RelayProtocol string // between this browser and its relay: udp, tcp, tls or ""
}

func (f flow) relayed() bool { return f.Local == "relay" || f.Remote == "relay" }

// relayedOnly is true of one end of a path between two relays, where both ends say it. A check
// that overtakes the far end's candidate makes that candidate peer-reflexive (RFC 8445, 7.3.1.3).
func (f flow) relayedOnly() bool {
	return f.Local == "relay" && (f.Remote == "relay" || f.Remote == "prflx")
}

const flows = `Promise.all(labPeerConnections.filter(pc => pc.connectionState == "connected").map(async pc => {
	const stats = await pc.getStats();
	const all = [...stats.values()];
	const pair = stats.get(all.find(s => s.type == "transport")?.selectedCandidatePairId);
	const local = stats.get(pair?.localCandidateId);
	return {
		Frames: all.filter(s => s.type == "inbound-rtp" && s.kind == "video").reduce((n, s) => n + s.framesDecoded, 0),
		Local: local?.candidateType ?? "", Remote: stats.get(pair?.remoteCandidateId)?.candidateType ?? "",
		RelayProtocol: local?.relayProtocol ?? "",
	};
}))`

// enter opens the call page in room x and joins.
func enter(b *lab.Browser, server *lab.Server, name, query string, look lab.PageOptions) *lab.Page {
	p := b.Open(server.HTTPS+"/call/x"+query, look)
	knock(p, name)
	p.Await(15*time.Second, name+" is in the call", `document.body.dataset.state == "in-call"`)
	return p
}

// knock asks to be let in, as people do: once the lobby shows what it has found
// of camera and microphone.
func knock(p *lab.Page, name string) {
	p.Await(10*time.Second, "the lobby knows the devices",
		`document.querySelector("#preview").videoWidth > 0 || `+
			`document.querySelector("#media-notes").childElementCount > 0`)
	p.Fill("#name", name)
	p.Click("#join")
}

// watch waits until a page has decoded more than 25 frames of each of its peers
// and returns what the browser says of them.
func watch(t *testing.T, p *lab.Page, peers int) []flow {
	t.Helper()
	return watchWithin(t, p, peers, 40*time.Second)
}

func watchWithin(t *testing.T, p *lab.Page, peers int, within time.Duration) []flow {
	t.Helper()
	p.Await(within, fmt.Sprintf("more than 25 frames decoded of each of %d peers", peers),
		fmt.Sprintf(`%s.then(all => all.length == %d && all.every(f => f.Frames > 25) && (window.labSeen = all))`,
			flows, peers))
	var got []flow
	p.Eval(`labSeen`, &got) // not asked again: one of them may have gone
	return got
}

// tile waits until the one tile says how its peer is connected and returns
// that.
func tile(p *lab.Page) (path string) {
	p.Await(15*time.Second, "the tile says how it is connected and how far away",
		`[...document.querySelectorAll(".tile[data-peer]")]
			.every(t => t.dataset.path && Number(t.dataset.rtt) >= 0 && t.dataset.rtt != "")
			&& document.querySelectorAll(".tile[data-peer]").length == 1`)
	return p.Attr(".tile[data-peer]", "data-path")
}

func TestCallBetweenSymmetricNATs(t *testing.T) {
	besideOthers(t)
	l := lab.New(t, lab.Symmetric, lab.Symmetric)
	server := lab.StartServer(t, l.Server, lab.Config)
	ann := enter(lab.StartBrowser(t, l.A, lab.BrowserOptions{}), server, "Ann", "", lab.PageOptions{})
	bo := enter(lab.StartBrowser(t, l.B, lab.BrowserOptions{}), server, "Bo", "", lab.PageOptions{Locale: "zh-CN"})

	for name, p := range map[string]*lab.Page{"Ann": ann, "Bo": bo} {
		if f := watch(t, p, 1)[0]; !f.relayed() {
			t.Errorf("%s is connected %+v, not through a relay", name, f)
		}
		if path := tile(p); !regexp.MustCompile(`^relay-(udp|tcp|tls)$`).MatchString(path) {
			t.Errorf("%s's page says %q of the connection", name, path)
		}
	}

	ann.Shoot("in-call")
	bo.Shoot("in-call")

	t.Run("chat", func(t *testing.T) {
		for _, p := range []*lab.Page{ann, bo} {
			openChat(p)
		}
		ann.Fill("#chat-input", "a green signal")
		ann.Click("#chat-send")
		bo.Await(10*time.Second, "Bo reads what Ann wrote",
			`document.querySelector("#chat-log").textContent.includes("a green signal")`)
		bo.Fill("#chat-input", "<b>绿灯</b>")
		bo.Press("#chat-input", "Enter")
		ann.Await(10*time.Second, "Ann reads what Bo wrote, as text",
			`document.querySelector("#chat-log").textContent.includes("<b>绿灯</b>")`)
		ann.Shoot("in-call-chat")
	})

	t.Run("leave", func(t *testing.T) {
		bo.Click("#leave")
		bo.Await(5*time.Second, "Bo has left", `document.body.dataset.state == "left"`)
		ann.Await(5*time.Second, "Bo's tile is gone", `!document.querySelector(".tile[data-peer]")`)
		if state := ann.Attr("body", "data-state"); state != "in-call" {
			t.Errorf("Ann's page is %q once Bo has left", state)
		}
		ann.Fill("#chat-input", "are you there?")
		ann.Press("#chat-input", "Enter")
		ann.Await(5*time.Second, "Ann knows that nobody reads it",
			`/are you there\?.*Nobody was there/s.test(document.querySelector("#chat-log").innerText)`)
		ann.Shoot("alone-in-chat")
	})
}

// openChat shows the chat, if the screen has not had the room to show it
// anyway.
func openChat(p *lab.Page) {
	var shown bool
	p.Eval(`document.querySelector("#chat-input").checkVisibility()`, &shown)
	if !shown {
		p.Click("#chat-toggle")
	}
	p.Await(5*time.Second, "the chat is shown", `document.querySelector("#chat-input").checkVisibility()`)
}

func TestCallWithUDPBlocked(t *testing.T) {
	besideOthers(t)
	l := lab.New(t, lab.Symmetric, lab.UDPBlocked)
	server := lab.StartServer(t, l.Server, lab.Config)
	ann := enter(lab.StartBrowser(t, l.A, lab.BrowserOptions{}), server, "Ann", "", lab.PageOptions{})
	bo := enter(lab.StartBrowser(t, l.B, lab.BrowserOptions{}), server, "Bo", "", lab.PageOptions{})

	if f := watch(t, ann, 1)[0]; !f.relayed() {
		t.Errorf("Ann is connected %+v, not through a relay", f)
	}
	f := watch(t, bo, 1)[0]
	if f.Local != "relay" || f.RelayProtocol != "tcp" && f.RelayProtocol != "tls" {
		t.Errorf("Bo, without UDP, is connected %+v, not through a relay over TCP", f)
	}
	if path, want := tile(bo), "relay-"+f.RelayProtocol; path != want {
		t.Errorf("Bo's page says %q of the connection, want %q", path, want)
	}
}

// Where only the web's ports get out, TURN over TLS shares the port of the pages.
func TestCallThroughPort443(t *testing.T) {
	besideOthers(t)
	l := lab.New(t, lab.Symmetric, lab.TCP443Only)
	server := lab.StartServer(t, l.Server, lab.Config+lab.CertificateConfig(t), "--set", "web.tls_listen=:443")
	server.HTTPS = "https://" + lab.AddrServer
	enter(lab.StartBrowser(t, l.A, lab.BrowserOptions{}), server, "Ann", "", lab.PageOptions{})
	bo := enter(lab.StartBrowser(t, l.B, lab.BrowserOptions{}), server, "Bo", "", lab.PageOptions{})

	if f := watch(t, bo, 1)[0]; f.Local != "relay" || f.RelayProtocol != "tls" {
		t.Errorf("Bo, with ports 80 and 443 only, is connected %+v, not through a relay over TLS", f)
	}
	if path := tile(bo); path != "relay-tls" {
		t.Errorf("Bo's page says %q of the connection", path)
	}
}

func TestCallBetweenConeNATsIsDirect(t *testing.T) {
	besideOthers(t)
	l := lab.New(t, lab.PortRestricted, lab.PortRestricted)
	server := lab.StartServer(t, l.Server, lab.Config)
	a := lab.StartBrowser(t, l.A, lab.BrowserOptions{})
	b := lab.StartBrowser(t, l.B, lab.BrowserOptions{})

	t.Run("direct", func(t *testing.T) {
		ann := enter(a, server, "Ann", "", lab.PageOptions{})
		bo := enter(b, server, "Bo", "", lab.PageOptions{})
		for name, p := range map[string]*lab.Page{"Ann": ann, "Bo": bo} {
			// ICE may begin with the relay and find the better pair later.
			p.Await(30*time.Second, name+"'s tile says direct",
				`document.querySelector(".tile[data-peer]")?.dataset.path == "direct"`)
			if f := watch(t, p, 1)[0]; f.relayed() {
				t.Errorf("%s is connected %+v", name, f)
			}
		}
		ann.Close()
		bo.Close()
	})

	t.Run("relay forced", func(t *testing.T) {
		ann := enter(a, server, "Ann", "?relay=1", lab.PageOptions{})
		bo := enter(b, server, "Bo", "?relay=1", lab.PageOptions{})
		for name, p := range map[string]*lab.Page{"Ann": ann, "Bo": bo} {
			if f := watch(t, p, 1)[0]; !f.relayedOnly() {
				t.Errorf("%s is connected %+v", name, f)
			}
		}
		// ICE may begin with TCP and find the better pair later, here too.
		ann.Await(30*time.Second, "Ann's tile says relay-udp",
			`document.querySelector(".tile[data-peer]")?.dataset.path == "relay-udp"`)
	})
}

func TestCallWithoutCamera(t *testing.T) {
	besideOthers(t)
	l := lab.New(t, lab.Symmetric, lab.Symmetric)
	server := lab.StartServer(t, l.Server, lab.Config)
	b := lab.StartBrowser(t, l.B, lab.BrowserOptions{NoCamera: true})
	bo := b.Open(server.HTTPS+"/call/x", lab.PageOptions{Width: 390, Height: 844})
	bo.Await(10*time.Second, "the lobby", `document.body.dataset.state == "lobby"`)
	bo.AwaitText(10*time.Second, "body", "the browser found no camera")
	bo.AwaitText(10*time.Second, "body", "you can join all the same")
	bo.Await(5*time.Second, "the buttons are not those of devices that are on",
		`["lobby-mic", "lobby-camera"].every(id => document.getElementById(id).hasAttribute("data-off"))`)
	bo.Shoot("lobby-without-camera")
	knock(bo, "Bo")
	ann := enter(lab.StartBrowser(t, l.A, lab.BrowserOptions{}), server, "Ann", "", lab.PageOptions{})

	bo.Await(15*time.Second, "Bo is in the call", `document.body.dataset.state == "in-call"`)
	watch(t, bo, 1)
	bo.AwaitText(5*time.Second, ".tile[data-self]", "receive only")
	bo.AwaitText(5*time.Second, "#status", "^1 other person is here$")
	apartInOwnTile(t, bo)
	bo.Shoot("in-call-without-camera")
	bo.Click("#language")
	bo.AwaitText(5*time.Second, ".tile[data-self]", "仅接收")
	apartInOwnTile(t, bo)
	bo.Shoot("in-call-without-camera-zh-CN")
	ann.Await(10*time.Second, "Ann sees a tile for Bo", `document.querySelectorAll(".tile[data-peer]").length == 1`)
	ann.Shoot("in-call-with-one-who-has-no-camera")
}

// apartInOwnTile fails the test if what stands in the page's own tile, which is
// small on a phone, covers each other or sticks out.
func apartInOwnTile(t *testing.T, p *lab.Page) {
	t.Helper()
	var wrong []string
	p.Eval(`(() => {
		const tile = document.querySelector(".tile[data-self]");
		const shown = [...tile.querySelectorAll(".avatar, .tile-note, .tile-bar > *")]
			.map(e => [e.getAttribute("class"), e.getBoundingClientRect()]).filter(([, r]) => r.width > 0);
		const t = tile.getBoundingClientRect();
		return [
			...shown.filter(([, r]) => r.left < t.left || r.right > t.right || r.top < t.top || r.bottom > t.bottom)
				.map(([name]) => name + " sticks out"),
			...shown.flatMap(([x, a], i) => shown.slice(i + 1)
				.filter(([, b]) => a.left < b.right && b.left < a.right && a.top < b.bottom && b.top < a.bottom)
				.map(([y]) => x + " and " + y + " overlap")),
		];
	})()`, &wrong)
	for _, words := range wrong {
		t.Errorf("in the own tile, %s", words)
	}
}

// move is true once a page decodes new frames of each of so many peers.
func move(peers int) string {
	return fmt.Sprintf(`(async () => {
		const before = await %[1]s;
		await new Promise(done => setTimeout(done, 1000));
		const after = await %[1]s;
		return [before, after].every(all => all.length == %[2]d) &&
			after.every((flow, i) => flow.Frames > before[i].Frames);
	})()`, flows, peers)
}

// TestLongCallOfFour takes a full mesh of two engines, each connection of it through the relay,
// through what happens in calls.
func TestLongCallOfFour(t *testing.T) {
	testkit.Long(t)
	l := lab.New(t, lab.Symmetric, lab.Symmetric)
	server := lab.StartServer(t, l.Server, lab.Config)
	names := []string{"Ann", "Bo", "Cy", "Di"}
	var pages []*lab.Page
	for i, in := range []*lab.Namespace{l.A, l.B, l.A, l.B} {
		options := lab.BrowserOptions{}
		switch names[i] {
		case "Ann":
			options.Flags = []string{choice}
		case "Bo":
			options.Engine = lab.Firefox
		}
		p := enter(lab.StartBrowser(t, in, options), server, names[i], "?relay=1", lab.PageOptions{})
		pages = append(pages, p)
	}
	throughACall(t, l, server, pages, time.Minute)
}

// TestLongCallOfEight is the same with eight people, who share a browser, each with a camera of
// their own: two browsers are too much for two cores.
func TestLongCallOfEight(t *testing.T) {
	testkit.Long(t)
	l := lab.New(t, lab.Symmetric, lab.Symmetric)
	server := lab.StartServer(t, l.Server, lab.Config)
	const within = 3 * time.Minute
	options := lab.BrowserOptions{Flags: []string{cameras(10)}}
	b := lab.StartBrowser(t, l.A, options)
	var pages []*lab.Page
	for i, name := range []string{"Ann", "Bo", "Cy", "Di", "Eve", "Flo", "Gus", "Hal"} {
		pages = append(pages, enterWithCamera(b, server, name, "?relay=1", plainCameras[i],
			lab.PageOptions{Width: 480, Height: 360}))
	}
	throughACall(t, l, server, pages, within)
}

// throughACall takes people, the first of whom are Ann, Bo, Cy, and Di, through what happens in
// calls. Some are behind the network's first NAT, and who begins has a choice of cameras.
func throughACall(t *testing.T, l *lab.Lab, server *lab.Server, pages []*lab.Page, within time.Duration) {
	t.Helper()
	ann, bo, cy, di := pages[0], pages[1], pages[2], pages[3]
	others := len(pages) - 1
	for n, p := range pages {
		p.Expect(`ERR_|WebSocket|wss:`)
		p.AwaitText(within, "#status", fmt.Sprintf("%d other people are here", others))
		for _, f := range watchWithin(t, p, others, within) {
			if !f.relayedOnly() {
				t.Errorf("the page of person %d is connected %+v", n, f)
			}
		}
	}
	ann.Shoot("in-call")
	without := func(page *lab.Page) []*lab.Page {
		return slices.DeleteFunc(slices.Clone(pages), func(p *lab.Page) bool { return p == page })
	}
	all := func(words, expression string, pages ...*lab.Page) {
		t.Helper()
		for _, p := range pages {
			p.Await(within, words, expression)
		}
		t.Log(words)
	}

	const annTile = `document.querySelector(".tile[aria-label=Ann]")`
	all("Ann is heard", annTile+`.hasAttribute("data-speaks")`, pages[1:]...)
	ann.Click("#mute")
	all("Ann is mute, and everybody sees it", `(tile => !tile.hasAttribute("data-speaks") &&
		!tile.querySelector("svg[role=img]").hasAttribute("hidden"))(`+annTile+`)`, pages[1:]...)
	ann.Click("#mute")
	all("Ann is heard again", annTile+`.hasAttribute("data-speaks")`, pages[1:]...)

	ann.Eval(plugs, nil)
	sent := sentDevice("video")
	var camera string
	ann.Eval(sent, &camera)
	changeDevice(ann, "camera")
	all("Ann sends another camera", sent+` != "`+camera+`"`, ann)
	ann.Click("#settings-close")
	all("and is seen by everybody", move(others), pages[1:]...)
	unplugMicrophone(ann, within, pages[1:]...)

	for _, p := range []*lab.Page{bo, cy} {
		p.Click(`.tile[aria-label=Ann] [aria-pressed]`)
	}
	all("whom one pins is large", largest("person"), bo, cy)
	all("and all others are seen beside", seen(`["self"`+strings.Repeat(`, "person"`, others)+`]`), bo, cy)
	for _, p := range []*lab.Page{bo, cy} {
		p.Click(`[aria-pressed="true"]`)
	}

	di.Click("#share")
	all("everybody sees Di's screen", `document.querySelector("#screens .tile[data-screen] video")?.videoWidth > 0`,
		without(di)...)
	all("and all the people", move(others), bo, cy)
	di.Click("#share")
	all("the screen is gone", `!document.querySelector("#screens .tile")`, without(di)...)

	bo.Reload()
	knock(bo, "Bo")
	all("Bo has come again", move(others), pages...)

	server.Kill(t)
	all("the call stands still, and says so", `document.querySelector("#banner").checkVisibility()`, pages...)
	server.Start(t)
	all("the box is back", `!document.querySelector("#banner").checkVisibility()`, pages...)
	all("and all are seen again", move(others), pages...)

	l.Renumber(t, l.NATA, lab.Symmetric, 77)
	all("another address, and all are seen again", move(others), pages...)

	di.Click("#leave")
	all("Di has left", fmt.Sprintf(`document.querySelectorAll(".tile[data-peer]").length == %d`, others-1),
		without(di)...)
	all("the others go on", move(others-1), without(di)...)
}
