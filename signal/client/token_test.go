package client_test

import (
	"strings"
	"testing"

	"signalbox/signal/client"
)

// Of the resume tokens that the server gives, the client uses the newest.
func TestHub7NewestTokenIsUsed(t *testing.T) {
	t.Parallel()
	renewed := strings.Replace(resumed, `"received"`, `"resumeToken":"second","received"`, 1)
	s := dial(t, script(t, func(w *wire) {
		w.greet()
	}, func(w *wire) {
		if f := w.hear("resume"); f.Token != "t" {
			t.Errorf("got %+v", f)
		}
		w.say(renewed)
	}, func(w *wire) {
		if f := w.hear("resume"); f.Token != "second" {
			t.Errorf("got %+v", f)
		}
		w.say(renewed, `{"type":"token","resumeToken":"third"}`)
		w.ack(w.hear("leave"))
	}, func(w *wire) {
		if f := w.hear("resume"); f.Token != "third" {
			t.Errorf("got %+v", f)
		}
		w.say(resumed) // of a server of a former version
		w.ack(w.hear("leave"))
		w.rest()
	}), client.Options{Carrier: client.WebSocket})
	for range 2 {
		if err := s.Leave(deadline(t), "tea"); err != nil {
			t.Fatal(err)
		}
	}
	if s.ResumeToken() != "third" {
		t.Error(s.ResumeToken())
	}
	s.Close()
}
