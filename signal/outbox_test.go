package signal

import (
	"errors"
	"testing"
)

func bodies(batch []outFrame) (s string) {
	for _, f := range batch {
		s += string(f.body)
	}
	return s
}

func TestOutboxIsBounded(t *testing.T) {
	t.Parallel()
	o := newOutbox(3, 10)
	for _, step := range []struct {
		body string
		want error
	}{
		{"a frame that alone is too much", nil},
		{"b", errOutboxFull}, // in bytes
	} {
		if err := o.put([]byte(step.body), true); !errors.Is(err, step.want) {
			t.Fatalf("%s: %v, want %v", step.body, err, step.want)
		}
	}
	o.take(nil)
	for _, step := range []struct {
		body string
		want error
	}{
		{"a", nil}, {"b", nil}, {"c", nil},
		{"d", errOutboxFull}, // in count
	} {
		if err := o.put([]byte(step.body), true); !errors.Is(err, step.want) {
			t.Fatalf("%s: %v, want %v", step.body, err, step.want)
		}
	}
	batch, over := o.take(nil)
	if bodies(batch) != "abc" || over || batch[0].seq != 2 || batch[2].seq != 4 {
		t.Errorf("got %v", batch)
	}
	if batch, _ := o.take(batch); len(batch) != 0 {
		t.Errorf("taken twice: %v", batch)
	}
}

func TestOutboxEnds(t *testing.T) {
	t.Parallel()
	for reason, want := range map[Code]string{
		CodeKicked: "waiting, last",
		CodeSlow:   "last", // it has shown that it doesn't read what waits
		"":         "last",
	} {
		o := newOutbox(1, 1000)
		o.put([]byte("waiting, "), true)
		if !o.close(reason, []byte("last")) {
			t.Error("not the first to close")
		}
		if o.close(CodeInternal, []byte("too late")) {
			t.Error("closed twice")
		}
		if err := o.put([]byte("late"), true); !errors.Is(err, errOutboxClosed) {
			t.Errorf("put after the end: %v", err)
		}
		<-o.ready
		batch, over := o.take(nil)
		if got, closed := o.end(); bodies(batch) != want || !over || got != reason || !closed {
			t.Errorf("%q: got %q, %v, %q, %v", reason, bodies(batch), over, got, closed)
		}
	}
}
