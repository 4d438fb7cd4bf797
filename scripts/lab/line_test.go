//go:build linux

package lab_test

import (
	"fmt"
	"testing"
	"time"

	"signalbox/scripts/lab"
)

// A page with many sessions, and what it takes to watch their lines.
const manyLines = `(async () => {
	const made = { EventSource: [], WebSocket: [] };
	for (const [name, all] of Object.entries(made)) {
		window[name] = class extends window[name] {
			constructor(...args) {
				super(...args);
				all.push(this);
			}
		};
	}
	const { connect } = await import("/signalbox.js");
	window.lab = { streams: made.EventSource, sockets: made.WebSocket, news: [] };
	lab.sessions = await Promise.all(Array.from({ length: 12 }, (_, n) => connect({ name: "n" + n, keep: false })));
	for (const session of lab.sessions) session.on("carrier", ({ carrier }) => lab.news.push(carrier));
	return true;
})()`

// S3: whoever comes back while the box restarts comes back on a WebSocket. A connection that is
// refused says nothing of what the network lets through.
func TestS3EverybodyIsBackOnAWebSocket(t *testing.T) {
	besideOthers(t)
	l := lab.New(t, lab.PortRestricted, lab.PortRestricted)
	b := lab.StartBrowser(t, l.A, lab.BrowserOptions{})
	for words, until := range map[string]string{
		"before everybody tries events": `lab.sockets.length >= 3 * lab.sessions.length`,
		"after everybody has tried":     `lab.streams.length >= lab.sessions.length`,
	} {
		t.Run(words, func(t *testing.T) {
			state := t.TempDir()
			server := lab.StartServer(t, l.Server, lab.Config, "--state", state)
			p := b.Open(server.HTTPS+"/", lab.PageOptions{})
			// While the box is down; and when it is just back, some ask it why they were refused.
			p.Expect(`WebSocket|ERR_CONNECTION_REFUSED|status of 400 .*signal/send`)
			run(p, "all are connected", manyLines)
			server.Stop(t)
			run(p, words, until)
			lab.StartServer(t, l.Server, lab.Config, "--state", state)
			began := time.Now()
			run(p, "all are back", `lab.sessions.every(({ state }) => state == "open")`)
			run(p, "no stream of events is left", `lab.streams.every(({ readyState }) => readyState == 2)`)
			t.Logf("all are on a WebSocket %v after the box was back", time.Since(began).Round(100*time.Millisecond))
			run(p, "nobody was told of a fallback", `lab.news.length == 0 &&
				lab.sessions.every(({ carrier }) => carrier == "websocket")`)
			run(p, "all may speak", `Promise.all(lab.sessions.map(session => session.ping())).then(() => true)`)
			p.Eval(`(lab.sessions.forEach(session => session.close()), 0)`, nil)
		})
	}
}

// S5: a browser whose WebRTC is taken away says so, in every page.
func TestS5WithoutWebRTC(t *testing.T) {
	besideOthers(t)
	l := lab.New(t, lab.PortRestricted, lab.PortRestricted)
	server := lab.StartServer(t, l.Server, lab.Config)
	b := lab.StartBrowser(t, l.A, lab.BrowserOptions{})
	const taken = `(window.RTCPeerConnection = undefined, 0)`

	app := b.Open(server.HTTPS+"/", lab.PageOptions{})
	app.Eval(taken, nil)
	run(app, "rooms and calls have no WebRTC, signals need none", `(async () => {
		const { connect } = await import("/signalbox.js");
		const session = await connect({ name: "Ann" });
		const code = (promise) => promise.then(() => "none", (error) => error.code);
		return await code(session.join("tea")) == "no-webrtc" && await code(session.call("bob")) == "no-webrtc"
			&& await session.ping() >= 0;
	})()`)

	call := b.Open(server.HTTPS+"/call/x", lab.PageOptions{})
	call.Eval(taken, nil)
	call.Await(10*time.Second, "the preview plays", `document.querySelector("#preview").videoWidth > 0`)
	call.Click("#join")
	call.AwaitText(10*time.Second, ".end", "has no WebRTC")

	check := b.Open(server.HTTPS+"/check", lab.PageOptions{})
	check.Await(30*time.Second, "the first test is over", `!document.querySelector("#run").disabled`)
	check.Eval(taken, nil)
	check.Click("#run")
	check.AwaitText(10*time.Second, "#verdict", "has no WebRTC")
}

// S6: who meets fifteen others at once has more to say than the hub takes in a second. Each of them
// gets the offer, and a candidate of the relay.
func TestS6EverybodyGetsARelayCandidate(t *testing.T) {
	besideOthers(t)
	l := lab.New(t, lab.PortRestricted, lab.PortRestricted)
	for n := range 10 { // a notebook with its virtual machines and tunnels
		name := fmt.Sprintf("more%d", n)
		l.A.Exec(t, "ip", "link", "add", name, "type", "veth", "peer", "name", name+"far")
		l.A.Exec(t, "ip", "addr", "add", fmt.Sprintf("192.168.%d.1/24", n), "dev", name)
		for _, end := range []string{name, name + "far"} {
			// An address of IPv6 that comes later is a change of the network to the browser.
			l.A.Exec(t, "ip", "link", "set", end, "addrgenmode", "none", "up")
		}
	}
	server := lab.StartServer(t, l.Server, lab.Config, "--set", "signal.rate=10", "--set",
		"signal.room_capacity=16")
	p := lab.StartBrowser(t, l.A, lab.BrowserOptions{}).Open(server.HTTPS+"/", lab.PageOptions{})
	run(p, "fifteen others are in the room, and one who meets them", `(async () => {
		const { connect } = await import("/signalbox.js");
		window.lab = { errors: [], got: new Map() };
		const session = await connect({ name: "Ann", keep: false });
		session.on("error", ({ error }) => lab.errors.push(error.code));
		session.on("state", ({ state }) => lab.errors.push(state));
		await session.join("tea"); // the first in a room leads: it makes all offers
		for (let n = 0; n < 15; n++) {
			const other = await connect({ name: "Bob" + n, keep: false });
			lab.got.set(other.peerId, "");
			other.on("signal", ({ data }) =>
				lab.got.set(other.peerId, lab.got.get(other.peerId) + JSON.stringify(data)));
			lab.joins = [...lab.joins ?? [], () => other.request({ type: "join", room: "tea" })];
		}
		await Promise.all(lab.joins.map(join => join()));
		return true;
	})()`)
	run(p, "each has an offer and a relay's candidate", `[...lab.got.values()].every(said =>
		said.includes('"offer"') && said.includes("typ relay"))`)
	run(p, "and nothing went wrong", `lab.errors.length == 0`)
}

// S13: a page learns why a hub is not reached, as far as browsers let it.
func TestS13WhyAHubIsNotReached(t *testing.T) {
	besideOthers(t)
	l := lab.New(t, lab.PortRestricted, lab.PortRestricted)
	server := lab.StartServer(t, l.Server, lab.Config)
	b := lab.StartBrowser(t, l.A, lab.BrowserOptions{})
	code := func(p *lab.Page, want, url string) {
		t.Helper()
		run(p, url+" is "+want, `import("/signalbox.js").then(({ connect }) => connect({ url: "`+url+
			`", keep: false, retries: 0 })).then(() => "open", (error) => error.code).then(code =>
			code == "`+want+`" || Promise.reject(new Error(code)))`)
	}
	// A page without a policy: what the hub answers decides.
	p := b.Open(server.HTTP+"/healthz", lab.PageOptions{})
	p.Expect(`WebSocket|EventSource|Failed to load resource|CORS|Fetch`)
	code(p, "origin-refused", server.HTTPS+"/signal")
	code(p, "no-hub", "/nowhere")
	code(p, "no-hub", server.HTTPS+"/nowhere")
	code(p, "unreachable", "https://"+server.Host()+":9/signal")
	// The box's own pages may connect to the box alone.
	p = b.Open(server.HTTPS+"/", lab.PageOptions{})
	p.Expect(`WebSocket|EventSource|Content Security Policy|Fetch`)
	code(p, "csp-refused", "https://other.example.org/signal")
}

// S14: six tabs over server-sent events and HTTP/1.1 leave each other connections to speak by.
func TestS14SixTabsOverHTTP1(t *testing.T) {
	besideOthers(t)
	l := lab.New(t, lab.PortRestricted, lab.PortRestricted)
	server := lab.StartServer(t, l.Server, lab.Config, "--set", "web.allowed_origins=http://127.0.0.1:8080")
	p := lab.StartBrowser(t, l.Server, lab.BrowserOptions{}).Open(server.Inside()+"/", lab.PageOptions{})
	p.Expect("status of 400") // the answer tells whether it is HTTP/2
	run(p, "four are connected, and two know why they are not", `import("/signalbox.js").then(async ({ connect }) => {
		window.WebSocket = class { constructor() { throw new Error("blocked"); } };
		const enter = () => connect({ name: "Ann", keep: false });
		window.lab = { enter };
		const all = await Promise.allSettled(Array.from({ length: 6 }, enter));
		lab.sessions = all.map(({ value }) => value).filter(Boolean);
		const codes = all.map(({ reason }) => reason?.code).filter(Boolean);
		return lab.sessions.length == 4 && codes.join() == "too-many-tabs,too-many-tabs"
			|| Promise.reject(new Error(lab.sessions.length + " sessions; " + codes));
	})`)
	run(p, "the four may speak, and the host may be asked", `Promise.all([...lab.sessions.map(session =>
		session.ping()), fetch("/healthz")]).then(() => true)`)
	run(p, "whoever leaves makes room", `(lab.sessions.pop().close(), lab.enter().then(() => true,
		(error) => error.code != "too-many-tabs" && Promise.reject(error)))`)
	// Over TLS it is HTTP/2, which has one connection for all, also for pages of other origins.
	b := lab.StartBrowser(t, l.Server, lab.BrowserOptions{})
	for _, page := range []string{server.HTTPS + "/", server.Inside() + "/healthz"} {
		p = b.Open(page, lab.PageOptions{})
		p.Expect("status of 400|favicon")
		run(p, "over HTTP/2 there are places enough, from "+page, `import("/signalbox.js").then(async ({ connect }) => {
			window.WebSocket = class { constructor() { throw new Error("blocked"); } };
			const enter = () => connect({ url: "`+server.HTTPS+`/signal", name: "Ann", keep: false });
			const all = await Promise.all(Array.from({ length: 8 }, enter));
			return Promise.all(all.map(session => session.ping())).then(() => true);
		})`)
	}
}

// S15: a tab that is duplicated, in the lobby or in a call, is somebody of its own. A window that a
// page opens has a copy of its storage, as a duplicate has.
func TestS15TabIsDuplicated(t *testing.T) {
	besideOthers(t)
	l := lab.New(t, lab.PortRestricted, lab.PortRestricted)
	server := lab.StartServer(t, l.Server, lab.Config)
	p := lab.StartBrowser(t, l.A, lab.BrowserOptions{}).Open(server.HTTPS+"/call/x", lab.PageOptions{})
	inCall := func(words, page string) {
		t.Helper()
		run(p, words+" is in the call", page+`.document.body.dataset.state == "in-call"`)
	}
	duplicate := func(name string) {
		t.Helper()
		p.Eval(`(window.`+name+` = open(location.href), 0)`, nil)
		run(p, "the copy's preview plays", name+`.document.querySelector("#preview")?.videoWidth > 0`)
		p.Eval(`(`+name+`.document.querySelector("#join").click(), 0)`, nil)
		inCall("the copy", name)
	}
	p.Await(10*time.Second, "the preview plays", `document.querySelector("#preview").videoWidth > 0`)
	p.Click("#join")
	inCall("the first", "window")
	p.Reload() // to the lobby, with something that makes it the same peer
	p.Await(10*time.Second, "the preview plays", `document.querySelector("#preview").videoWidth > 0`)
	duplicate("lobby")
	p.Click("#join")
	inCall("the original", "window")
	duplicate("room")
	for _, page := range []string{"window", "lobby", "room"} {
		run(p, page+" sees the two others", page+`.document.querySelectorAll("#tiles video").length >= 2`)
		inCall(page, page)
	}
}

// S12: an effect that is run twice, as React's StrictMode does it, leaves one session.
func TestS12ConnectIsAborted(t *testing.T) {
	besideOthers(t)
	l := lab.New(t, lab.PortRestricted, lab.PortRestricted)
	server := lab.StartServer(t, l.Server, lab.Config)
	p := lab.StartBrowser(t, l.A, lab.BrowserOptions{}).Open(server.HTTPS+"/", lab.PageOptions{})
	p.Expect(`WebSocket`) // that is closed before it is open
	run(p, "the effect that stands has the session", `import("/signalbox.js").then(async ({ connect }) => {
		const effect = () => {
			const control = new AbortController();
			const session = connect({ user: "ann", signal: control.signal });
			session.catch(() => {});
			return { session, cleanup: () => control.abort() };
		};
		const code = (promise) => promise.then(() => "none", (error) => error.code);
		for (let n = 0; n < 30; n++) {
			const first = effect();
			await new Promise(resolve => setTimeout(resolve, n)); // at each moment of it
			first.cleanup();
			const code = await first.session.then(({ state }) => state, (error) => error.code);
			if (code != "canceled" && code != "closed") throw new Error(code);
			let second = effect();
			const session = await second.session.catch(async (error) => {
				if (error.code != "user-taken") throw error; // what was said last is on its way
				await new Promise(resolve => setTimeout(resolve, 200));
				return (second = effect()).session;
			});
			second.cleanup();
			if (session.state != "closed") throw new Error(session.state);
			await new Promise(resolve => setTimeout(resolve, 50));
		}
		return true;
	})`)
}
