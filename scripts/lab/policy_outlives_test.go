//go:build linux

package lab_test

import (
	"encoding/json"
	"net/http"
	"testing"
	"time"

	"signalbox/scripts/lab"
)

// The relay opens a call's paths because the hub says who is in the room. When
// the hub hears nothing more of somebody, the call has to go on.
func TestCallOutlivesSignaling(t *testing.T) {
	besideOthers(t)
	const cut = 8 * time.Second // the hub gives Ann up after 2.4 + 3 s
	l := lab.New(t, lab.Symmetric, lab.Symmetric, lab.GlobalAddresses)
	server := lab.StartServer(t, l.Server, policyConfig(l, "room"), "--set", "admin.token="+statusToken,
		"--set", "signal.heartbeat=1s", "--set", "signal.resume=3s")
	ann := enter(lab.StartBrowser(t, l.A, lab.BrowserOptions{}), server, "Ann", "", lab.PageOptions{})
	bo := enter(lab.StartBrowser(t, l.B, lab.BrowserOptions{}), server, "Bo", "", lab.PageOptions{})
	ann.Expect(`ERR_(CONNECTION|TIMED_OUT|NETWORK|INTERNET)|WebSocket`) // that is what is done to her
	for name, p := range map[string]*lab.Page{"Ann": ann, "Bo": bo} {
		if f := watch(t, p, 1)[0]; !f.relayed() {
			t.Fatalf("%s is connected %+v, not through a relay", name, f)
		}
	}
	before := allocations(t, l, server)

	mend := cutPages(t, l.NATA)
	during := map[string]*progress{"Ann": {page: ann}, "Bo": {page: bo}}
	observe(during, cut)
	var reached bool
	ann.Eval(`fetch("/version", { cache: "no-store", signal: AbortSignal.timeout(2000) }).then(() => true, () => `+
		`false)`, &reached)
	if reached {
		t.Fatal("Ann reaches the server: nothing was cut")
	}
	for name, p := range during {
		t.Logf("while Ann is cut off, %s decodes %d frames; the longest pause is %v", name, p.frames,
			p.pause.Round(10*time.Millisecond))
		if p.pause > 3*time.Second {
			t.Errorf("%s's video stopped for %v", name, p.pause)
		}
	}
	after := allocations(t, l, server)
	for id, a := range before {
		if len(after[id]) < len(a) {
			t.Errorf("an allocation with permissions for %v has %v after %v without signaling", a, after[id], cut)
		}
	}

	mend()
	afterwards := map[string]*progress{"Ann": {page: ann}, "Bo": {page: bo}}
	observe(afterwards, 5*time.Second)
	for name, p := range afterwards {
		t.Logf("once she is back, %s decodes %d frames; the longest pause is %v", name, p.frames,
			p.pause.Round(10*time.Millisecond))
		if p.frames == 0 || p.pause > 10*time.Second {
			t.Errorf("%s's video stopped for %v", name, p.pause)
		}
		if state := p.page.Attr("body", "data-state"); state != "in-call" {
			t.Errorf("%s's page is %q", name, state)
		}
	}
}

// progress is how a page's video goes on.
type progress struct {
	page   *lab.Page
	frames int           // decoded since the first look
	pause  time.Duration // the longest time in which none was

	last  int
	since time.Time
}

// observe looks at pages for a while.
func observe(pages map[string]*progress, during time.Duration) {
	for until := time.Now().Add(during); time.Now().Before(until); time.Sleep(200 * time.Millisecond) {
		for _, p := range pages {
			p.look()
		}
	}
}

func (p *progress) look() {
	var got []flow
	p.page.Eval(flows, &got)
	total := 0
	for _, f := range got {
		total += f.Frames
	}
	now := time.Now()
	if p.since.IsZero() {
		p.last, p.since = total, now
	}
	p.pause = max(p.pause, now.Sub(p.since))
	if total == p.last {
		return
	}
	if total > p.last { // else a connection was replaced by another
		p.frames += total - p.last
	}
	p.last, p.since = total, now
}

const statusToken = "the-lab-looks-at-the-status"

// allocations returns the permissions of each, by id, as the box tells them.
func allocations(t *testing.T, l *lab.Lab, server *lab.Server) map[string][]string {
	t.Helper()
	permissions := map[string][]string{}
	for _, a := range status(t, l, server).TURN.Allocations {
		permissions[a.ID] = a.Permissions
	}
	return permissions
}

// sources returns the address of each member of a room, by name, as the box
// tells them.
func sources(t *testing.T, l *lab.Lab, server *lab.Server) map[string]string {
	t.Helper()
	sources := map[string]string{}
	for _, room := range status(t, l, server).Signal.Rooms {
		for _, m := range room.Members {
			sources[m.Name] = m.Source
		}
	}
	return sources
}

// boxStatus is what the lab wants to know of the box's status.
type boxStatus struct {
	TURN struct {
		Allocations []struct {
			ID, Relay                          string
			Permissions                        []string
			FromClientPackets, ToClientPackets int
		}
		Drops map[string]int
	}
	Signal struct {
		Rooms []struct {
			Members []struct{ Name, Source string }
		}
	}
}

// status asks a server that was started with statusToken.
func status(t *testing.T, l *lab.Lab, server *lab.Server) (s boxStatus) {
	t.Helper()
	request, err := http.NewRequest(http.MethodGet, server.Inside()+"/api/admin/status", nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Authorization", "Bearer "+statusToken)
	resp, err := l.Server.Client().Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if err := json.NewDecoder(resp.Body).Decode(&s); err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("status: %s: %v", resp.Status, err)
	}
	return s
}
