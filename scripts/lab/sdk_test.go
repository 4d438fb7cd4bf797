//go:build linux

package lab_test

import (
	"testing"
	"time"

	"signalbox/scripts/lab"
)

// sdk makes a page a client of its own: what follows runs beside the page's own scripts, on the
// module that it is served.
const sdk = `(async () => {
	const { connect } = await import("/signalbox.js");
	const stream = await navigator.mediaDevices.getUserMedia({ audio: true, video: true });
	window.lab = { connect, stream, events: [], session: null, group: null };
	lab.watch = (group) => {
		lab.group = group;
		for (const type of ["peer", "left", "presence", "rejoined", "closed", "error"]) {
			group.on(type, ({ peer, reason, present, error }) =>
				lab.events.push([type, reason ?? present ?? error?.code ?? ""].join(" ").trim()));
		}
		return group;
	};
	lab.enter = async (user) => {
		lab.session = await connect({ name: user, user });
		lab.session.on("call", ({ call }) => lab.watch(call).accept({ stream }));
	};
	lab.join = async () => lab.watch(lab.session.room("tea", { stream })).join();
	return true;
})()`

// client opens a page that has the SDK and enters under a user name.
func client(b *lab.Browser, server *lab.Server, user string) *lab.Page {
	p := b.Open(server.HTTPS+"/", lab.PageOptions{})
	p.Expect(`WebSocket|ERR_CONNECTION_REFUSED`) // while the box is down
	p.Await(10*time.Second, "the SDK is loaded", sdk)
	run(p, user+" is connected", `lab.enter("`+user+`").then(() => true)`)
	return p
}

func run(p *lab.Page, words, expression string) { p.Await(20*time.Second, words, expression) }

func TestCallsToUsers(t *testing.T) {
	besideOthers(t)
	l := lab.New(t, lab.Symmetric, lab.Symmetric)
	server := lab.StartServer(t, l.Server, lab.Config)
	ann := client(lab.StartBrowser(t, l.A, lab.BrowserOptions{}), server, "ann")
	bob := client(lab.StartBrowser(t, l.B, lab.BrowserOptions{}), server, "bob")

	t.Run("accepted", func(t *testing.T) {
		run(ann, "Bob has accepted", `lab.session.call("bob", { stream: lab.stream }).then(call => `+
			`lab.watch(call).peer.name == "bob")`)
		watch(t, ann, 1)
		watch(t, bob, 1)
		run(ann, "Ann hangs up", `(lab.group.hangup(), true)`)
		run(bob, "Bob knows that it is over", `JSON.stringify(lab.events) == '["peer","left left","closed"]'`)
		run(bob, "nothing is left of it", `lab.session.calls.size == 0 && labPeerConnections.every(pc => `+
			`pc.connectionState == "closed")`)
	})

	// What each says is on its way before it hears of the other: Bob's line is cut meanwhile, both
	// ways.
	t.Run("both at once", func(t *testing.T) {
		l.NATB.Nft(t, `
add set ip filter cut { type inet_service; }
add element ip filter cut { 8443 }
insert rule ip filter forw tcp dport @cut drop
insert rule ip filter forw tcp sport @cut drop
`)
		for _, each := range []struct {
			page *lab.Page
			far  string
		}{{ann, "bob"}, {bob, "ann"}} {
			each.page.Eval(`(lab.events.length = 0, lab.calling = lab.session.call("`+each.far+
				`", { stream: lab.stream }), 0)`, nil)
		}
		l.NATB.Nft(t, "flush set ip filter cut")
		for _, p := range []*lab.Page{ann, bob} {
			run(p, "there is one call", `lab.calling.then(call => lab.session.calls.size == 1 && `+
				`[...lab.session.calls.values()][0] == call)`)
			watch(t, p, 1)
		}
		run(bob, "Bob hangs up", `lab.calling.then(call => (call.hangup(), true))`)
		run(ann, "Ann knows that it is over", `lab.session.calls.size == 0`)
	})
}

// A restart of the box is nothing to a call that doesn't need its relay.
func TestConnectionsOutliveARestart(t *testing.T) {
	besideOthers(t)
	l := lab.New(t, lab.PortRestricted, lab.PortRestricted)
	state := t.TempDir()
	server := lab.StartServer(t, l.Server, lab.Config, "--state", state)
	ann := client(lab.StartBrowser(t, l.A, lab.BrowserOptions{}), server, "ann")
	bob := client(lab.StartBrowser(t, l.B, lab.BrowserOptions{}), server, "bob")
	for _, p := range []*lab.Page{ann, bob} {
		run(p, "it is in the room", `lab.join().then(() => true)`)
	}
	for _, p := range []*lab.Page{ann, bob} {
		watch(t, p, 1)
		run(p, "the path is direct", `[...lab.group.peers.values()][0].path().then(path => path?.kind == "direct")`)
		p.Eval(`(lab.events.length = 0, lab.before = [lab.session.peerId, `+
			`[...lab.group.peers.values()][0].connection], 0)`, nil)
	}

	t.Run("of the box", func(t *testing.T) {
		server.Stop(t)
		server = lab.StartServer(t, l.Server, lab.Config, "--state", state)
		for name, p := range map[string]*lab.Page{"Ann": ann, "Bob": bob} {
			run(p, name+" is back, with the same peer",
				`lab.events.includes("rejoined") && [...lab.group.peers.values()].some(peer => peer.present)`)
			run(p, name+" is the same, and so is the connection",
				`lab.before[0] == lab.session.peerId && lab.before[1] == `+
					`[...lab.group.peers.values()][0].connection && lab.before[1].connectionState == "connected"`)
			run(p, name+" has lost nobody", `!lab.events.some(e => e.startsWith("left") || e.startsWith("error"))`)
			moreFrames(t, p)
		}
	})

	// Bob's page begins anew while there is no box, so that Ann isn't told.
	t.Run("of the box and of a page", func(t *testing.T) {
		server.Stop(t)
		run(ann, "Ann knows that the box is gone", `lab.session.state == "reconnecting"`)
		run(bob, "Bob knows that the box is gone", `lab.session.state == "reconnecting"`)
		bob.Eval(`(dispatchEvent(new PageTransitionEvent("pagehide")), labPeerConnections.forEach(pc => `+
			`pc.close()), lab.events.length = 0, 0)`, nil)
		server = lab.StartServer(t, l.Server, lab.Config, "--state", state)
		run(bob, "Bob is back", `lab.enter("bob").then(() => lab.join()).then(() => true)`)
		run(bob, "Bob is the same to others", `lab.session.peerId == lab.before[0]`)
		run(ann, "Ann has a new connection to the same peer", `lab.events.includes("left lost")
			&& lab.group.peers.size == 1
			&& [...lab.group.peers.keys()][0] == [...lab.group.peers.values()][0].id
			&& [...lab.group.peers.values()][0].connection != lab.before[1]`)
		watch(t, ann, 1)
		watch(t, bob, 1)
		for _, p := range []*lab.Page{ann, bob} {
			run(p, "nothing went wrong", `!lab.events.some(e => e.startsWith("error"))`)
			moreFrames(t, p)
		}
	})
}

// With the box, relayed calls lose their path. Both ends keep their peer and find a new one.
func TestRelayedCallComesBackAfterARestart(t *testing.T) {
	besideOthers(t)
	l := lab.New(t, lab.Symmetric, lab.Symmetric)
	state := t.TempDir()
	server := lab.StartServer(t, l.Server, lab.Config, "--state", state)
	ann := client(lab.StartBrowser(t, l.A, lab.BrowserOptions{}), server, "ann")
	bob := client(lab.StartBrowser(t, l.B, lab.BrowserOptions{}), server, "bob")
	for _, p := range []*lab.Page{ann, bob} {
		run(p, "it is in the room", `lab.join().then(() => true)`)
	}
	for _, p := range []*lab.Page{ann, bob} {
		watch(t, p, 1)
	}
	server.Stop(t)
	lab.StartServer(t, l.Server, lab.Config, "--state", state)
	began := time.Now()
	for name, p := range map[string]*lab.Page{"Ann": ann, "Bob": bob} {
		moreFrames(t, p)
		t.Logf("%s sees frames again %v after the box was back", name, time.Since(began).Round(100*time.Millisecond))
		run(p, "there is one peer, and nothing went wrong",
			`lab.group.peers.size == 1 && !lab.events.some(e => e.startsWith("error"))`)
	}
}

// A direct path dies without a word, and signaling lives. Nobody waits for ICE to notice.
func TestDeadPathIsReplaced(t *testing.T) {
	besideOthers(t)
	l := lab.New(t, lab.PortRestricted, lab.PortRestricted)
	server := lab.StartServer(t, l.Server, lab.Config)
	ann := client(lab.StartBrowser(t, l.A, lab.BrowserOptions{}), server, "ann")
	bob := client(lab.StartBrowser(t, l.B, lab.BrowserOptions{}), server, "bob")
	for _, p := range []*lab.Page{ann, bob} {
		run(p, "it is in the room", `lab.join().then(() => true)`)
	}
	for _, p := range []*lab.Page{ann, bob} {
		watch(t, p, 1)
		run(p, "the path is direct", `[...lab.group.peers.values()][0].path().then(path => path?.kind == "direct")`)
	}
	l.NATA.Nft(t, `
insert rule ip filter forw ip daddr `+lab.AddrNATB+` drop
insert rule ip filter forw ip saddr `+lab.AddrNATB+` drop
`)
	after := map[string]*progress{"Ann": {page: ann}, "Bob": {page: bob}}
	observe(after, 15*time.Second)
	for name, p := range after {
		t.Logf("%s decodes %d frames; the longest pause is %v", name, p.frames, p.pause.Round(10*time.Millisecond))
		if p.frames == 0 || p.pause > 12*time.Second {
			t.Errorf("%s's video stopped for %v", name, p.pause)
		}
		run(p.page, name+" is relayed now", `[...lab.group.peers.values()][0].path().then(path => path?.kind == `+
			`"relay")`)
	}
}
