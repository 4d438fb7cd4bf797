package admin

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"signalbox/internal/state"
	"signalbox/internal/status"
	"signalbox/internal/trouble"
	"signalbox/internal/usage"
	"signalbox/signal"
)

// Of events that nobody takes only the last one waits, and the one who makes them never does.
func TestSlowReadersGetTheLatest(t *testing.T) {
	t.Parallel()
	var f feed
	join := func(token string) chan []byte {
		events, _ := f.join(token)
		return events
	}
	slow := join("0")
	for i := range 1000 {
		f.publish(fmt.Append(nil, i))
	}
	if got := string(<-slow); got != "999" {
		t.Errorf("got event %s", got)
	}
	for i := range maxReaders - 1 {
		if join(fmt.Sprint((i+1)/readersEach)) == nil {
			t.Fatal("there is room for more readers")
		}
	}
	if _, no := f.join("other"); no != TooManyPages {
		t.Error("readers are not bounded")
	}
	for i := range readersEach + 1 {
		if events := join(owner); (events != nil) != (i < readersEach) {
			t.Errorf("the owner's reader %d is let in: %t", i, events != nil)
		}
	}
	f.leave(slow)
	if join("1") != nil {
		t.Error("one token has more places than are its own")
	}
	next := join("0")
	if next == nil {
		t.Fatal("the place of who has left is not free")
	}
	f.close()
	if _, open := <-next; open {
		t.Error("the feed goes on after its end")
	}
	if _, no := f.join("0"); no != GoingDown {
		t.Errorf("after its end: %q", no)
	}
}

// The history has a point every ten seconds, and no more than those of an hour.
func TestHistoryHasAnHour(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a := box(nil)
		began := time.Now()
		a.o.Vitals = func() *status.Vitals {
			v := &status.Vitals{Hub: signal.Summary{Sessions: 3}}
			v.TURN.Relayed.FromClientBytes = 1000 * uint64(time.Since(began)/time.Second)
			v.TURN.Counts = []status.Count{{N: 2}, {N: 5}}
			return v
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan bool)
		go func() {
			a.Run(ctx)
			close(done)
		}()
		time.Sleep(2*time.Hour + time.Second)
		cancel()
		<-done
		all := a.history.after(0)
		if len(all) != points {
			t.Fatalf("%d points", len(all))
		}
		last := all[points-1]
		if last.Relayed != 1000 || last.Allocations != 7 || last.Sessions != 3 {
			t.Errorf("%+v", last)
		}
		if span := last.At - all[0].At; span != (points-1)*10_000 {
			t.Errorf("the points are %d ms apart", span/(points-1))
		}
		if got := a.history.after(all[points-3].At); len(got) != 2 {
			t.Errorf("after the third but last there are %d", len(got))
		}
	})
}

// The feed sends numbers once a second until its token is taken back.
func TestFeed(t *testing.T) {
	t.Parallel()
	a := box(nil)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan bool)
	go func() {
		a.Run(ctx)
		close(done)
	}()
	mux := http.NewServeMux()
	for pattern, h := range a.Routes() {
		mux.Handle(pattern, h)
	}
	srv := httptest.NewServer(mux)
	defer srv.Close()
	defer func() {
		cancel()
		<-done
	}()
	req, err := http.NewRequestWithContext(ctx, "GET", srv.URL+"/api/admin/events", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+looking)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	lines := bufio.NewScanner(resp.Body)
	lines.Buffer(nil, 1<<20)
	if lines.Scan(); lines.Text() != "retry: 250" {
		t.Errorf("the feed begins with %q", lines.Text())
	}
	var at int64
	for range 2 {
		for lines.Scan() && lines.Text() == "" {
		}
		var l Live
		if err := json.Unmarshal([]byte(strings.TrimPrefix(lines.Text(), "data: ")), &l); err != nil || l.At <= at ||
			len(l.Limits) != 1 || l.Limits[0].Max != 1000 {
			t.Fatalf("%q: %v", lines.Text(), err)
		}
		at = l.At
	}
	a.Apply(nil)
	for lines.Scan() {
	}
}

// Each reason for which nobody follows has its own words.
func TestFeedSaysWhyNot(t *testing.T) {
	t.Parallel()
	a := box(nil)
	for range readersEach {
		a.feed.join(owner)
	}
	for _, want := range []string{`"too-many-pages","message":"the feed has too many readers"`,
		`"shutting-down","message":"the box is going down"`} {
		w := send(a, "GET", "/api/admin/events", "", "Authorization", "Bearer "+token)
		if w.Code != http.StatusServiceUnavailable || !strings.Contains(w.Body.String(), want) {
			t.Errorf("%d %s lacks %s", w.Code, w.Body, want)
		}
		a.feed.close()
	}
}

// What the self-test has found is told in the words of each language.
func TestLiveHasTroublesInWords(t *testing.T) {
	t.Parallel()
	a := box(nil)
	v := &status.Vitals{}
	v.SelfTest.Faults = []status.Fault{{Code: trouble.DiskFull, Detail: "2 MB are free", Since: 7}}
	text, err := json.Marshal(a.live(time.Now(), v))
	if err != nil {
		t.Fatal(err)
	}
	row, _ := trouble.Of(trouble.DiskFull)
	for _, want := range []string{`"troubles":[{"code":"disk-full","detail":"2 MB are free","since":7,`,
		fmt.Sprintf(`"what":{"en":%q,"zh-CN":%q},"fix":{"en":%q,"zh-CN":%q}}]`,
			row.EN.What, row.ZH.What, row.EN.Fix, row.ZH.Fix)} {
		if !strings.Contains(string(text), want) {
			t.Errorf("%s lacks %s", text, want)
		}
	}
}

// What warns or refuses is kept, whatever the log's level, and what is secret is not.
func TestLinesOfTheLog(t *testing.T) {
	t.Parallel()
	a := box(nil)
	log := a.o.Log.With("part", "turn")
	log.Info("all is well")
	log.Info("turn request refused", "code", 486, "key", state.Secret("hunter2"))
	log.Warn(strings.Repeat("ü", maxLine))
	got := a.o.Lines.after(0)
	if len(got) != 2 || got[0].Text != `msg="turn request refused" part=turn code=486 key=[secret]` || got[0].N != 1 ||
		got[1].Level != "warn" || len(got[1].Text) > maxLine+len("…") {
		t.Errorf("%+v", got)
	}
	for range 2 * maxLines {
		log.Warn("entry refused")
	}
	if got := a.o.Lines.after(0); len(got) != maxLines+1 || got[0].N != 2 {
		t.Errorf("%d lines, the first %+v: refusals have pushed a warning out", len(got), got[0])
	}
	for range 2 * maxLines {
		log.Error("again")
	}
	if got := a.o.Lines.after(0); len(got) != 2*maxLines || got[2*maxLines-1].N != a.o.Lines.last() {
		t.Errorf("%d lines, the last %d", len(got), a.o.Lines.last())
	}
	var none *Lines
	if len(none.after(0)) > 0 || none.last() > 0 {
		t.Error("nil keeps lines")
	}
	if !slog.New((&Lines{}).Tee(slog.DiscardHandler)).Enabled(t.Context(), slog.LevelInfo) {
		t.Error("refusals are not heard where the log is off")
	}
}

// full is a status with so many rooms of four, each member with an allocation.
func full(rooms int) (s status.Status) {
	for i := range rooms {
		r := signal.RoomSnapshot{Room: fmt.Sprintf("room %03d", i)}
		for j := range 4 {
			id := fmt.Sprintf("peer-%d-%d", i, j)
			r.Members = append(r.Members, signal.MemberSnapshot{ID: id, Name: fmt.Sprintf("Name %d %d", i, j),
				Source: netip.AddrFrom4([4]byte{192, 0, byte(i), byte(j)})})
			s.TURN.Allocations = append(s.TURN.Allocations, status.Allocation{ID: id, User: "1:" + id,
				FromClientBytes: uint64(i), CreatedAt: int64(-i)})
		}
		s.Signal.Rooms = append(s.Signal.Rooms, r)
	}
	return s
}

func TestListsHavePages(t *testing.T) {
	t.Parallel()
	a := box(nil)
	whole := full(30)
	a.o.Status = func() status.Status { return whole }
	get := func(path string, into any) {
		t.Helper()
		w := send(a, "GET", "/api/admin/"+path, "", "Authorization", "Bearer "+looking)
		if err := json.Unmarshal(w.Body.Bytes(), into); err != nil || w.Code != http.StatusOK {
			t.Fatalf("%s: %d %s", path, w.Code, w.Body)
		}
	}
	var rooms RoomList
	get("rooms?limit=10&offset=25", &rooms)
	if rooms.Total != 30 || rooms.Offset != 25 || len(rooms.Rooms) != 5 || rooms.Rooms[0].Room != "room 025" {
		t.Errorf("rooms: %+v", rooms)
	}
	get("rooms?search=NAME+7+2", &rooms)
	if len(rooms.Rooms) != 1 || rooms.Rooms[0].Members != 4 || len(rooms.Rooms[0].People) != 1 ||
		len(rooms.Rooms[0].People[0].Allocations) != 1 {
		t.Errorf("one of a name: %+v", rooms)
	}
	get("rooms?search=room+007", &rooms)
	if len(rooms.Rooms) != 1 || len(rooms.Rooms[0].People) != 4 {
		t.Errorf("one room: %+v", rooms)
	}
	var allocations AllocationList
	get("allocations?limit=3", &allocations)
	if allocations.Total != 120 || len(allocations.Allocations) != 3 || allocations.Allocations[0].Room != "room 029" {
		t.Errorf("allocations: %+v", allocations)
	}
	get("allocations?outside=true", &allocations)
	if allocations.Total != 0 {
		t.Errorf("allocations of no room: %+v", allocations)
	}
	get("allocations?search=192.0.2.99", &allocations)
	if allocations.Total != 0 || allocations.Allocations == nil {
		t.Errorf("allocations of nobody: %+v", allocations)
	}
	var all SessionList
	get("sessions", &all)
	if all.Total != 1 || all.Sessions[0].User != "bob" {
		t.Errorf("sessions: %+v", all)
	}
	a.o.Usage = &usage.Ledger{}
	for _, wrong := range []string{"rooms?sort=size", "rooms?limit=0", "rooms?limit=1000", "rooms?offset=-1",
		"allocations?serach=x",
		"rooms?outside=true", "usage?serach=x", "history?after=x", "log?after=-1", "log?before=1"} {
		if w := send(a, "GET", "/api/admin/"+wrong, "", "Authorization", "Bearer "+looking); w.Code != 400 {
			t.Errorf("%s: %d", wrong, w.Code)
		}
	}
}

// walks counts how often the hub's sessions are gone through.
type walks struct {
	sessions
	n int
}

func (h *walks) Kick(match func(signal.Kicked) bool) []signal.Kicked {
	h.n++
	return h.sessions.Kick(match)
}

// The hub goes through its sessions under its lock: once a second, however many ask for them.
func TestSessionsAreOfTheSecondsSnapshot(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a := box(nil)
		hub := &walks{sessions: sessions{{ID: "1", User: "bob"}, {ID: "2", User: "ann"}}}
		a.o.Hub = hub
		for range 3 {
			for _, query := range []string{"", "?search=bob", "?sort=rate"} {
				w := send(a, "GET", "/api/admin/sessions"+query, "", "Authorization", "Bearer "+looking)
				if w.Code != http.StatusOK || !strings.Contains(w.Body.String(), `"user":"bob"`) ||
					strings.Contains(w.Body.String(), "ann") != (query != "?search=bob") {
					t.Errorf("%q: %d %s", query, w.Code, w.Body)
				}
			}
			time.Sleep(liveEvery)
		}
		send(a, "GET", "/api/admin/rooms", "", "Authorization", "Bearer "+looking)
		if hub.n != 3 {
			t.Errorf("%d times in three seconds", hub.n)
		}
	})
}

// rooms is a hub that has one room, with whoever is not kicked in it.
type rooms struct {
	members []signal.MemberSnapshot
	closed  bool
	changed func()
}

func (h *rooms) Kick(match func(signal.Kicked) bool) (gone []signal.Kicked) {
	h.members = slices.DeleteFunc(h.members, func(m signal.MemberSnapshot) bool {
		k := signal.Kicked{ID: m.ID, User: m.User}
		if !match(k) {
			return false
		}
		gone = append(gone, k)
		return true
	})
	return gone
}

func (h *rooms) Room(string) (signal.RoomSnapshot, bool) {
	return signal.RoomSnapshot{Room: "room", Members: slices.Clone(h.members)}, !h.closed
}

func (h *rooms) CloseRoom(string) error {
	h.closed = true
	h.changed()
	return nil
}

// Who was told that somebody is kicked or a room is closed does not see them again, and rates are
// over a second still.
func TestListsShowWhatWasDone(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a, began := box(nil), time.Now()
		hub := &rooms{members: []signal.MemberSnapshot{{ID: "1", User: "bob"}, {ID: "2", User: "ann"}},
			changed: a.Changed}
		a.o.Hub, a.o.Rooms = hub, hub
		a.o.Member = func(string) (string, netip.Addr, bool) { return "", netip.Addr{}, false }
		a.o.Status = func() (s status.Status) {
			if room, ok := hub.Room(""); ok {
				s.Signal.Rooms = []signal.RoomSnapshot{room}
			}
			s.TURN.Allocations = []status.Allocation{{ID: "a", User: "1:2",
				FromClientBytes: 1000 * uint64(time.Since(began)/(100*time.Millisecond))}}
			return s
		}
		listed := func(list string) string {
			return send(a, "GET", "/api/admin/"+list, "", "Authorization", "Bearer "+looking).Body.String()
		}
		act := func(what, body string) {
			w := send(a, "POST", "/api/admin/"+what, body, "Authorization", "Bearer "+token)
			if w.Code != http.StatusOK {
				t.Fatalf("%s: %d %s", what, w.Code, w.Body)
			}
		}
		listed("sessions")
		time.Sleep(liveEvery)
		if got := listed("sessions"); !strings.Contains(got, "bob") {
			t.Errorf("before: %s", got)
		}
		time.Sleep(liveEvery / 2)
		act("kick", `{"peer":"1"}`)
		if got := listed("sessions"); strings.Contains(got, "bob") || !strings.Contains(got, "ann") {
			t.Errorf("after the kick: %s", got)
		}
		if got := listed("allocations"); !strings.Contains(got, `"rate":{"fromClient":10000,"toClient":0}`) {
			t.Errorf("after the kick: %s", got)
		}
		if got := listed("rooms"); !strings.Contains(got, `"members":1`) {
			t.Errorf("after the kick: %s", got)
		}
		act("close", `{"room":"room"}`)
		if got := listed("rooms"); !strings.Contains(got, `"total":0`) {
			t.Errorf("after the close: %s", got)
		}
		for range 4 * rateWithin / liveEvery { // somebody is put out all the time
			time.Sleep(liveEvery / 2)
			a.Changed()
			if got := listed("allocations"); !strings.Contains(got, `"rate":{"fromClient":10000,"toClient":0}`) {
				t.Fatalf("after %v of changes: %s", time.Since(began), got)
			}
		}
	})
}

// BenchmarkRooms1000 is what a page of rooms costs a box with a thousand relayed sessions, once a
// second at most; the components' own snapshots come on top.
func BenchmarkRooms1000(b *testing.B) {
	a := box(nil)
	whole := full(250)
	a.o.Status = func() status.Status { return whole }
	for b.Loop() {
		a.shots.last = nil
		if w := send(a, "GET", "/api/admin/rooms", "", "Authorization", "Bearer "+looking); w.Code != 200 {
			b.Fatal(w.Code)
		}
	}
}
