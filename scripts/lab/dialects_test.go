//go:build linux

package lab_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"signalbox/scripts/lab"
)

// bundle makes the pages of testdata/dialects, with what npm has for them, and returns their
// folder.
func bundle(t *testing.T) (root string) {
	t.Helper()
	modules, err := filepath.Abs(filepath.Join("browser", "node_modules"))
	if err != nil {
		t.Fatal(err)
	}
	esbuild := filepath.Join(modules, ".bin", "esbuild")
	if _, err := os.Stat(esbuild); err != nil {
		t.Skip("no esbuild: npm ci in scripts/lab/browser")
	}
	root = t.TempDir()
	from := filepath.Join("testdata", "dialects")
	for _, name := range []string{"peerjs", "yjs", "chat"} {
		command := exec.Command(esbuild, filepath.Join(from, name+".js"), "--bundle", "--format=esm",
			"--target=es2022", "--define:global=window", "--outfile="+filepath.Join(root, name+".bundle.js"))
		command.Env = append(os.Environ(), "NODE_PATH="+modules)
		if said, err := command.CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, said)
		}
		page, err := os.ReadFile(filepath.Join(from, name+".html"))
		if err != nil {
			page = fmt.Appendf(nil, `<!doctype html><title>%s</title><link rel="icon" href="/assets/favicon.svg">
				<script type="module" src="%[1]s.bundle.js"></script>`, name)
		}
		if err := os.WriteFile(filepath.Join(root, name+".html"), page, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

// The clients of other servers as npm has them, and MDN's calls by name: each in two Chromiums,
// through the box's own relay only.
func TestClientsOfOtherServers(t *testing.T) {
	besideOthers(t)
	root := bundle(t)
	l := lab.New(t, lab.Symmetric, lab.Symmetric)
	server := lab.StartServer(t, l.Server, lab.Config, "--set", "web.root="+root, "--set", "signal.heartbeat=2s")
	a, b := lab.StartBrowser(t, l.A, lab.BrowserOptions{}), lab.StartBrowser(t, l.B, lab.BrowserOptions{})
	open := func(in *lab.Browser, page string) *lab.Page {
		p := in.Open(server.HTTPS+"/"+page+".html", lab.PageOptions{})
		p.Expect(`WebSocket|ERR_`) // of those whose line is cut
		p.Await(20*time.Second, "the page is ready", `window.app?.ready`)
		return p
	}
	relayed := func(t *testing.T, pages ...*lab.Page) {
		t.Helper()
		for _, p := range pages {
			if f := watch(t, p, 1)[0]; f.Local != "relay" {
				t.Errorf("connected %+v, not through a relay", f)
			}
		}
	}

	t.Run("y-webrtc", func(t *testing.T) {
		ann, bob := open(a, "yjs"), open(b, "yjs")
		ann.Eval(`app.text.insert(0, "tea")`, nil)
		run(bob, "what Ann writes arrives", `app.text.toString() === "tea"`)
		bob.Eval(`app.text.insert(3, " for two")`, nil)
		run(ann, "what Bob writes arrives", `app.text.toString() === "tea for two"`)
		ann.Close()
		bob.Close()
	})

	t.Run("peerjs", func(t *testing.T) {
		ann, bob := open(a, "peerjs"), open(b, "peerjs")
		run(ann, "Ann has her id", `app.open("ann").then(id => id === "ann")`)
		ann.Eval(`app.peer.connect("carol"), 0`, nil)
		run(ann, "there is no Carol", `app.errors.includes("peer-unavailable")`)
		run(bob, "Bob has an id", `(app.opened ??= app.open("bob")).then(id => id === "bob")`)
		run(ann, "Ann reaches Bob", `app.connect("bob").then(() => true)`)
		run(ann, "data comes back", `(app.data.send({ n: 1 }), app.received[0] === '{"echo":{"n":1}}')`)
		ann.Eval(`app.call("bob"), 0`, nil)
		run(bob, "video through the relay", flows+`.then(all => all.some(f => f.Frames > 25 && f.Local == "relay"))`)
		run(ann, "and back", flows+`.then(all => all.some(f => f.Frames > 25 && f.Local == "relay"))`)
		ann.Close()
		bob.Close()
	})

	t.Run("calls by name", func(t *testing.T) {
		login := func(in *lab.Browser, name string) *lab.Page {
			p := open(in, "chat")
			p.Fill("#name", name)
			p.Click("#login")
			p.Await(10*time.Second, name+" is in", `document.body.dataset.name === "`+name+`"`)
			return p
		}
		call := func(t *testing.T, from, to *lab.Page, name string) {
			t.Helper()
			from.Await(10*time.Second, name+" is in the list", `document.getElementById("user-`+name+`") !== null`)
			from.Click("#user-" + name)
			relayed(t, from, to)
		}
		idle := func(p *lab.Page) {
			p.Await(40*time.Second, "the call is over", `!document.body.dataset.call`)
		}
		bob, ann := login(b, "bob"), login(a, "ann")
		ann.Fill("#text", "<b>hi</b>")
		ann.Click("#send")
		run(bob, "a message arrives without tags", `document.getElementById("chat").textContent === "ann: hi\n"`)
		call(t, ann, bob, "bob")
		ann.Click("#hang-up")
		idle(bob)

		carol := login(a, "carol")
		call(t, bob, carol, "carol")
		carol.Close()
		idle(bob)
		run(bob, "Carol is gone", `document.getElementById("user-carol") === null`)

		call(t, ann, bob, "bob")
		l.NATA.Nft(t, "insert rule ip filter forw drop")
		idle(bob)
		run(bob, "Ann is gone", `document.getElementById("user-ann") === null`)
		erin := login(b, "erin")
		call(t, erin, bob, "bob")
	})
}

// Each kind of page once more, from Chromium to Firefox and back through the relay.
func TestPagesOfOtherServersInFirefox(t *testing.T) {
	besideOthers(t)
	root := bundle(t)
	write(t, root, videoPage("apprtc"), "apprtc.js")
	tutorials(t, root, "codelab")
	l := lab.New(t, lab.Symmetric, lab.Symmetric)
	server := lab.StartServer(t, l.Server, lab.Config, "--set", "web.root="+root, "--set", "signal.heartbeat=2s")
	chromium := lab.StartBrowser(t, l.A, lab.BrowserOptions{})
	firefox := lab.StartBrowser(t, l.B, lab.BrowserOptions{Engine: lab.Firefox})
	for _, each := range []struct {
		page, ready string
		call        func(ann, bob *lab.Page) // ann has come first, from Chromium
		leave, over string                   // how Firefox leaves, and what Chromium notices
	}{
		{"apprtc.html?it=relay#tea", `app.pc && app.ws`, func(_, _ *lab.Page) {}, `app.hangUp()`,
			`app.log.includes("bye")`},
		{"codelab.html#tea", `app.ready`, func(_, _ *lab.Page) {}, `app.leave()`, `!app.pc && app.isInitiator`},
		{"chat.html", `app.ready`, func(ann, bob *lab.Page) {
			for name, p := range map[string]*lab.Page{"ann": ann, "bob": bob} {
				p.Fill("#name", name)
				p.Click("#login")
			}
			run(bob, "Ann is in the list", `document.getElementById("user-ann") !== null`)
			bob.Click("#user-ann")
		}, `document.getElementById("hang-up").click()`, `!document.body.dataset.call`},
		{"peerjs.html", `app.ready`, func(ann, bob *lab.Page) {
			run(ann, "Ann has her id", `(app.opened ??= app.open("ann")).then(id => id === "ann")`)
			run(bob, "Bob has his id", `(app.opened ??= app.open("bob")).then(id => id === "bob")`)
			bob.Eval(`app.call("ann"), 0`, nil)
		}, `app.media.close()`, `labPeerConnections.every(pc => pc.connectionState == "closed")`},
	} {
		t.Run(each.page[:strings.Index(each.page, ".")], func(t *testing.T) {
			open := func(in *lab.Browser) *lab.Page {
				p := in.Open(server.HTTPS+"/"+each.page, lab.PageOptions{})
				p.Expect(`WebSocket|ERR_`)
				p.Await(20*time.Second, "the page is ready", `window.app && `+each.ready)
				return p
			}
			ann, bob := open(chromium), open(firefox)
			each.call(ann, bob)
			for name, p := range map[string]*lab.Page{"Chromium": ann, "Firefox": bob} {
				if f := watch(t, p, 1)[0]; !f.relayedOnly() {
					t.Errorf("%s is connected %+v, not through a relay", name, f)
				}
			}
			bob.Eval(each.leave+`, 0`, nil)
			run(ann, "who stays hears of it", each.over)
			ann.Close()
			bob.Close()
		})
	}
}

// A browser on the SDK's calls, as /call's pages are, and a page that calls by name meet.
func TestCallByNameMeetsTheSDK(t *testing.T) {
	besideOthers(t)
	root := bundle(t)
	l := lab.New(t, lab.Symmetric, lab.Symmetric)
	server := lab.StartServer(t, l.Server, lab.Config, "--set", "web.root="+root)
	ann := lab.StartBrowser(t, l.A, lab.BrowserOptions{}).Open(server.HTTPS+"/chat.html", lab.PageOptions{})
	ann.Await(20*time.Second, "the page is ready", `window.app?.ready`)
	ann.Fill("#name", "ann")
	ann.Click("#login")
	run(ann, "Ann is in", `document.body.dataset.name === "ann"`)
	bob := client(lab.StartBrowser(t, l.B, lab.BrowserOptions{}), server, "bob")

	run(bob, "Ann has accepted", `lab.session.call("ann", { stream: lab.stream }).then(call => `+
		`lab.watch(call).peer.user == "ann")`)
	watch(t, bob, 1)
	watch(t, ann, 1)
	run(bob, "Bob hangs up", `(lab.group.hangup(), true)`)
	run(ann, "the call is over", `!document.body.dataset.call`)

	// The list has only those who are in the lobby.
	ann.Eval(`app.invite("bob"), 0`, nil)
	watch(t, ann, 1)
	watch(t, bob, 1)
	ann.Click("#hang-up")
	run(bob, "the call is over", `lab.events.at(-1) == "closed"`)
}
