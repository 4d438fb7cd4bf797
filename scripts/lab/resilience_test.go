//go:build linux

package lab_test

import (
	"fmt"
	"testing"
	"time"

	"signalbox/internal/testkit"
	"signalbox/scripts/lab"
)

// What happens to connections, to addresses and to the box itself happens to
// calls that are going on. These tests run the SDK as an application does, in
// testdata/app.js; its window.app says what has become of it.

// startApp opens a page and has the application in it join room x.
func startApp(t *testing.T, b *lab.Browser, server *lab.Server, options string) *lab.Page {
	t.Helper()
	p := b.Open(server.HTTPS+"/", lab.PageOptions{})
	runApp(t, p, options)
	return p
}

func runApp(t *testing.T, p *lab.Page, options string) {
	t.Helper()
	p.Eval(fmt.Sprintf("(%s)(%s)", snippet(t, "app.js"), options), nil)
}

// A pair is two applications whose call goes on.
type pair struct {
	l       *lab.Lab
	server  *lab.Server
	ann, bo *lab.Page
}

// startPair has two applications call each other, through the box's relay or
// as directly as the NATs allow.
func startPair(t *testing.T, relayOnly bool, args ...string) *pair {
	t.Helper()
	l := lab.New(t, lab.PortRestricted, lab.PortRestricted, lab.GlobalAddresses)
	args = append([]string{"--set", "admin.token=" + statusToken}, args...)
	return startPairOf(t, l, lab.StartServer(t, l.Server, policyConfig(l, "room"), args...), relayOnly)
}

// startPairOf is startPair with a box.
func startPairOf(t *testing.T, l *lab.Lab, server *lab.Server, relayOnly bool) *pair {
	t.Helper()
	c := &pair{l: l, server: server}
	a, b := lab.StartBrowser(t, l.A, lab.BrowserOptions{}), lab.StartBrowser(t, l.B, lab.BrowserOptions{})
	c.ann = startApp(t, a, c.server, fmt.Sprintf(`{ name: "Ann", user: "ann", relayOnly: %t }`, relayOnly))
	c.bo = startApp(t, b, c.server, fmt.Sprintf(`{ name: "Bo", user: "bo", relayOnly: %t }`, relayOnly))
	for name, p := range c.pages() {
		p.Expect(`ERR_|WebSocket`) // what Chromium says of that which is done to it
		p.Await(15*time.Second, name+" is connected as this test wants it",
			fmt.Sprintf(`%s.then(all => all.length == 1 && (all[0].Local == "relay") == %t)`, flows, relayOnly))
		watch(t, p, 1)
		p.Eval("app.watch()", nil)
	}
	return c
}

func (c *pair) pages() map[string]*lab.Page {
	return map[string]*lab.Page{"Ann": c.ann, "Bo": c.bo}
}

// goOn lets the call go on until pages have shown that many pictures more.
func (c *pair) goOn(pictures int) {
	for name, p := range c.pages() {
		var before int
		p.Eval("app.pictures", &before)
		p.Await(20*time.Second, fmt.Sprintf("%s sees %d more pictures", name, pictures),
			fmt.Sprintf("app.pictures >= %d", before+pictures))
	}
}

// pictures fails the test if a page's picture has stood still for too long since
// the call was there.
func (c *pair) pictures(t *testing.T, most time.Duration) {
	t.Helper()
	for name, p := range c.pages() {
		var got struct{ Pictures, Stillness float64 }
		p.Eval("({ pictures: app.pictures, stillness: app.stillness() })", &got)
		still := time.Duration(got.Stillness * float64(time.Millisecond)).Round(10 * time.Millisecond)
		t.Logf("%s has seen %.0f pictures; the longest stood for %v", name, got.Pictures, still)
		if got.Pictures == 0 || still > most {
			t.Errorf("%s's picture stood still for %v", name, still)
		}
	}
}

// says returns what an application knows of itself.
func says(p *lab.Page) string {
	var said string
	p.Eval(`JSON.stringify({...app,
		session: { state: app.session.state, peerId: app.session.peerId, carrier: app.session.carrier },
		room: [...app.room.peers.values()].map(p => [p.id, p.state])})`, &said)
	return said
}

func holds(p *lab.Page, expression string) (yes bool) {
	p.Eval(expression, &yes)
	return yes
}

func (c *pair) peerIDs() (ids [2]string) {
	c.ann.Eval("app.session.peerId", &ids[0])
	c.bo.Eval("app.session.peerId", &ids[1])
	return ids
}

// talk broadcasts both ways and waits until each has heard the other, once.
func (c *pair) talk(t *testing.T, word string) {
	t.Helper()
	c.ann.Eval(fmt.Sprintf(`void app.room.broadcast("%s of Ann")`, word), nil)
	c.bo.Eval(fmt.Sprintf(`void app.room.broadcast("%s of Bo")`, word), nil)
	c.hear(t, word)
}

// hear waits until each has heard the other's word, and fails the test if that
// was more than once.
func (c *pair) hear(t *testing.T, word string) {
	t.Helper()
	for speaker, listener := range map[string]*lab.Page{"Ann": c.bo, "Bo": c.ann} {
		heard := fmt.Sprintf(`app.heard.filter(word => word == "%s of %s").length`, word, speaker)
		listener.Await(20*time.Second, speaker+" is heard", heard+" > 0")
		if !holds(listener, heard+" == 1") {
			t.Errorf("%s is heard more than once: %s", speaker, says(listener))
		}
	}
}

// A call goes on whatever happens to signaling, and signaling comes back by
// itself: with the same peers, and without a word lost or said twice.
func TestCallGoesOn(t *testing.T) {
	besideOthers(t)
	c := startPair(t, false, "--set", "signal.heartbeat=1s", "--set", "signal.room_capacity=2")
	ids := c.peerIDs()
	same := func(t *testing.T) {
		t.Helper()
		if now := c.peerIDs(); now != ids {
			t.Errorf("the peers were %v and are %v", ids, now)
		}
	}

	t.Run("signaling is cut", func(t *testing.T) {
		mend, cut := cutPages(t, c.l.NATA), time.Now()
		// The hub notices within 2.4 s; the page would within 11, and does within 3 when it is
		// looked at again.
		c.ann.Eval(`void document.dispatchEvent(new Event("visibilitychange"))`, nil)
		c.ann.Await(20*time.Second, "Ann notices", `app.session.state == "reconnecting"`)
		c.ann.Eval(`void app.room.broadcast("a word of Ann")`, nil)
		c.bo.Eval(`void app.room.broadcast("a word of Bo")`, nil)
		for time.Since(cut) < 20*time.Second {
			c.goOn(20)
		}
		for _, p := range c.pages() {
			if !holds(p, `app.heard.length == 0`) {
				t.Fatalf("nothing was cut: %s", says(p))
			}
		}
		mend()
		c.hear(t, "a word")
		c.talk(t, "another word")
		c.pictures(t, time.Second)
		same(t)
		if holds(c.ann, `app.resumed == 0 || app.rejoined > 0`) {
			t.Errorf("Ann's session was not resumed: %s", says(c.ann))
		}
	})

	t.Run("the box crashes", func(t *testing.T) {
		c.server.Kill(t)
		for name, p := range c.pages() {
			p.Await(10*time.Second, name+" notices", `app.session.state == "reconnecting"`)
		}
		c.goOn(20)
		c.server.Start(t)
		for name, p := range c.pages() {
			p.Await(30*time.Second, name+" is back", `app.session.state == "open" && app.rejoined > 0`)
		}
		c.talk(t, "a third word")
		c.goOn(60)
		c.pictures(t, time.Second)
		same(t)
		for name, p := range c.pages() {
			if !holds(p, `app.room.peers.size == 1 && labPeerConnections.length == 1`) {
				t.Errorf("%s does not have the one connection that there was: %s", name, says(p))
			}
		}
	})

	// The seat and the user name are those of the page before, though the room is full.
	t.Run("a page is loaded again", func(t *testing.T) {
		c.ann.Reload()
		runApp(t, c.ann, `{ name: "Ann", user: "ann" }`)
		watch(t, c.ann, 1)
		c.goOn(20)
		c.talk(t, "a last word")
		same(t)
		if !holds(c.bo, `app.room.peers.size == 1`) {
			t.Errorf("Bo knows of %s", says(c.bo))
		}
	})
}

// TestLongCredentialsExpireInACall has a call outlive its credentials, and find
// a new path with those that the hub has sent meanwhile.
func TestLongCredentialsExpireInACall(t *testing.T) {
	testkit.Long(t)
	c := startPair(t, true, "--set", "turn.credential_ttl=1m")
	var first int64
	c.ann.Eval(`app.first = app.session.iceExpiresAt`, &first)
	c.ann.Await(90*time.Second, "the first credentials are past", `Date.now() > app.first + 15_000`)
	c.ann.Eval(`labPeerConnections[0].addEventListener("icecandidate", ({ candidate }) => { if (candidate?.type == `+
		`"relay") app.relayed = true })`, nil)
	c.ann.Eval(`void [...app.room.peers.values()][0].restartIce()`, nil)
	c.ann.Await(15*time.Second, "Ann has a new relay", `app.relayed`)
	c.goOn(100)
	c.pictures(t, time.Second)
	for name, p := range c.pages() {
		if f := watch(t, p, 1)[0]; f.Local != "relay" {
			t.Errorf("after the restart, %s is connected %+v", name, f)
		}
	}
}

// Some proxies let no WebSocket through.
func TestCallWhereWebSocketsAreBlocked(t *testing.T) {
	besideOthers(t)
	l := lab.New(t, lab.Symmetric, lab.Symmetric, lab.GlobalAddresses)
	server := startBehindProxy(t, l)
	startNginx(t, l.Server, withoutWebSocket(t), "")
	server.HTTPS = "https://" + server.Host()
	ann := startApp(t, lab.StartBrowser(t, l.A, lab.BrowserOptions{}), server, `{ name: "Ann" }`)
	bo := lab.StartBrowser(t, l.B, lab.BrowserOptions{}).Open(server.HTTPS+"/call/x", lab.PageOptions{})
	for _, p := range []*lab.Page{ann, bo} {
		p.Expect("WebSocket") // Chromium says what it thinks of such proxies
	}
	knock(bo, "Bo")
	bo.Await(15*time.Second, "Bo is in the call", `document.body.dataset.state == "in-call"`)
	for name, p := range map[string]*lab.Page{"Ann": ann, "Bo": bo} {
		if f := watch(t, p, 1)[0]; !f.relayed() {
			t.Errorf("%s is connected %+v", name, f)
		}
	}
	if !holds(ann, `app.session.carrier == "sse"`) {
		t.Errorf("Ann's session is carried otherwise: %s", says(ann))
	}
	seenAtTheirNATs(t, l, server)
}

// cutPages drops what goes to the pages' ports at a router, both ways, until
// mend is called. The relay's ports are others.
func cutPages(t *testing.T, router *lab.Namespace) (mend func()) {
	t.Helper()
	router.Nft(t, `
add set ip filter cut { type inet_service; }
add element ip filter cut { 8080, 8443 }
insert rule ip filter forw tcp dport @cut drop
insert rule ip filter forw tcp sport @cut drop
`)
	return func() { router.Nft(t, "flush set ip filter cut") }
}
