package signal_test

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"signalbox/signal"
	"signalbox/signal/native"
)

// lines is a dialect of plain text: no resume, no confirmation, rooms with the prefix txt.
type lines struct {
	terms    signal.Terms
	attach   *signal.Session // that "attach" means
	encoded  *atomic.Int64   // broadcasts
	hold     chan struct{}   // nil: Encode doesn't wait
	encoding any
	ended    chan struct{}
}

func newLines() *lines {
	return &lines{
		terms:    signal.Terms{Name: "lines", Space: "txt"},
		encoded:  new(atomic.Int64),
		encoding: "lines",
		ended:    make(chan struct{}),
	}
}

func (d *lines) Terms() signal.Terms       { return d.terms }
func (d *lines) Encoding(signal.Event) any { return d.encoding }
func (d *lines) Ended(*signal.Session)     { close(d.ended) }

func (d *lines) Receive(s *signal.Session, f signal.Frame, over error) {
	word, rest, _ := strings.Cut(string(f.Body), " ")
	to, data, _ := strings.Cut(rest, " ")
	err := over
	if err == nil {
		switch word {
		case "hello":
			err = s.Hello(signal.Hello{Name: rest})
		case "attach":
			err = s.Attach(d.attach)
		case "join":
			err = s.Join(signal.Join{Room: rest})
		case "leave":
			err = s.Leave(rest)
		case "say":
			err = s.Broadcast(signal.Broadcast{Room: to, Data: []byte(data), Echo: true})
		case "made":
			err = s.Broadcast(signal.Broadcast{Room: to, Data: []byte(data), Echo: true,
				Frames: []signal.Frame{text("made"), text("of " + data)}, Encoding: d.encoding})
		case "tell":
			err = s.Signal(signal.Signal{To: to, Data: []byte(data)})
		case "ice":
			err = s.ICE()
		case "bye":
			s.Bye()
		default:
			err = signal.Refuse(signal.CodeBadFrame, word)
		}
	}
	if err != nil {
		s.Refuse(err, text("no "+string(signal.RefusalOf(err).Code)))
	}
}

func (d *lines) Encode(dst []signal.Frame, e signal.Event) []signal.Frame {
	if d.hold != nil {
		<-d.hold
	}
	line := ""
	switch e := e.(type) {
	case signal.Welcome:
		line = "welcome " + e.Name
	case signal.Joined:
		line = fmt.Sprint("joined ", d.terms.Room(e.Room), " ", len(e.Peers), " ", e.Capacity)
	case signal.PeerJoined:
		line = "+ " + e.Peer.Name
	case signal.PeerLeft:
		line = "- " + e.Peer.Name + " " + string(e.Reason)
	case signal.Left:
		line = "left " + d.terms.Room(e.Room)
	case signal.Broadcasted:
		d.encoded.Add(1)
		line = e.From.Name + ": " + string(e.Data)
	case signal.Signaled:
		line = e.From.Name + " -> " + string(e.Data)
	case signal.ICEUpdated:
		return dst // its clients have no use for that
	case signal.Ended:
		line = "end " + string(e.Code)
	}
	return append(dst, text(line))
}

// wire is a carrier between two goroutines. Its client reads got.
type wire struct {
	t    testing.TB
	link *signal.Link
	got  chan string
	fail atomic.Bool // the network does

	pumped, gone chan struct{}
	once         sync.Once
}

// carry begins a connection in memory.
func carry(t testing.TB, h *signal.Hub, d signal.Dialect) *wire {
	t.Helper()
	l, err := h.Connect(signal.Client{Source: netip.MustParseAddr("192.0.2.1"), Host: "box"})
	if err != nil {
		t.Fatal(err)
	}
	m := &wire{t: t, link: l, got: make(chan string, 20_000), pumped: make(chan struct{}), gone: make(chan struct{})}
	l.Begin(d, m) //nolint:errcheck // the client is told
	go func() {
		defer close(m.pumped)
		l.Pump(m.gone)
		close(m.got)
	}()
	t.Cleanup(m.lose)
	return m
}

func (m *wire) Stop()  {}
func (m *wire) Abort() { m.once.Do(func() { close(m.gone) }) }

func (m *wire) Write(b *signal.Batch) (time.Duration, error) {
	for f := range b.Frames {
		if m.fail.Load() {
			return 0, errors.New("the network is down")
		}
		m.got <- string(f.Body)
	}
	return time.Hour, nil
}

// lose is a connection that breaks.
func (m *wire) lose() {
	m.Abort()
	<-m.pumped
	if m.link != nil {
		m.link.Finish(signal.CodeLost)
		m.link.Close()
		m.link = nil
	}
}

func (m *wire) say(line string) {
	if !m.link.Receive(text(line)) {
		m.link.Finish(signal.CodeLost)
	}
}

func (m *wire) expect(want ...string) {
	m.t.Helper()
	for _, w := range want {
		if got, ok := <-m.got; got != w {
			m.t.Fatalf("got %q (%v), want %q", got, ok, w)
		}
	}
}

// A member of another dialect is a member like any other, and everybody sees one order.
func TestDialectsShareARoom(t *testing.T) {
	t.Parallel()
	told := &memberLog{}
	b := start(t, signal.Options{Resume: time.Hour, Members: told})
	alice := b.join(t, "txt/tea", "Alice")
	d := newLines()
	bob := carry(t, b.Hub, d)
	bob.say("hello Bob")
	bob.say("join tea")
	bob.expect("welcome Bob", "joined tea 1 0")
	joined := alice.expect("peer-joined")
	id := frame(joined["peer"].(map[string]any)).text("id")
	if joined.text("room") != "txt/tea" {
		t.Errorf("got %v", joined)
	}
	told.await(t, "joined txt/tea "+id)

	bob.say("say tea 1")
	alice.expect("broadcast")
	alice.send("broadcast", frame{"room": "txt/tea", "data": 2})
	alice.send("signal", frame{"to": id, "data": 3})
	alice.settle()
	bob.say("say tea 4")
	bob.say("tell " + alice.id + " 5")
	bob.say("ice")
	bob.say("say nowhere 6")
	bob.expect("Bob: 1", "Alice: 2", "Alice -> 3", "Bob: 4", "no not-in-room")
	if f := alice.expect("broadcast"); f["data"] != 4.0 || f.text("fromName") != "Bob" {
		t.Errorf("got %v", f)
	}
	if f := alice.expect("signal"); f["data"] != 5.0 || f.text("room") != "txt/tea" {
		t.Errorf("got %v", f)
	}
	if rooms := b.Snapshot().Rooms; len(rooms) != 1 || rooms[0].Room != "txt/tea" || len(rooms[0].Members) != 2 {
		t.Errorf("got %+v", rooms)
	}

	// Without resume nothing waits for who is lost.
	bob.lose()
	if f := alice.expect("peer-left"); f.text("reason") != "lost" || b.Find(id) != nil {
		t.Errorf("got %v", f)
	}
	<-d.ended
}

// A dialect's rooms are no others' rooms of the same name, and a token's rooms are full names.
func TestRoomsAreTheDialects(t *testing.T) {
	t.Parallel()
	only := func(room string) bool { return strings.HasPrefix(room, "txt/") }
	b := start(t, signal.Options{Guard: guard{map[string]signal.Pass{"": {Rooms: only}, "all": {}}}})
	alice := b.hello(t, frame{"token": "all"})
	alice.send("join", frame{"room": "tea"})
	alice.expect("joined")
	bob := carry(t, b.Hub, newLines())
	bob.say("hello Bob")
	bob.say("join tea")
	bob.say("leave tea")
	bob.expect("welcome Bob", "joined tea 0 0", "left tea")
	alice.settle()

	other := newLines()
	other.terms.Space = "other"
	carol := carry(t, b.Hub, other)
	carol.say("hello Carol")
	carol.say("join tea")
	carol.expect("welcome Carol", "no unauthorized")
}

// A room that somebody of a dialect has entered is no larger than that dialect bears.
func TestCapacityIsTheDialects(t *testing.T) {
	t.Parallel()
	b := start(t, signal.Options{RoomCapacity: 8})
	two := func(name string) *wire {
		d := newLines()
		d.terms.Capacity = 2
		m := carry(t, b.Hub, d)
		m.say("hello " + name)
		m.say("join tea")
		m.expect("welcome " + name)
		return m
	}
	alice := b.join(t, "txt/tea", "Alice")
	two("Bob").expect("joined tea 1 2")
	alice.expect("peer-joined")
	carol := b.hello(t, nil)
	carol.send("join", frame{"room": "txt/tea"})
	carol.expectError(signal.CodeRoomFull)
	two("Dave").expect("no room-full")
}

// A session that confirms nothing gets as much as there is.
func TestNoConfirmationNoStall(t *testing.T) {
	t.Parallel()
	b := start(t, signal.Options{Resume: time.Hour})
	bob, alice := carry(t, b.Hub, newLines()), carry(t, b.Hub, newLines())
	for _, m := range []*wire{bob, alice} {
		m.say("hello X")
		m.say("join tea")
	}
	bob.expect("welcome X", "joined tea 0 0", "+ X")
	alice.expect("welcome X", "joined tea 1 0")
	for n := range 10_000 {
		alice.say(fmt.Sprint("say tea ", n))
		bob.expect(fmt.Sprint("X: ", n))
		alice.expect(fmt.Sprint("X: ", n)) // while too much waits for either, she would be refused
	}
	alice.say("say tea last")
	bob.expect("X: last")
}

// A session without a connection is a member, counts for its source, and ends by its deadline.
func TestSessionWithoutAConnection(t *testing.T) {
	t.Parallel()
	b := start(t, signal.Options{Resume: time.Hour, SessionsPerSource: 1})
	from := signal.Client{Source: netip.MustParseAddr("192.0.2.1")}
	alice := b.join(t, "txt/tea", "Alice")
	d := newLines()
	s, err := b.Open(d, from, signal.Hello{Name: "Bob"}, 200*time.Millisecond)
	if err != nil {
		t.Fatal(err)
	}
	_, err = b.Open(newLines(), from, signal.Hello{}, time.Hour)
	if signal.RefusalOf(err).Code != signal.CodeRateLimited {
		t.Errorf("a second one: %v", err)
	}
	s.Do(func() { err = s.Join(signal.Join{Room: "tea"}) })
	if err != nil || !s.Greeted() || s.Attached() {
		t.Fatal(err)
	}
	alice.expect("peer-joined")
	if f := alice.expect("peer-left"); f.text("reason") != "lost" {
		t.Errorf("got %v", f)
	}
	<-d.ended
	if s.Do(func() {}) {
		t.Error("it does something still")
	}

	// Its client can leave, too, and the place is free.
	if s, err = b.Open(newLines(), from, signal.Hello{Name: "Bob"}, time.Hour); err != nil {
		t.Fatal(err)
	}
	s.Do(func() { err = s.Join(signal.Join{Room: "tea"}) })
	alice.expect("peer-joined")
	s.Do(s.Bye)
	if f := alice.expect("peer-left"); f.text("reason") != "left" {
		t.Errorf("got %v", f)
	}

	// What waits for it comes with its connection, in order, and so does what follows.
	if s, err = b.Open(newLines(), from, signal.Hello{Name: "Carol"}, time.Hour); err != nil {
		t.Fatal(err)
	}
	s.Do(func() { err = s.Join(signal.Join{Room: "tea"}) })
	alice.expect("peer-joined")
	alice.send("broadcast", frame{"room": "txt/tea", "data": 1})
	alice.settle()
	late := newLines()
	late.attach = s
	carol := carry(t, b.Hub, late)
	carol.say("attach")
	alice.send("broadcast", frame{"room": "txt/tea", "data": 2})
	carol.expect("welcome Carol", "joined tea 1 0", "Alice: 1", "Alice: 2")
	carol.say("bye")
	if f := alice.expect("peer-left"); f.text("reason") != "left" {
		t.Errorf("got %v", f)
	}
}

// Nobody resumes a session of another dialect.
func TestResumeKeepsTheDialect(t *testing.T) {
	t.Parallel()
	b := start(t, signal.Options{Resume: time.Hour})
	c := b.dial(t)
	c.send("hello", nil)
	token := c.expect("welcome").text("resumeToken")
	l := open(t, b.Hub, newLines(), signal.Client{})
	var err error
	l.Session().Do(func() { err = l.Session().Resume(signal.Resume{Token: token}) })
	if signal.RefusalOf(err).Code != signal.CodeResumeExpired {
		t.Errorf("got %v", err)
	}
	l.Finish(signal.CodeLost)
	l.Close()
	c.settle()
}

// counted counts the broadcasts that a dialect encodes.
type counted struct {
	signal.Dialect
	n *atomic.Int64
}

func (d counted) Encode(dst []signal.Frame, e signal.Event) []signal.Frame {
	if _, ok := e.(signal.Broadcasted); ok {
		d.n.Add(1)
	}
	return d.Dialect.Encode(dst, e)
}

// A broadcast is encoded once for each dialect, however many get it.
func TestOneEncodingForEachDialect(t *testing.T) {
	t.Parallel()
	const each = 150
	b := start(t, signal.Options{})
	server := native.New(b.Hub)
	var natives, texts atomic.Int64
	var members []*wire
	for range each {
		d := newLines()
		d.encoded = &texts
		m := carry(t, b.Hub, d)
		m.say("hello T")
		m.say("join tea")
		n := carry(t, b.Hub, counted{server.Dialect(), &natives})
		n.say(`{"type":"hello","name":"N"}`)
		n.say(`{"type":"join","room":"txt/tea"}`)
		members = append(members, m, n)
	}
	members[0].say("say tea 1")
	for i, m := range members {
		for {
			got, ok := <-m.got
			if !ok {
				t.Fatalf("member %d is gone", i)
			}
			if strings.HasSuffix(got, ": 1") || strings.Contains(got, `"broadcast"`) {
				break
			}
		}
	}
	if natives.Load() != 1 || texts.Load() != 1 {
		t.Errorf("%d native encodings and %d of text", natives.Load(), texts.Load())
	}
}

// The frames that come with a broadcast are for sessions of the same encoding; others get the data.
func TestFramesOfTheSender(t *testing.T) {
	t.Parallel()
	b := start(t, signal.Options{})
	enter := func(name string, encoding any) (*wire, *lines) {
		d := newLines()
		d.encoding = encoding
		m := carry(t, b.Hub, d)
		m.say("hello " + name)
		m.say("join tea")
		m.expect("welcome " + name)
		return m, d
	}
	alice, own := enter("Alice", "a")
	alike, same := enter("Alike", "a")
	other, _ := enter("Other", "b")
	nobody, _ := enter("Nobody", nil)
	alice.say("made tea 1")
	alice.say("say tea 2")
	for m, want := range map[*wire][]string{
		alice: {"made", "of 1", "Alice: 2"}, alike: {"made", "of 1", "Alice: 2"}, other: {"Alice: 1", "Alice: 2"},
		nobody: {"Alice: 1", "Alice: 2"},
	} {
		for got := range m.got {
			if strings.HasPrefix(got, "joined") || strings.HasPrefix(got, "+") {
				continue
			}
			if got != want[0] {
				t.Fatalf("got %q, want %q", got, want)
			}
			if want = want[1:]; len(want) == 0 {
				break
			}
		}
	}
	if n := own.encoded.Load() + same.encoded.Load(); n != 1 {
		t.Errorf("%d encodings for those who are alike", n)
	}
}

// A dialect that takes its time to encode holds up its own client, and nobody else: whether others
// get what it makes, too, or not.
func TestEncodingHoldsNobodyUp(t *testing.T) {
	t.Parallel()
	for name, encoding := range map[string]any{"alone": nil, "shared": "slow lines"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			encodingHoldsNobodyUp(t, encoding)
		})
	}
}

func encodingHoldsNobodyUp(t *testing.T, encoding any) {
	b := start(t, signal.Options{})
	d := newLines()
	d.hold, d.encoding = make(chan struct{}), encoding
	slow := carry(t, b.Hub, d)
	slow.say("hello Slow")
	slow.say("join tea")
	alice, bob := b.join(t, "txt/tea", "Alice"), b.join(t, "txt/tea", "Bob")
	alice.expect("peer-joined")
	for n := range 100 {
		alice.send("broadcast", frame{"room": "txt/tea", "data": n})
		bob.expect("broadcast")
	}
	close(d.hold)
	slow.expect("welcome Slow", "joined tea 0 0", "+ Alice", "+ Bob", "Alice: 0")
}

// broken is a dialect with a bug.
type broken struct{ *lines }

func (d broken) Encode(dst []signal.Frame, e signal.Event) []signal.Frame {
	if _, ok := e.(signal.Broadcasted); ok {
		panic("on purpose")
	}
	return d.lines.Encode(dst, e)
}

// A dialect that panics ends the session whose events it encodes, and only that.
func TestBrokenDialectEndsItsSession(t *testing.T) {
	t.Parallel()
	b := start(t, signal.Options{Resume: time.Hour})
	alice := b.join(t, "txt/tea", "Alice")
	d := newLines()
	d.encoding = nil
	bob := carry(t, b.Hub, broken{d})
	bob.say("hello Bob")
	bob.say("join tea")
	alice.expect("peer-joined")
	alice.send("broadcast", frame{"room": "txt/tea", "data": 1})
	<-bob.pumped
	bob.lose()
	alice.expect("peer-left")
	alice.settle()
	if n := b.Snapshot().Refusals[signal.CodeInternal]; n != 1 {
		t.Errorf("%d sessions ended for a mistake of ours", n)
	}
}

// brokenEnd is a dialect that panics when its session ends.
type brokenEnd struct{ *lines }

func (brokenEnd) Ended(*signal.Session) { panic("on purpose") }

// A dialect that panics at the end of a session harms nobody else, also where a timer ends it.
func TestDialectThatBreaksAtTheEnd(t *testing.T) {
	t.Parallel()
	b := start(t, signal.Options{})
	from := signal.Client{Source: netip.MustParseAddr("192.0.2.1")}
	if _, err := b.Open(brokenEnd{newLines()}, from, signal.Hello{Name: "Bob"}, time.Millisecond); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the session is over", func() bool { return b.Snapshot().Refusals[signal.CodeInternal] == 1 })
	b.join(t, "tea", "Alice").settle()
}

// panicky is a Guard with a bug.
type panicky struct{}

func (panicky) Admit(string, netip.Addr) (signal.Pass, error) { panic("on purpose") }

// A Guard that panics in Open leaves nothing behind that Close would wait for.
func TestGuardThatBreaksInOpen(t *testing.T) {
	t.Parallel()
	hub, err := signal.New(signal.Options{Guard: panicky{}})
	if err != nil {
		t.Fatal(err)
	}
	func() {
		defer func() { _ = recover() }()
		hub.Open(newLines(), signal.Client{}, signal.Hello{}, time.Hour) //nolint:errcheck // it panics
	}()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := hub.Close(ctx); err != nil {
		t.Error(err)
	}
}

// A dialect's clients are under the limits that all are under: of frames, and of nonsense.
func TestLimitsAreForEveryDialect(t *testing.T) {
	t.Parallel()
	b := start(t, signal.Options{Rate: 1}, func(l *signal.Limits) { l.BadFrames = 3 }) // 4 at once
	nonsense := carry(t, b.Hub, newLines())
	nonsense.say("hello X")
	for range 3 {
		nonsense.say("nonsense")
	}
	nonsense.expect("welcome X", "no bad-frame", "no bad-frame", "no bad-frame")
	if _, open := <-nonsense.got; open {
		t.Error("nonsense goes on")
	}
	flood := carry(t, b.Hub, newLines())
	flood.say("hello X")
	for range 30 {
		flood.say("leave tea")
	}
	limited := 0
	for line := range flood.got {
		if line == "no rate-limited" {
			limited++
		}
	}
	if limited < 8 || limited > 10 { // twice the burst, and the last word
		t.Errorf("%d refused", limited)
	}
}

// A dialect says itself for how long its clients may be silent.
func TestSilenceIsTheDialects(t *testing.T) {
	t.Parallel()
	b := start(t, signal.Options{})
	d := newLines()
	d.terms.Hello, d.terms.Silence = time.Minute, time.Hour
	bob := carry(t, b.Hub, d)
	now := time.Now()
	if wait := bob.link.Patience(now).Sub(now); wait > time.Minute || wait < 50*time.Second {
		t.Errorf("before the hello: %v", wait)
	}
	bob.say("hello Bob")
	if wait := bob.link.Patience(now).Sub(now); wait != time.Hour {
		t.Errorf("after it: %v", wait)
	}
}

// What others are to know of a member comes and goes with it.
func TestNotes(t *testing.T) {
	t.Parallel()
	b := start(t, signal.Options{})
	seen := make(chan signal.Event, 8)
	watcher := &watching{lines: newLines(), seen: seen}
	alice := carry(t, b.Hub, watcher)
	alice.say("hello Alice")
	alice.say("join tea")
	s, err := b.Open(newLines(), signal.Client{Source: netip.MustParseAddr("192.0.2.1")}, signal.Hello{}, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	s.Do(func() { err = s.Join(signal.Join{Room: "tea", Note: "bob"}) })
	if err != nil {
		t.Fatal(err)
	}
	s.Do(func() {
		if n := s.Peers("tea"); n != 1 || s.Peers("coffee") != -1 {
			t.Errorf("%d others", n)
		}
		s.Bye()
	})
	if e := <-seen; e.(signal.PeerJoined).Peer.Note != "bob" {
		t.Errorf("got %+v", e)
	}
	if e := <-seen; e.(signal.PeerLeft).Note != "bob" {
		t.Errorf("got %+v", e)
	}
}

// What a dialect holds for a client counts until it is given back, or the session ends.
func TestHeldByDialect(t *testing.T) {
	t.Parallel()
	b := start(t, signal.Options{})
	s, err := b.Open(newLines(), signal.Client{Source: netip.MustParseAddr("192.0.2.1")}, signal.Hello{}, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	before := b.Stored()
	s.Do(func() {
		for _, step := range []struct{ bytes, want int }{{1000, 1000}, {500, 1500}, {-700, 800}} {
			if s.Hold(step.bytes); b.Stored() != before+int64(step.want) {
				t.Errorf("%d bytes count, want %d", b.Stored()-before, step.want)
			}
		}
		s.Bye()
	})
	eventually(t, "nothing is left", func() bool { return b.Stored() == 0 })
	if s.Hold(-700); b.Stored() != 0 { // of a dialect that gives back what the end has given back
		t.Errorf("%d bytes count after the end", b.Stored())
	}
}

// watching passes on what happens to others.
type watching struct {
	*lines
	seen chan signal.Event
}

func (d *watching) Encode(dst []signal.Frame, e signal.Event) []signal.Frame {
	switch e.(type) {
	case signal.PeerJoined, signal.PeerLeft:
		d.seen <- e
	}
	return d.lines.Encode(dst, e)
}

// answering is a carrier whose connection is one answer after the other.
type answering struct{ answers chan string }

func (*answering) Stop()  {}
func (*answering) Abort() {}

func (a *answering) Write(b *signal.Batch) (time.Duration, error) {
	text := ""
	for f := range b.Frames {
		text += string(f.Body) + "\n"
	}
	if text == "" {
		return time.Hour, nil
	}
	a.answers <- text
	return 0, signal.ErrEnough
}

// A connection may be one answer after the other: what comes between two is in the next one.
func TestAnswersOneAtATime(t *testing.T) {
	t.Parallel()
	b := start(t, signal.Options{})
	l, err := b.Connect(signal.Client{Source: netip.MustParseAddr("192.0.2.1")})
	if err != nil {
		t.Fatal(err)
	}
	a := &answering{answers: make(chan string, 1)}
	if err := l.Begin(newLines(), a); err != nil {
		t.Fatal(err)
	}
	before := b.Snapshot().Counters.FramesOut
	for _, turn := range []struct{ says, want string }{
		{"hello Bob", "welcome Bob\n"},
		{"join tea", "joined tea 0 0\n"},
		{"bye", ""},
	} {
		l.Receive(text(turn.says))
		l.Pump(nil)
		if turn.want != "" {
			if got := <-a.answers; got != turn.want {
				t.Errorf("got %q, want %q", got, turn.want)
			}
		}
	}
	if n := b.Snapshot().Counters.FramesOut - before; n != 2 {
		t.Errorf("%d frames counted", n)
	}
	l.Finish(signal.CodeLost)
	l.Close()
}
