package signal_test

import (
	"testing"

	"signalbox/signal"
)

// host is a dialect whose server speaks first: its clients need not say hello.
type host struct {
	*lines
	name string
	self *signal.Session
}

func (d *host) Opened(s *signal.Session) {
	d.self = s
	s.Reply(text("you are seen"))
	if err := s.Hello(signal.Hello{Name: d.name}); err != nil {
		s.Refuse(err, text("no "+string(signal.RefusalOf(err).Code)))
	}
}

// Encode answers who tells it something: an event is acted upon, though Encode calls no verb.
func (d *host) Encode(dst []signal.Frame, e signal.Event) []signal.Frame {
	if e, ok := e.(signal.Signaled); ok {
		switch string(e.Data) {
		case `"knock"`:
			d.self.Soon(func() {
				d.self.Signal(signal.Signal{To: e.From.ID, Data: []byte(`"come in"`)}) //nolint:errcheck // it is there
			})
		case `"panic"`:
			d.self.Soon(func() { panic("of a dialect") })
		}
	}
	return d.lines.Encode(dst, e)
}

// A dialect's server may speak first, and says so only where there is a place for the connection.
func TestServerSpeaksFirst(t *testing.T) {
	t.Parallel()
	b := start(t, signal.Options{SessionsPerSource: 1})
	bob := carry(t, b.Hub, &host{lines: newLines(), name: "Bob"})
	bob.expect("you are seen", "welcome Bob")
	if n := b.Snapshot().Dialects["lines"]; n != (signal.DialectCount{Sessions: 1, Opened: 1}) {
		t.Errorf("got %+v", n)
	}
	carry(t, b.Hub, &host{lines: newLines(), name: "Bob"}).expect("end rate-limited")
	bob.lose()
	if n := b.Snapshot().Dialects["lines"]; n != (signal.DialectCount{Opened: 1}) {
		t.Errorf("got %+v", n)
	}
}

// Who is refused as the connection opens is told so, and is over.
func TestRefusedAsItOpens(t *testing.T) {
	t.Parallel()
	b := start(t, signal.Options{Guard: guard{}})
	known := carry(t, b.Hub, &host{lines: newLines(), name: "Bob"})
	known.expect("you are seen", "no unauthorized")
	known.say("are you there")
	if got, more := <-known.got; more {
		t.Errorf("a client that was refused gets %q", got)
	}
}

func TestDialectActsOnEvents(t *testing.T) {
	t.Parallel()
	b := start(t, signal.Options{})
	alice := b.join(t, "txt/tea", "Alice")
	d := &host{lines: newLines(), name: "Bob"}
	bob := carry(t, b.Hub, d)
	bob.expect("you are seen", "welcome Bob")
	bob.say("join tea")
	id := frame(alice.expect("peer-joined")["peer"].(map[string]any)).text("id")
	alice.send("signal", frame{"to": id, "data": "knock"})
	if f := alice.expect("signal"); f["data"] != "come in" {
		t.Errorf("got %v", f)
	}
	alice.send("signal", frame{"to": id, "data": "panic"})
	bob.expect("joined tea 1 0", `Alice -> "knock"`, `Alice -> "panic"`, "end internal")
}
