package signal_test

import (
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"signalbox/signal"
)

// devices is a hub where the tokens "bob", "bobs" and "alice" name their bearers, and "" nobody.
func devices(t testing.TB, opts signal.Options) *box {
	t.Helper()
	opts.Calls = true
	opts.Guard = guard{map[string]signal.Pass{
		"bob":   {Key: "b1", Attested: true, User: "bob"},
		"bobs":  {Key: "b2", Attested: true, User: "bob"},
		"alice": {Key: "a", Attested: true, User: "alice"},
		"":      {},
	}}
	return start(t, opts)
}

func (b *box) hellos(t testing.TB, hellos ...frame) (cs []*peerConn) {
	t.Helper()
	for _, hello := range hellos {
		cs = append(cs, b.hello(t, hello))
	}
	return cs
}

func (c *peerConn) expectLeft(peer *peerConn, reason signal.LeftReason) frame {
	c.t.Helper()
	f := c.expect("peer-left")
	who, _ := f["peer"].(map[string]any)
	if f["room"] != nil || who["id"] != peer.id || f["reason"] != string(reason) {
		c.t.Fatalf("got %v, want that %s has %s", f, peer.id, reason)
	}
	return f
}

// silent fails if the hub has told the client anything that it has not read.
func (c *peerConn) silent() {
	c.t.Helper()
	c.send("ping", nil)
	c.expect("pong")
}

// A user has as many sessions as the operator allows, and more than one only by tokens.
func TestDevicesOfAUser(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name    string
		devices int
		hellos  []frame
		greeted int
	}{
		{"one by default", 0, []frame{{"token": "bob"}, {"token": "bob"}}, 1},
		{"two", 2, []frame{{"token": "bob"}, {"token": "bobs"}, {"token": "bob"}}, 2},
		{"no limit", math.MaxInt, []frame{{"token": "bob"}, {"token": "bob"}, {"token": "bob"}, {"token": "bobs"}}, 4},
		{"without tokens", 5, []frame{{"user": "bob"}, {"user": "bob"}}, 1},
		{"a stranger beside the user", 5, []frame{{"token": "bob"}, {"user": "bob"}}, 1},
		{"the user beside a stranger", 5, []frame{{"user": "bob"}, {"token": "bob"}}, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			b := devices(t, signal.Options{Devices: c.devices})
			for i, hello := range c.hellos {
				if i < c.greeted {
					b.hello(t, hello)
					continue
				}
				late := b.dial(t)
				late.send("hello", hello)
				late.expectError(signal.CodeUserTaken)
			}
		})
	}
	if _, err := signal.New(signal.Options{Devices: -1}); err == nil {
		t.Error("there may be -1")
	}
}

// A session that replaces another one of the user takes its place, where there is no other left.
func TestDeviceKeepsItsPlace(t *testing.T) {
	t.Parallel()
	b := devices(t, signal.Options{Devices: 2, Resume: time.Minute})
	phone, welcome := b.welcomed(t, frame{"token": "bob"})
	laptop := b.hello(t, frame{"token": "bob"})
	again, f := b.welcomed(t, frame{"token": "bob", "replaces": welcome["resumeToken"]})
	if f["peerId"] != phone.id {
		t.Fatalf("got %v", f)
	}
	alice := b.hello(t, frame{"token": "alice"})
	alice.send("signal", frame{"to": "@bob", "data": 1})
	again.expect("signal")
	laptop.expect("signal")
}

// What one end says by the name of an earlier call was on its way when the next one began to ring:
// a callee neither answers nor declines that with it, and a caller does not take it back.
func TestWordsOfAnEarlierCallDoNothing(t *testing.T) {
	t.Parallel()
	b := devices(t, signal.Options{Devices: 2})
	alice := b.hello(t, frame{"token": "alice"})
	bobs := b.hellos(t, frame{"token": "bob"}, frame{"token": "bob"})
	word := func(call, id string) frame { return frame{"signalbox": frame{"call": call, "id": id}} }
	ring := func(id string) {
		alice.send("signal", frame{"to": "@bob", "data": word("ring", id)})
		for _, bob := range bobs {
			bob.expect("signal")
		}
	}
	ring("first")
	bobs[0].send("signal", frame{"to": alice.id, "data": word("accept", "first")})
	alice.expect("signal")
	bobs[1].expectLeft(alice, signal.ReasonAnsweredElsewhere)
	alice.send("leave", frame{"to": bobs[0].id, "data": word("end", "first")})
	bobs[0].expectLeft(alice, signal.ReasonLeft)

	ring("second")
	for _, late := range []string{"signal", "leave"} {
		bobs[0].send(late, frame{"to": alice.id, "data": word("peer", "first")})
		bobs[0].expectError(signal.CodeNoSuchPeer)
	}
	alice.send("leave", frame{"to": bobs[0].id, "data": word("end", "first")})
	alice.expectError(signal.CodeNoSuchPeer)
	bobs[1].send("signal", frame{"to": alice.id, "data": word("accept", "second")})
	if f := alice.expect("signal"); f["from"] != bobs[1].id {
		t.Errorf("got %v", f)
	}
	bobs[0].expectLeft(alice, signal.ReasonAnsweredElsewhere)
}

// All devices ring, and get what follows until one has answered. That one has the call; the others
// are told, and the relay is, too.
func TestAllDevicesRing(t *testing.T) {
	t.Parallel()
	told, journal := &memberLog{}, signal.NewJournal(10)
	journal.Note(signal.Kinds()...)
	b := devices(t, signal.Options{Devices: 3, Members: told, Journal: journal})
	alice := b.hello(t, frame{"token": "alice"})
	bobs := b.hellos(t, frame{"token": "bob"}, frame{"token": "bobs"}, frame{"token": "bob"})
	for _, data := range []string{"offer", "candidate"} {
		alice.send("signal", frame{"to": "@bob", "data": data})
		for _, bob := range bobs {
			if f := bob.expect("signal"); f["data"] != data || f["polite"] != true {
				t.Fatalf("got %v", f)
			}
		}
	}
	phone, others := bobs[1], []*peerConn{bobs[0], bobs[2]}
	phone.send("signal", frame{"to": alice.id, "data": "answer"})
	if f := alice.expect("signal"); f["from"] != phone.id || f["polite"] != false {
		t.Fatalf("got %v", f)
	}
	for _, other := range others {
		other.expectLeft(alice, signal.ReasonAnsweredElsewhere)
		told.await(t, "hung up "+alice.id+" "+other.id)
		// whoever answers too late does not get through
		other.send("signal", frame{"to": alice.id, "data": "answer"})
		other.expectError(signal.CodeNoSuchPeer)
	}
	if told.has("hung up " + alice.id + " " + phone.id) {
		t.Error("the relay was told that the call is over")
	}
	alice.send("signal", frame{"to": "@bob", "data": "more"}) // by name still, but to one
	alice.send("signal", frame{"to": phone.id, "data": "more"})
	phone.expect("signal")
	phone.expect("signal")
	for _, other := range others {
		other.silent()
	}
	alice.silent()
	calls := 0
	for _, h := range journal.Take(10) {
		if h.Kind == signal.KindCallStarted {
			calls++
		}
	}
	if calls != 1 {
		t.Errorf("%d calls have started", calls)
	}

	alice.send("leave", frame{"to": phone.id}) // and the next call rings everywhere
	phone.expectLeft(alice, signal.ReasonLeft)
	alice.send("signal", frame{"to": "@bob", "data": "again"})
	for _, bob := range bobs {
		bob.expect("signal")
	}
}

// A device that leaves stops its own ringing. The caller hears the last one, and what it says.
func TestDevicesDecline(t *testing.T) {
	t.Parallel()
	for _, end := range []struct {
		how  string
		do   func(c, caller *peerConn)
		said any
		why  signal.LeftReason
	}{
		{"leave", func(c, caller *peerConn) { c.send("leave", frame{"to": caller.id}) }, nil, signal.ReasonLeft},
		{"with a word", func(c, caller *peerConn) {
			c.send("leave", frame{"to": caller.id, "data": "busy " + c.id})
		}, "busy ", signal.ReasonLeft},
		{"bye", func(c, _ *peerConn) { c.send("bye", nil) }, nil, signal.ReasonLeft},
		{"lost", func(c, _ *peerConn) { c.ws.NetConn().Close() }, nil, signal.ReasonLost},
	} {
		t.Run(end.how, func(t *testing.T) {
			t.Parallel()
			told := &memberLog{}
			b := devices(t, signal.Options{Devices: 2, Members: told})
			alice := b.hello(t, frame{"token": "alice"})
			first, last := b.hello(t, frame{"token": "bob"}), b.hello(t, frame{"token": "bob"})
			alice.send("signal", frame{"to": "@bob", "data": 1})
			first.expect("signal")
			last.expect("signal")
			end.do(first, alice)
			eventually(t, "the relay to hear of the first", func() bool {
				return told.has("hung up "+first.id+" "+alice.id) || told.has("ended "+first.id+" lost=false") ||
					told.has("ended "+first.id+" lost=true")
			})
			alice.silent()
			last.silent()
			end.do(last, alice)
			f := alice.expectLeft(last, end.why)
			if prefix, ok := end.said.(string); ok && f["data"] != prefix+last.id || !ok && f["data"] != nil {
				t.Errorf("got %v", f)
			}
		})
	}
}

// A caller that gives up by the user's name ends the ringing, and no call that has been answered.
func TestCallerGivesUp(t *testing.T) {
	t.Parallel()
	b := devices(t, signal.Options{Devices: 2})
	alice := b.hello(t, frame{"token": "alice"})
	bobs := b.hellos(t, frame{"token": "bob"}, frame{"token": "bob"})
	ring := func() {
		t.Helper()
		alice.send("signal", frame{"to": "@bob", "data": 1})
		for _, bob := range bobs {
			bob.expect("signal")
		}
	}
	ring()
	alice.send("leave", frame{"to": "@bob", "data": "never mind"})
	for _, bob := range bobs {
		if f := bob.expectLeft(alice, signal.ReasonLeft); f["data"] != "never mind" {
			t.Errorf("got %v", f)
		}
	}
	alice.send("leave", frame{"to": "@bob"})
	alice.expectError(signal.CodeNoSuchPeer)
	ring()
	bobs[0].send("signal", frame{"to": "@alice", "data": 1}) // by name, it answers, too
	alice.expect("signal")
	bobs[1].expectLeft(alice, signal.ReasonAnsweredElsewhere)
	alice.send("leave", frame{"to": "@bob"})
	alice.expectError(signal.CodeNoSuchPeer)
	alice.send("signal", frame{"to": bobs[0].id, "data": 1})
	bobs[0].expect("signal")
	alice.send("bye", nil)
	bobs[0].expectLeft(alice, signal.ReasonLeft)
	bobs[1].silent()
}

// A session can call the other ones of its own user.
func TestDeviceCallsItsOwnUser(t *testing.T) {
	t.Parallel()
	b := devices(t, signal.Options{Devices: 2})
	phone, laptop := b.hello(t, frame{"token": "bob"}), b.hello(t, frame{"token": "bob"})
	phone.send("signal", frame{"to": "@bob", "data": 1})
	laptop.expect("signal")
	phone.silent()
}

// A caller's limit counts each device that rings. What there is no room for does not ring.
func TestDevicesCountAgainstTheCaller(t *testing.T) {
	t.Parallel()
	b := devices(t, signal.Options{Devices: 3})
	b.LimitCalls(2)
	alice := b.hello(t, frame{"token": "alice"})
	bobs := b.hellos(t, frame{"token": "bob"}, frame{"token": "bob"}, frame{"token": "bob"})
	alice.send("signal", frame{"to": "@bob", "data": 1})
	bobs[0].expect("signal")
	bobs[1].expect("signal")
	bobs[2].silent()
	bobs[0].send("signal", frame{"to": alice.id, "data": 1})
	alice.expect("signal")
	bobs[1].expectLeft(alice, signal.ReasonAnsweredElsewhere)
}

// The last word of a call is paid for by who says it: it can't fill the other's outbox.
func TestAttackF13LastWordsArePaid(t *testing.T) {
	t.Parallel()
	b := startNarrow(t, 4096, signal.Options{Calls: true, MaxFrame: 64 << 10})
	bob := b.dialNarrow(t, 4096)
	bob.send("hello", frame{"user": "bob"})
	bob.expect("welcome")
	alice := b.hello(t, nil)
	word := strings.Repeat("x", 32<<10)
	for range 200 { // 6 MiB
		alice.send("signal", frame{"to": "@bob", "data": 1})
		alice.send("leave", frame{"to": "@bob", "data": word})
	}
	alice.settle()
	if n := b.Stored(); n > 1<<20 {
		t.Errorf("%d bytes wait", n)
	}
}

// What the operator's program says to a user reaches all devices, and so does a kick.
func TestServerSpeaksToAllDevices(t *testing.T) {
	t.Parallel()
	b := devices(t, signal.Options{Devices: 2})
	bobs := b.hellos(t, frame{"token": "bob"}, frame{"token": "bob"})
	if err := b.Tell("@bob", []byte("1")); err != nil {
		t.Fatal(err)
	}
	for _, bob := range bobs {
		if f := bob.expect("signal"); f["from"] != signal.ServerID {
			t.Errorf("got %v", f)
		}
	}
	kicked := b.Kick(func(k signal.Kicked) bool { return k.User == "bob" })
	ids := []string{bobs[0].id, bobs[1].id}
	if len(kicked) != 2 || !slices.Contains(ids, kicked[0].ID) || !slices.Contains(ids, kicked[1].ID) {
		t.Errorf("kicked %v", kicked)
	}
	for _, bob := range bobs {
		bob.expectError(signal.CodeKicked)
	}
	eventually(t, "bob to be gone", func() bool {
		return code(b.Tell("@bob", []byte("1"))) == signal.CodeNoSuchPeer
	})
}

// Of two devices that answer at one time, the caller hears one.
func TestAttackF13OneAnswer(t *testing.T) {
	t.Parallel()
	b := devices(t, signal.Options{Devices: 2})
	alice := b.hello(t, frame{"token": "alice"})
	bobs := b.hellos(t, frame{"token": "bob"}, frame{"token": "bob"})
	for n := range 500 {
		alice.send("signal", frame{"to": "@bob", "data": n})
		for _, bob := range bobs {
			bob.expect("signal")
		}
		for _, bob := range bobs {
			bob.send("signal", frame{"to": alice.id, "data": n})
		}
		f := alice.expect("signal")
		for _, bob := range bobs {
			bob.settle()
		}
		alice.silent()
		alice.send("leave", frame{"to": f["from"]})
		for _, bob := range bobs {
			if bob.id == f["from"] {
				bob.expect("peer-left")
			}
		}
	}
}
