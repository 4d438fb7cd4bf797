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
	s.Do(func() { s.admitted.Store(time.Now().Add(200 * time.Millisecond).UnixNano()) })
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
