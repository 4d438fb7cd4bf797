package signal_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"signalbox/signal"
)

// code is that of a refusal; empty if there is none.
func code(err error) signal.Code {
	if err == nil {
		return ""
	}
	return signal.RefusalOf(err).Code
}

func (b *box) keep(t testing.TB, plan signal.Plan) (fresh bool) {
	t.Helper()
	if plan.Expires.IsZero() {
		plan.Expires = time.Now().Add(time.Hour)
	}
	fresh, err := b.Keep(plan)
	if err != nil {
		t.Fatal(err)
	}
	return fresh
}

// A room that the operator's program makes stands without members, with its own capacity, and lets
// in whom its policy does.
func TestHub13KeptRoomHasAPolicy(t *testing.T) {
	t.Parallel()
	b := start(t, signal.Options{RoomCapacity: 8})
	if !b.keep(t, signal.Plan{Room: "tea", Capacity: 3, Policy: signal.PolicyInvited, Users: []string{"ada", "bob"}}) {
		t.Error("the room is not new")
	}
	shot, ok := b.Room("tea")
	if !ok || shot.Capacity != 3 || len(shot.Users) != 2 || shot.Policy != signal.PolicyInvited || shot.Expires == 0 {
		t.Errorf("there is %+v", shot)
	}
	ada, eve := b.hello(t, frame{"user": "ada"}), b.hello(t, frame{"user": "eve"})
	ada.send("join", frame{"room": "tea"})
	if f := ada.expect("joined"); f["capacity"] != 3.0 {
		t.Errorf("the capacity is not the plan's: %v", f)
	}
	eve.send("join", frame{"room": "tea"})
	eve.expectError(signal.CodeUnauthorized)
	nobody := b.hello(t, nil)
	nobody.send("join", frame{"room": "tea"})
	nobody.expectError(signal.CodeUnauthorized)

	if b.keep(t, signal.Plan{Room: "tea", Policy: signal.PolicyLocked}) {
		t.Error("the room is new again")
	}
	bob := b.hello(t, frame{"user": "bob"})
	bob.send("join", frame{"room": "tea"})
	bob.expectError(signal.CodeUnauthorized)
	ada.send("join", frame{"room": "tea"}) // who is in, is in
	if f := ada.expect("joined"); f["capacity"] != 8.0 {
		t.Errorf("the capacity is not the default: %v", f)
	}
	b.keep(t, signal.Plan{Room: "tea", Policy: signal.PolicyOpen})
	eve.send("join", frame{"room": "tea"})
	eve.expect("joined")
	ada.expect("peer-joined")

	for _, c := range []*peerConn{ada, eve} {
		c.send("leave", frame{"room": "tea"})
		c.settle()
	}
	if _, ok := b.Room("tea"); !ok {
		t.Error("the kept room has gone with its members")
	}
	if _, err := b.Keep(signal.Plan{Room: "a\u202eb"}); code(err) != signal.CodeBadFrame {
		t.Errorf("a name that deceives: %v", err)
	}
}

// A hall that the operator's program makes takes as many as one that its members open.
func TestKeptHallHasItsCapacity(t *testing.T) {
	t.Parallel()
	b := start(t, signal.Options{RoomCapacity: 2, Halls: map[string]signal.Hall{"hall": {Capacity: 10}}})
	for _, wish := range []struct {
		room           string
		capacity, want int
	}{{"hall", 0, 10}, {"hall", 3, 3}, {"hall", 0, 10}, {"tea", 0, 2}} {
		b.keep(t, signal.Plan{Room: wish.room, Capacity: wish.capacity})
		if shot, _ := b.Room(wish.room); shot.Capacity != wish.want {
			t.Errorf("of %+v the capacity is %d", wish, shot.Capacity)
		}
	}
}

// When its time is over, or at the operator's wish, a room ends: its members hear it, and their
// sessions go on.
func TestHub13RoomEnds(t *testing.T) {
	t.Parallel()
	told := &memberLog{}
	b := start(t, signal.Options{Members: told})
	ends := map[string]func(){
		"by expiry": func() { b.keep(t, signal.Plan{Room: "tea", Expires: time.Now().Add(time.Millisecond)}) },
		"by wish": func() {
			if err := b.CloseRoom("tea"); err != nil {
				t.Error(err)
			}
		},
	}
	for name, end := range ends {
		ada := b.join(t, "tea", "Ada")
		bob := b.join(t, "tea", "Bob")
		ada.expect("peer-joined")
		end()
		for _, c := range []*peerConn{ada, bob} {
			f := c.next()
			if f["type"] == "peer-left" {
				f = c.next()
			}
			if f["type"] != "left" || f["reason"] != "kicked" || f["room"] != "tea" {
				t.Errorf("%s: told %v", name, f)
			}
			told.await(t, "left tea "+c.id)
		}
		eventually(t, name+": the room is gone", func() bool { _, ok := b.Room("tea"); return !ok })
		ada.settle()
		bob.settle()
	}
	b.keep(t, signal.Plan{Room: "empty", Expires: time.Now().Add(time.Millisecond)})
	eventually(t, "the empty room is gone", func() bool { _, ok := b.Room("empty"); return !ok })
	if err := b.CloseRoom("tea"); code(err) != signal.CodeNoSuchRoom {
		t.Errorf("closed what isn't there: %v", err)
	}
}

// A kick from one room leaves the session and its other rooms alone.
func TestHub13EvictFromOneRoom(t *testing.T) {
	t.Parallel()
	told := &memberLog{}
	b := start(t, signal.Options{Members: told})
	ada := b.join(t, "tea", "Ada")
	ada.send("join", frame{"room": "milk"})
	ada.expect("joined")
	bob := b.join(t, "tea", "Bob")
	ada.expect("peer-joined")

	gone, err := b.Evict("tea", func(m signal.Member) bool { return m.ID == ada.id })
	if err != nil || len(gone) != 1 || gone[0].ID != ada.id {
		t.Fatalf("evicted %v: %v", gone, err)
	}
	if f := ada.expect("left"); f["reason"] != "kicked" {
		t.Errorf("told %v", f)
	}
	if f := bob.expect("peer-left"); f["reason"] != "kicked" {
		t.Errorf("the others are told %v", f)
	}
	told.await(t, "left tea "+ada.id)
	ada.send("broadcast", frame{"room": "tea", "data": 1})
	ada.expectError(signal.CodeNotInRoom)
	ada.send("broadcast", frame{"room": "milk", "data": 1})
	ada.send("join", frame{"room": "tea"})
	ada.expect("joined")
	if _, err := b.Evict("cocoa", func(signal.Member) bool { return true }); code(err) != signal.CodeNoSuchRoom {
		t.Errorf("evicted from nowhere: %v", err)
	}
}

// What the operator's program says arrives from "server", whom nobody can answer.
func TestHub13ServerSpeaks(t *testing.T) {
	t.Parallel()
	b := start(t, signal.Options{})
	ada := b.hello(t, frame{"user": "ada", "name": "server"})
	ada.send("join", frame{"room": "tea"})
	ada.expect("joined")
	for _, to := range []string{ada.id, "@ada"} {
		if err := b.Tell(to, []byte(`{"bell":3}`)); err != nil {
			t.Fatal(err)
		}
		f := ada.expect("signal")
		_, hasRoom := f["room"]
		_, hasPolite := f["polite"]
		if f["from"] != "server" || fmt.Sprint(f["data"]) != "map[bell:3]" || hasRoom || hasPolite {
			t.Errorf("%s gets %v", to, f)
		}
	}
	if err := b.TellRoom("tea", []byte(`"all"`)); err != nil {
		t.Fatal(err)
	}
	if f := ada.expect("broadcast"); f["from"] != "server" || f["room"] != "tea" || f["data"] != "all" {
		t.Errorf("the room gets %v", f)
	}
	if err := b.TellMember("tea", ada.id, []byte(`2`)); err != nil {
		t.Fatal(err)
	}
	if f := ada.expect("signal"); f["from"] != "server" || f["room"] != "tea" || f["data"] != 2.0 {
		t.Errorf("the member gets %v", f)
	}
	if err := b.TellMember("tea", "nobody", []byte(`2`)); code(err) != signal.CodeNoSuchPeer {
		t.Errorf("no member: %v", err)
	}
	for _, to := range []string{"@nobody", "nobody", "server"} {
		if err := b.Tell(to, []byte(`1`)); code(err) != signal.CodeNoSuchPeer {
			t.Errorf("%s: %v", to, err)
		}
	}
	if err := b.TellRoom("milk", []byte(`1`)); code(err) != signal.CodeNoSuchRoom {
		t.Errorf("a room that isn't there: %v", err)
	}
	ada.send("signal", frame{"to": "server", "data": 1})
	ada.expectError(signal.CodeNoSuchPeer)

}

// Nobody's session ends for what the server says to a client that doesn't read: the server pays
// like any sender.
func TestHub13ServerPays(t *testing.T) {
	t.Parallel()
	b := startNarrow(t, narrow, signal.Options{})
	b.hello(t, frame{"user": "ada"})
	slow := b.dialNarrow(t, narrow)
	slow.send("hello", frame{"user": "slow"})
	slow.expect("welcome")
	body := []byte(`"` + strings.Repeat("x", 60<<10) + `"`)
	for i := 0; ; i++ {
		err := b.Tell("@slow", body)
		if code(err) == signal.CodeRateLimited {
			break
		}
		if err != nil || i > 100 {
			t.Fatalf("message %d: %v", i, err)
		}
	}
	if err := b.Tell("@ada", []byte(`1`)); err != nil {
		t.Errorf("another pays: %v", err)
	}
}

// kinds is a batch in short.
func kinds(batch []signal.Happening) string {
	var out []string
	for _, h := range batch {
		out = append(out, fmt.Sprintf("%d %s %s%s%s %s", h.Number, h.Kind, h.Room, h.Peer.Name, h.Callee.Name,
			h.Reason))
	}
	return strings.Join(out, "\n")
}

// The journal has what happened, in order and numbered.
func TestHub13JournalTells(t *testing.T) {
	t.Parallel()
	j := signal.NewJournal(100)
	b := start(t, signal.Options{Journal: j, Calls: true})
	before := b.join(t, "before", "Zoe")
	j.Note(signal.Kinds()...)
	ada := b.join(t, "tea", "Ada")
	bob := b.hello(t, frame{"name": "Bob", "user": "bob"})
	bob.send("join", frame{"room": "tea"})
	bob.expect("joined")
	ada.expect("peer-joined")
	ada.send("signal", frame{"to": "@bob", "data": 1})
	ada.send("signal", frame{"to": "@bob", "data": 2})
	bob.expect("signal")
	ada.send("leave", frame{"room": "tea"})
	ada.settle()
	if _, err := b.Evict("tea", func(signal.Member) bool { return true }); err != nil {
		t.Fatal(err)
	}
	b.keep(t, signal.Plan{Room: "milk"})
	if err := b.CloseRoom("milk"); err != nil {
		t.Fatal(err)
	}
	want := `1 room-opened tea 
2 peer-joined teaAda 
3 peer-joined teaBob 
4 call-started AdaBob 
5 peer-left teaAda left
6 peer-left teaBob kicked
7 room-closed tea 
8 room-opened milk 
9 room-closed milk `
	if got := kinds(j.Take(100)); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	j.Note(signal.KindPeerLeft)
	before.send("bye", nil)
	before.expectClose(1000)
	eventually(t, "the only kind that is noted", func() bool { n, _ := j.Waiting(); return n == 1 })
	if got := kinds(j.Take(100)); got != "10 peer-left beforeZoe left" {
		t.Errorf("got %s", got)
	}
}

// A reader that takes nothing holds nobody up: the oldest entries are lost, and the numbers tell.
func TestHub13JournalIsBounded(t *testing.T) {
	t.Parallel()
	j := signal.NewJournal(4)
	j.Note(signal.Kinds()...)
	b := start(t, signal.Options{Journal: j})
	for i := range 5 {
		b.keep(t, signal.Plan{Room: fmt.Sprint("room ", i)})
	}
	if n, lost := j.Waiting(); n != 4 || lost != 1 {
		t.Errorf("%d wait, %d are lost", n, lost)
	}
	<-j.Ready()
	if batch := j.Take(3); len(batch) != 3 || batch[0].Number != 2 || batch[2].Number != 4 {
		t.Errorf("took\n%s", kinds(batch))
	}
	j.Note()
	if n, _ := j.Waiting(); n != 0 {
		t.Errorf("%d wait though nobody wants to know", n)
	}
}

// slowDoor lets everybody wait but those with a name.
type slowDoor struct {
	at    chan signal.Visitor
	admit chan error
}

func (d *slowDoor) Enter(ctx context.Context, v signal.Visitor) error {
	if v.Name != "" {
		return nil
	}
	d.at <- v
	select {
	case err := <-d.admit:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Who waits at the door holds up nobody else, and not the end of the hub.
func TestHub13DoorHoldsOneSessionOnly(t *testing.T) {
	t.Parallel()
	d := &slowDoor{at: make(chan signal.Visitor), admit: make(chan error)}
	b := start(t, signal.Options{Door: d})
	held := b.dial(t)
	held.send("hello", frame{"user": "held"})
	if v := <-d.at; v.User != "held" || !v.Source.IsLoopback() || v.Attested {
		t.Errorf("asked about %+v", v)
	}
	ada := b.join(t, "tea", "Ada") // others go on
	ada.settle()
	if b.Snapshot().Users != 0 {
		t.Error("the held session is known already")
	}
	d.admit <- nil
	held.expect("welcome")

	refused := b.dial(t)
	refused.send("hello", nil)
	<-d.at
	d.admit <- signal.Refuse(signal.CodeUnauthorized, "not today")
	if f := refused.expectError(signal.CodeUnauthorized); !strings.Contains(f.text("message"), "not today") {
		t.Errorf("told %v", f)
	}
	refused.expectClose(4502)
	failed := b.dial(t)
	failed.send("hello", nil)
	<-d.at
	d.admit <- errors.New("secret words")
	if f := failed.expectError(signal.CodeInternal); strings.Contains(f.text("message"), "secret") {
		t.Errorf("told %v", f)
	}
	last := b.dial(t)
	last.send("hello", nil)
	<-d.at // and the hub closes
}

// However rooms come and go, by their members and by the operator's program at once, the journal
// adds up: a room opens before anybody joins it, nobody leaves who hasn't joined, and it closes
// last.
func TestHub13JournalAddsUpUnderChurn(t *testing.T) {
	t.Parallel()
	const clients, rounds = 6, 40
	j := signal.NewJournal(1 << 20)
	j.Note(signal.Kinds()...)
	b := start(t, signal.Options{Journal: j, RoomCapacity: 4})
	rooms := []string{"tea", "milk"}
	var busy sync.WaitGroup
	for i := range clients {
		c := b.hello(t, frame{"name": fmt.Sprint("client ", i)})
		busy.Go(func() {
			for n := range rounds {
				c.send([]string{"join", "leave"}[n%2], frame{"room": rooms[(n/2+i)%2]})
				c.settle()
			}
			c.send("bye", nil)
		})
	}
	busy.Go(func() {
		for n := range rounds {
			room := rooms[n%2]
			var err error
			switch n % 4 {
			case 0:
				_, err = b.Keep(signal.Plan{Room: room, Expires: time.Now().Add(time.Duration(n) * time.Millisecond)})
			case 1:
				err = b.CloseRoom(room)
			case 2:
				_, err = b.Evict(room, func(signal.Member) bool { return true })
			default:
				err = b.TellRoom(room, []byte("1"))
			}
			if err != nil && code(err) != signal.CodeNoSuchRoom {
				t.Error(err)
			}
		}
	})
	busy.Wait()
	eventually(t, "all rooms are gone", func() bool { return b.Summary().Rooms == 0 })

	in := map[string]map[string]bool{} // who is in which open room
	for _, h := range j.Take(1 << 20) {
		members, open := in[h.Room]
		well := true
		switch h.Kind {
		case signal.KindRoomOpened:
			well = !open
			in[h.Room] = map[string]bool{}
		case signal.KindPeerJoined:
			well = open && !members[h.Peer.ID]
			members[h.Peer.ID] = true
		case signal.KindPeerLeft:
			well = open && members[h.Peer.ID]
			delete(members, h.Peer.ID)
		case signal.KindRoomClosed:
			well = open && len(members) == 0
			delete(in, h.Room)
		}
		if !well {
			t.Fatalf("%d %s %s %s comes while %v are in it", h.Number, h.Kind, h.Room, h.Peer.Name, members)
		}
	}
	if len(in) > 0 {
		t.Errorf("still open: %v", in)
	}
}

// A client that has said hello in time isn't dismissed because the door takes long.
func TestHub13DoorIsNotTheClientsDelay(t *testing.T) {
	t.Parallel()
	d := &slowDoor{at: make(chan signal.Visitor), admit: make(chan error)}
	b := start(t, signal.Options{Door: d}, func(l *signal.Limits) { l.Hello = 2 * time.Second })
	begun := time.Now()
	c := b.events(t, nil)
	posted := make(chan int)
	go func() { posted <- c.post(0, frame{"type": "hello"}) }()
	<-d.at
	time.AfterFunc(time.Until(begun.Add(3*time.Second)), func() { d.admit <- nil })
	c.expect("welcome")
	if status := <-posted; status != 204 {
		t.Errorf("status %d", status)
	}
	c.post(0, frame{"type": "ping"})
	c.expect("pong")
}
