package translate

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"

	"signalbox/signal/internal/object"
)

func read(t testing.TB, text string) (Said, bool) {
	t.Helper()
	o, err := object.Parse([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return Read(o)
}

func TestThereAndBack(t *testing.T) {
	t.Parallel()
	offer := &Description{Type: "offer", SDP: "v=0\r\na=<&>\r\n"}
	for text, said := range map[string]Said{
		`{"signalbox":{"call":"ring","id":"x"}}`: {Call: Ring, ID: "x"},
		`{"signalbox":{"call":"peer","id":"x","description":{"type":"offer","sdp":"v=0\r\na=<&>\r\n"}}}`: {
			Call: InCall, ID: "x", Description: offer},
		`{"signalbox":{"description":{"type":"offer","sdp":"v=0\r\na=<&>\r\n"}}}`: {Description: offer},
		`{"signalbox":{"link":2,"leads":true,"description":{"type":"offer","sdp":"v=0\r\na=<&>\r\n"}}}`: {
			Link: 2, Leads: true, Description: offer},
		`{"signalbox":{"candidates":[{"candidate":"c", "sdpMid":"0"},null]}}`: {Candidates: []json.RawMessage{
			[]byte(`{"candidate":"c", "sdpMid":"0"}`), []byte("null")}},
	} {
		if got := string(said.Data()); got != text {
			t.Errorf("got %s, want %s", got, text)
		}
		if got, ok := read(t, text); !ok || !reflect.DeepEqual(got, said) {
			t.Errorf("%s: got %+v (%v)", text, got, ok)
		}
	}
}

// What pages say besides, and what is nothing of theirs.
func TestOthers(t *testing.T) {
	t.Parallel()
	said, ok := read(t, `{"signalbox":{"description":{"type":"answer","sdp":"v=0"},"offer":2,"tag":"a","for":"b",
		"streams":{},"want":{"after":1}},"app":1}`)
	if !ok || said.Description == nil || said.Description.Type != "answer" {
		t.Errorf("got %+v (%v)", said, ok)
	}
	for _, text := range []string{`{}`, `{"signalbox":null}`, `{"signalbox":[]}`, `{"signalbox":7}`,
		`{"signalbox":{"description":"offer"}}`, `{"signalbox":{"candidates":{}}}`, `{"signalbox":{"call":7}}`,
		`{"SIGNALBOX":{"call":"ring"}}`} {
		if said, ok := read(t, text); ok {
			t.Errorf("%s is %+v", text, said)
		}
	}
	if said, ok := read(t, `{"signalbox":{"want":{"anew":true}}}`); !ok || !said.Want.Anew {
		t.Errorf("got %+v (%v)", said, ok)
	}
	if said, _ := read(t, `{"signalbox":{"description":{"type":"offer"}}}`); said.Description != nil {
		t.Errorf("an offer without SDP is %+v", said.Description)
	}
}

// One signal becomes no more than 64 frames.
func TestAttackManyCandidates(t *testing.T) {
	t.Parallel()
	for n, reads := range map[int]bool{0: true, MaxCandidates: true, MaxCandidates + 1: false, 20_000: false} {
		list := strings.TrimSuffix(strings.Repeat("{},", n), ",")
		said, ok := read(t, `{"signalbox":{"candidates":[`+list+`]}}`)
		if ok != reads || ok && len(said.Candidates) != n {
			t.Errorf("of %d, %d are read (%v)", n, len(said.Candidates), ok)
		}
	}
}

func FuzzRead(f *testing.F) {
	f.Add([]byte(
		`{"signalbox":{"call":"peer","id":"x","description":{"type":"offer","sdp":"v=0"},"candidates":[null]}}`,
	))
	f.Fuzz(func(t *testing.T, text []byte) {
		o, err := object.Parse(text)
		if err != nil {
			return
		}
		said, ok := Read(o)
		if !ok {
			return
		}
		again, err := object.Parse(said.Data())
		if err != nil {
			t.Fatalf("%q becomes %q", text, said.Data())
		}
		if back, ok := Read(again); !ok || back.ID != said.ID || len(back.Candidates) != len(said.Candidates) {
			t.Fatalf("%q becomes %q", text, said.Data())
		}
	})
}
