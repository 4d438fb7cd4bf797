package signal

import (
	"net/netip"
	"testing"
	"time"
)

// silent is a dialect without a client.
type silent struct{}

func (silent) Terms() Terms                        { return Terms{Name: "silent"} }
func (silent) Receive(*Session, Frame, error)      {}
func (silent) Encode(dst []Frame, _ Event) []Frame { return dst }
func (silent) Encoding(Event) any                  { return nil }
func (silent) Ended(*Session)                      {}

func openSilent(t testing.TB, h *Hub, user string) *Session {
	t.Helper()
	from := Client{Source: netip.MustParseAddr("192.0.2.1")}
	s, err := h.Open(silent{}, from, Hello{User: user}, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// A clock that was set back while a token ran does not let the session go on for ever: its end
// comes when the clock says so.
func TestHub6AClockSetBackDelaysTheEndOnly(t *testing.T) {
	t.Parallel()
	h, err := New(Options{EndAtExp: true})
	if err != nil {
		t.Fatal(err)
	}
	s, err := h.Open(silent{}, Client{Source: netip.MustParseAddr("192.0.2.1")}, Hello{}, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	s.Do(func() { s.admitted.Store(time.Now().Add(time.Second).UnixNano()) })
	s.endAtExp() // too early: since it was set, the clock was set back
	if s.Do(func() {}) == false {
		t.Fatal("it ends before its token")
	}
	for late := time.After(30 * time.Second); s.Do(func() {}); {
		select {
		case <-late:
			t.Fatal("it goes on")
		case <-time.After(10 * time.Millisecond):
		}
	}
	if err := h.Close(t.Context()); err != nil {
		t.Error(err)
	}
}

// Many sessions that each hold little are more than there may be, together. Then those end whose
// source holds most; whoever holds as much from elsewhere goes on.
func TestHub2ManySmallOnesCount(t *testing.T) {
	t.Parallel()
	h, err := New(Options{})
	if err != nil {
		t.Fatal(err)
	}
	const limit, each = 1 << 20, 50 << 10
	h.store.limit = limit
	session := func(from string) *Session {
		s, err := h.Open(silent{}, Client{Source: netip.MustParseAddr(from)}, Hello{}, time.Hour)
		if err != nil {
			t.Fatal(err)
		}
		s.send(Signaled{Data: make([]byte, each)})
		return s
	}
	honest := session("192.0.2.1")
	for range 100 {
		session("198.51.100.1")
	}
	for late := time.After(30 * time.Second); h.store.over() > 0; {
		select {
		case <-late:
			t.Fatalf("%d bytes are held, of %d", h.store.used.Load(), limit)
		case <-time.After(10 * time.Millisecond):
		}
	}
	if held := h.store.used.Load(); held < limit/2 {
		t.Errorf("only %d bytes are left", held)
	}
	if !honest.Do(func() {}) {
		t.Error("somebody else has paid")
	}
	if err := h.Close(t.Context()); err != nil {
		t.Error(err)
	}
}

// Whoever is listed to a client that joins again is not taken back with the news of its coming.
func TestHub13WhoIsListedIsSaidToLeave(t *testing.T) {
	t.Parallel()
	h, err := New(Options{})
	if err != nil {
		t.Fatal(err)
	}
	alice, bob := openSilent(t, h, ""), openSilent(t, h, "")
	for _, s := range []*Session{alice, bob, alice} {
		s.Do(func() {
			if err := s.Join(Join{Room: "tea"}); err != nil {
				t.Error(err)
			}
		})
	}
	bob.Do(func() {
		if err := bob.Leave("tea"); err != nil {
			t.Error(err)
		}
	})
	waiting := alice.out.takeWaiting()
	if last, is := waiting[len(waiting)-1].event.(PeerLeft); !is || last.Peer.ID != bob.self.ID {
		t.Errorf("the last of %d events: %+v", len(waiting), waiting[len(waiting)-1].event)
	}
	if err := h.Close(t.Context()); err != nil {
		t.Error(err)
	}
}

// What is signaled to a user with whom there is a call needs the hub to itself as little as what is
// signaled to a peer.
func TestHub13ASignalInACallKeepsNobodyWaiting(t *testing.T) {
	t.Parallel()
	h, err := New(Options{Calls: true})
	if err != nil {
		t.Fatal(err)
	}
	openSilent(t, h, "alice")
	bob, said := openSilent(t, h, ""), make(chan error, 1)
	signal := func() {
		go bob.Do(func() { said <- bob.Signal(Signal{To: "@alice", Data: []byte("1")}) })
		select {
		case err := <-said:
			if err != nil {
				t.Error(err)
			}
		case <-time.After(30 * time.Second):
			t.Error("it waits for somebody who only reads")
		}
	}
	signal() // calls
	h.mu.RLock()
	signal()
	h.mu.RUnlock()
	if err := h.Close(t.Context()); err != nil {
		t.Error(err)
	}
}
