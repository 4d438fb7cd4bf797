package signal_test

import (
	"context"
	"net/netip"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"signalbox/internal/source"
	"signalbox/signal"
)

func TestKickEndsSessionsAndABanKeepsThemOut(t *testing.T) {
	t.Parallel()
	told, bans := &memberLog{}, source.NewBans()
	b := start(t, signal.Options{Members: told, Bans: bans})
	ada := b.hello(t, frame{"name": "Ada", "user": "ada"})
	ada.send("join", frame{"room": "tea"})
	ada.expect("joined")
	bob := b.join(t, "tea", "Bob")
	ada.expect("peer-joined")

	ban(t, bans, source.Ban{User: "ada", Until: time.Now().Add(time.Hour)})
	kicked := b.Kick(func(k signal.Kicked) bool { return k.User == "ada" })
	if len(kicked) != 1 || kicked[0].ID != ada.id || kicked[0].Source != netip.MustParseAddr("127.0.0.1") {
		t.Fatalf("kicked %+v", kicked)
	}
	for _, r := range b.Snapshot().Rooms {
		if slices.ContainsFunc(r.Members, func(m signal.MemberSnapshot) bool { return m.ID == ada.id }) {
			t.Error("she is listed once more")
		}
	}
	if f := ada.expect("error"); f.text("code") != "kicked" {
		t.Errorf("told %v", f)
	}
	if f := bob.expect("peer-left"); f.text("reason") != "kicked" {
		t.Errorf("the others are told %v", f)
	}
	told.await(t, "ended "+ada.id+" lost=false")

	again := b.dial(t)
	again.send("hello", frame{"user": "ada"})
	if f := again.expect("error"); f.text("code") != "kicked" {
		t.Errorf("a banned user gets %v", f)
	}
	b.hello(t, frame{"user": "eve"})

	ban(t, bans, source.Ban{Source: netip.MustParsePrefix("127.0.0.0/8"), Until: time.Now().Add(time.Hour)})
	again = b.dial(t)
	again.send("hello", frame{"user": "carol"})
	if f := again.expect("error"); f.text("code") != "kicked" {
		t.Errorf("a banned source gets %v", f)
	}
	// A shorter ban doesn't end a longer one.
	ban(t, bans, source.Ban{User: "eve", Source: netip.MustParsePrefix("127.0.0.0/8"), Until: time.Now()})
	again = b.dial(t)
	again.send("hello", frame{"user": "eve"})
	if f := again.expect("error"); f.text("code") != "kicked" {
		t.Errorf("a source that is banned for longer gets %v", f)
	}
}

func ban(t *testing.T, bans *source.Bans, b source.Ban) {
	t.Helper()
	if err := bans.Add(time.Now(), b); err != nil {
		t.Fatal(err)
	}
}

// watchedDoor admits everybody, and counts who has come to it.
type watchedDoor struct{ asked atomic.Int32 }

func (d *watchedDoor) Enter(context.Context, signal.Visitor) error {
	d.asked.Add(1)
	return nil
}

// Who is banned costs nobody else anything: the door is not asked about it.
func TestAttackF13BannedDoNotKnock(t *testing.T) {
	t.Parallel()
	door, bans := &watchedDoor{}, source.NewBans()
	b := start(t, signal.Options{Bans: bans, Door: door})
	ban(t, bans, source.Ban{User: "eve", Until: time.Now().Add(time.Hour)})
	eve := b.dial(t)
	eve.send("hello", frame{"user": "eve"})
	eve.expectError(signal.CodeKicked)
	b.hello(t, frame{"user": "ada"})
	if n := door.asked.Load(); n != 1 {
		t.Errorf("asked %d times", n)
	}
}
