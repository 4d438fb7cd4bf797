package signal

import "testing"

func bodies(batch []outFrame) (s string) {
	for _, f := range batch {
		s += string(f.body)
	}
	return s
}

// fed is an outbox with a connection.
func fed(maxFrames, maxBytes int, keeps bool) (*outbox, *feed) {
	o, f := newOutbox(maxFrames, maxBytes, keeps, &store{limit: 1 << 20}), newFeed(func() {})
	o.attach(f, 0, nil, nil)
	return o, f
}

func TestOutboxIsBounded(t *testing.T) {
	t.Parallel()
	type step struct {
		body string
		want verdict
	}
	put := func(o *outbox, steps ...step) {
		t.Helper()
		for _, step := range steps {
			if got := o.put(outFrame{body: []byte(step.body)}, true); got != step.want {
				t.Fatalf("%s: %v, want %v", step.body, got, step.want)
			}
		}
	}
	o, f := fed(3, 10, false)
	put(o, step{"a frame that alone is too much", queued}, step{"b", overflown}) // in bytes
	f.take(nil)
	put(o, step{"a", queued}, step{"b", queued}, step{"c", queued},
		step{"d", crowded}, step{"e", crowded}, step{"f", crowded}, step{"g", overflown}) // in count
	batch, over := f.take(nil)
	if bodies(batch) != "abcdef" || over || batch[0].seq != 2 || batch[5].seq != 7 {
		t.Errorf("got %v", batch)
	}
	if batch, _ := f.take(batch); len(batch) != 0 {
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
		o, f := fed(1, 1000, true)
		o.put(outFrame{body: []byte("waiting, ")}, true)
		if first, attached := o.close(reason, []byte("last")); !first || !attached {
			t.Error("not the first to close")
		}
		if first, _ := o.close(CodeInternal, []byte("too late")); first {
			t.Error("closed twice")
		}
		if got := o.put(outFrame{body: []byte("late")}, true); got != refused {
			t.Errorf("put after the end: %v", got)
		}
		<-f.ready
		batch, over := f.take(nil)
		if got, closed := o.end(); bodies(batch) != want || !over || got != reason || f.code != reason || !closed {
			t.Errorf("%q: got %q, %v, %q, %v", reason, bodies(batch), over, got, closed)
		}
	}
}

// What a broken connection has swallowed comes once more, and what the client has does not.
func TestOutboxKeepsWhatIsUnconfirmed(t *testing.T) {
	t.Parallel()
	o, first := fed(4, 1000, true)
	for _, body := range []string{"1", "2", "3"} {
		o.put(outFrame{body: []byte(body)}, true)
	}
	o.put(outFrame{body: []byte("answer")}, false)
	if batch, _ := first.take(nil); bodies(batch) != "123answer" {
		t.Fatalf("took %q", bodies(batch))
	}
	o.confirm(1)
	o.put(outFrame{body: []byte("4")}, true)
	o.put(outFrame{body: []byte("another answer")}, false)
	o.put(outFrame{body: []byte("5")}, true)

	second := newFeed(func() {})
	if o.attach(second, 0, nil, nil) {
		t.Error("it went on from a frame that is gone")
	}
	if o.attach(second, 6, nil, nil) {
		t.Error("it went on from a frame that never was")
	}
	if !o.attach(second, 2, []byte("hello again "), []byte("replaced")) {
		t.Fatal("it doesn't go on")
	}
	if batch, over := first.take(nil); bodies(batch) != "replaced" || !over || first.code != CodeReplaced {
		t.Errorf("the one before got %q, %v, %q", bodies(batch), over, first.code)
	}
	if batch, over := second.take(nil); bodies(batch) != "hello again 345" || over || batch[3].seq != 5 {
		t.Errorf("got %v, %v", batch, over)
	}
	o.confirm(5)
	if len(o.queue)+o.taken+o.takenBytes+o.waitingBytes != 0 || o.store.used.Load() != 0 {
		t.Errorf("something is left: %+v", o)
	}
}

// Many that don't read fill the memory no further than the store allows, and don't take the others'
// share.
func TestOutboxesShareAStore(t *testing.T) {
	t.Parallel()
	shared := &store{limit: 100, share: 10}
	var boxes []*outbox
	for range 20 {
		o := newOutbox(1000, 1000, true, shared)
		boxes = append(boxes, o)
		for range 100 {
			o.put(outFrame{body: []byte("a")}, true)
		}
	}
	// The first takes all that it may itself, the others their share, and each one frame more than
	// that.
	if used := shared.used.Load(); used > 101+20*11 {
		t.Errorf("%d bytes", used)
	}
	for _, o := range boxes {
		if got := len(o.queue); got < 11 {
			t.Errorf("one got only %d bytes", got)
		}
		o.close(CodeKicked, nil)
	}
	if used := shared.used.Load(); used != 0 {
		t.Errorf("%d bytes are left", used)
	}
}

// No more is under way than may be lost.
func TestOutboxWaitsForConfirmation(t *testing.T) {
	t.Parallel()
	o, f := fed(2, 1000, true)
	for _, body := range []string{"1", "2", "3"} {
		o.put(outFrame{body: []byte(body)}, true)
	}
	if batch, _ := f.take(nil); bodies(batch) != "12" {
		t.Fatalf("took %q", bodies(batch))
	}
	if seq, urgent := o.progress(); seq != 2 || !urgent {
		t.Errorf("at %d, urgent %v", seq, urgent)
	}
	<-f.ready
	o.confirm(1)
	<-f.ready
	if batch, _ := f.take(nil); bodies(batch) != "3" {
		t.Errorf("took %q", bodies(batch))
	}
}
