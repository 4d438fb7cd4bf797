package apprtc

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"

	"signalbox/signal"
)

// An id that /join gives out is all that a client shows: nobody may find it by trying.
func TestAttackGuess(t *testing.T) {
	t.Parallel()
	b := start(t, signal.Options{}, nil)
	id, _ := b.enter("r")
	if len(id) < 20 || strings.Trim(id, "0123456789") != "" { // log10(2^64) is 19.3
		t.Errorf("%q is easily guessed, or isn't digits as in the original", id)
	}
}

// The link is for others: it has no token of the client's own.
func TestAttackLinkKeepsTheToken(t *testing.T) {
	t.Parallel()
	b := start(t, signal.Options{}, nil)
	for _, query := range []string{
		"hd=true&token=hunter2&it=relay", "token=hunter2&hd=true&it=relay",
		"hd=true&it=relay&tok%65n=hunter2&token=hunter2",
	} {
		_, j := b.enter("r" + fmt.Sprint(len(query)) + "?" + query)
		got := queryOf(t, j.Params.Link)
		if strings.Contains(j.Params.Link, "hunter2") || got.Get("hd") != "true" || got.Get("it") != "relay" {
			t.Errorf("%s: got %s", query, j.Params.Link)
		}
		if queryOf(t, j.Params.WSS).Get("token") != "hunter2" {
			t.Errorf("got %s", j.Params.WSS)
		}
	}
	if _, j := b.enter("r?token=hunter2"); !strings.HasSuffix(j.Params.Link, "/r/r") {
		t.Errorf("got %s", j.Params.Link)
	}
}

// Who comes back by an id that its client has made up shows a token, too, where the hub asks for
// one: others may know the id.
func TestAttackTakeOverWithoutAToken(t *testing.T) {
	t.Parallel()
	b := start(t, signal.Options{Guard: guard{}}, nil)
	register := func(query string) *socket {
		c := b.dial("/collider/ws" + query)
		c.send(map[string]string{"cmd": "register", "roomid": "r", "clientid": "7"})
		return c
	}
	owner := register("?token=word")
	owner.settle()
	owner.cut()
	eventually(t, "it is lost", func() bool { return b.hub.Summary().Counters.Lost == 1 })
	register("").fails("you are not allowed")
	register("?token=wrong").fails("you are not allowed")
	register("?token=word").settle()
}

// What is said to a client whose join is being answered is not in the answer, and comes in
// Collider's form.
func TestSaidDuringTheAnswer(t *testing.T) {
	t.Parallel()
	b := start(t, signal.Options{}, nil)
	first, _ := b.enter("r")
	c := &client{server: b.Server, room: "r"}
	c.bare.Store(true)
	b.desk.give(c)
	session, err := b.hub.Open(c, signal.Client{Source: netip.MustParseAddr("192.0.2.1")}, signal.Hello{}, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	b.desk.settle(c, session)
	if err = joinOrEnd(session, func() error { return session.Join(signal.Join{Room: "r"}) }); err != nil {
		t.Fatal(err)
	}
	b.say("r", first, "1", "SUCCESS")
	if got := session.Take(); len(got) != 1 || string(got[0].Body) != "1" {
		t.Errorf("the answer has %v", got)
	}
	b.say("r", first, "2", "SUCCESS") // between the two halves of the step
	c.bare.Store(false)
	b.say("r", first, "3", "SUCCESS")
	second := b.dial("/collider/ws")
	second.send(map[string]string{"cmd": "register", "roomid": "r", "clientid": c.id})
	second.expect("2", "3")
}

// Who is asked for less is told so, in other words than one whose client reads nothing.
func TestAttackTooOftenIsNotTooMuch(t *testing.T) {
	t.Parallel()
	b := start(t, signal.Options{Rate: 1}, nil)
	for n := range 12 {
		_, text := b.call("POST", "/collider/q/7", "x")
		if strings.Contains(text, errQueue.Error()) {
			t.Errorf("message %d: got %q", n, text)
		}
	}
	b = start(t, signal.Options{SessionsPerSource: 1}, nil)
	b.call("POST", "/collider/q/7", "x")
	if _, text := b.call("POST", "/collider/q/8", "x"); strings.Contains(text, errQueue.Error()) ||
		!strings.Contains(text, "no more sessions") {
		t.Errorf("got %q", text)
	}
}

// What waits for a client is bounded in bytes, too, and a source has no more clients than it may.
func TestAttackQueuedBytes(t *testing.T) {
	t.Parallel()
	b := start(t, signal.Options{SessionsPerSource: 2}, nil)
	large := strings.Repeat("x", 60_000)
	fill := func(path string) (n int) {
		for n = range 100 {
			if got, _ := b.call("POST", path, large); got.StatusCode != http.StatusOK {
				return n
			}
		}
		return n
	}
	if n := fill("/collider/q/7"); n < 1 || n > 8 {
		t.Errorf("%d messages of 60 kB wait for whoever comes", n)
	}
	b.enter("q")
	if got, text := b.call("POST", "/collider/q3/7", "x"); got.StatusCode != http.StatusInternalServerError {
		t.Errorf("a third client of the source: got %s %q", got.Status, text)
	}
	// For one that is there and has not registered 2 MiB may wait, at which it has left, and then
	// some again for whoever comes.
	if n := fill("/collider/q/7"); n < 1 || n > 2<<20/60_000+8 || b.members("q") != 1 {
		t.Errorf("%d more wait for the other", n)
	}
}

// Many joins of one source take its own places, and nobody else's; rooms are free again.
func TestAttackJoinFlood(t *testing.T) {
	t.Parallel()
	from := func(r *http.Request) netip.Addr {
		if r.URL.Query().Has("other") {
			return netip.MustParseAddr("198.51.100.1")
		}
		return netip.MustParseAddr("192.0.2.1")
	}
	b := start(t, signal.Options{SessionsPerSource: 8, Sessions: 100, Source: from},
		func(d *times) { d.Register = 500 * time.Millisecond })
	let := 0
	for n := range 200 {
		if b.join(fmt.Sprint("r", n%4)).Result == "SUCCESS" {
			let++
		}
	}
	if let < 8 || let > 64 {
		t.Errorf("%d of 200 joins are let in", let)
	}
	b.enter("mine?other")
	eventually(t, "who never registered has left", func() bool { return b.hub.Summary().Members == 0 })
	if j := b.join("r0?other"); j.Result != "SUCCESS" || j.Params.Initiator != "true" {
		t.Errorf("got %+v", j)
	}
}

// A page that may talk to the box may read every answer of it.
func TestAnswersAreReadable(t *testing.T) {
	t.Parallel()
	const page = "https://page.example"
	b := start(t, signal.Options{AllowedOrigins: []string{page}}, nil)
	id, _ := b.enter("r")
	for _, path := range []string{
		"/message/r/" + id, "/message/r/7", "/message/none/7", "/leave/r/" + id, "/leave/r/7", "/join/r",
		"/collider/r/7",
	} {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, b.web.URL+path,
			strings.NewReader(strings.Repeat("x", 70_000)))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Origin", page)
		got, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		got.Body.Close()
		if may := got.Header.Get("Access-Control-Allow-Origin"); may != page && may != "*" {
			t.Errorf("%s: %s, for %q", path, got.Status, may)
		}
	}
}

// openws counts connections, and not those who never had one, or have lost it.
func TestAttackStatus(t *testing.T) {
	t.Parallel()
	b := start(t, signal.Options{}, nil)
	open := func() (in struct{ OpenWS, TotalWS int }) {
		t.Helper()
		_, text := b.call("GET", "/collider/status", "")
		if err := json.Unmarshal([]byte(text), &in); err != nil {
			t.Fatal(err)
		}
		return in
	}
	id, _ := b.enter("r")
	if n := open().OpenWS; n != 0 {
		t.Errorf("%d connections of one who only joined", n)
	}
	c := b.register("r", id)
	if n := open().OpenWS; n != 1 {
		t.Errorf("%d connections of one who registered", n)
	}
	c.cut()
	eventually(t, "the connection is gone", func() bool { return open().OpenWS == 0 })
	if in := open(); in.TotalWS != 1 || b.members("r") != 1 {
		t.Errorf("got %+v, %d members", in, b.members("r"))
	}
}

// The constraints that a query asks for, as AppRTC's room server made them.
func TestConstraints(t *testing.T) {
	t.Parallel()
	b := start(t, signal.Options{}, nil)
	for n, c := range []struct{ query, media, connection string }{
		{"", `{"audio":true,"video":true}`, `{"optional":[]}`},
		{"audio=TRUE&video=False", `{"audio":true,"video":false}`, `{"optional":[]}`},
		{
			"audio=googEchoCancellation=false&video=minWidth=1280,optional:minHeight=720,mandatory:googX=1,junk",
			`{"audio":{"mandatory":{},"optional":[{"googEchoCancellation":"false"}]},` +
				`"video":{"mandatory":{"googX":"1","minWidth":"1280"},"optional":[{"minHeight":"720"}]}}`,
			`{"optional":[]}`,
		},
		{
			"dtls=true&dscp=False&ipv6=maybe&firefox_fake_device=1", `{"audio":true,"fake":true,"video":true}`,
			`{"optional":[{"DtlsSrtpKeyAgreement":true},{"googDscp":false}]}`,
		},
		{"ipv6=false", `{"audio":true,"video":true}`, `{"optional":[{"googIPv6":false}]}`},
	} {
		_, j := b.enter(fmt.Sprint("r", n, "?", c.query))
		compact := func(text string) string {
			var v any
			if err := json.Unmarshal([]byte(text), &v); err != nil {
				t.Fatal(err)
			}
			got, _ := json.Marshal(v)
			return string(got)
		}
		if got := compact(j.Params.Media); got != c.media {
			t.Errorf("%s: got %s", c.query, got)
		}
		if got := compact(j.Params.Constraints); got != c.connection {
			t.Errorf("%s: got %s", c.query, got)
		}
	}
}
