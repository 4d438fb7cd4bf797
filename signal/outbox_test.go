package signal

import (
	"strings"
	"testing"
)

func bodies(batch []item) (s string) {
	for _, it := range batch {
		for _, f := range it.frames {
			s += string(f.Body)
		}
	}
	return s
}

// said is a parcel of one frame.
func said(body string) *parcel { return ready([]Frame{{Body: []byte(body)}}) }

// take is what the feed's connection does.
func take(f *feed) (batch []item, over bool) {
	batch, o, over := f.take(nil)
	o.written(f)
	return batch, over
}

// fed is an outbox with a connection.
func fed(maxFrames, maxBytes int, keeps bool) (*outbox, *feed) {
	o, f := newOutbox(nil, maxFrames, maxBytes, keeps, &store{limit: 1 << 20}), newFeed(func() {})
	o.attach(f, nil)
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
			if got := o.put(said(step.body), true, sender{}); got != step.want {
				t.Fatalf("%s: %v, want %v", step.body, got, step.want)
			}
		}
	}
	o, f := fed(3, 10, false)
	put(o, step{"a frame that alone is too much", queued}, step{"b", overflown}) // in bytes
	take(f)
	put(o, step{"a", queued}, step{"b", queued}, step{"c", queued},
		step{"d", crowded}, step{"e", crowded}, step{"f", crowded}, step{"g", overflown}) // in count
	batch, over := take(f)
	if bodies(batch) != "abcdef" || over || batch[0].seq != 2 || batch[5].seq != 7 {
		t.Errorf("got %v", batch)
	}
	if batch, _ := take(f); len(batch) != 0 {
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
		o.put(said("waiting, "), true, sender{})
		if first, attached := o.close(reason, said("last")); !first || !attached {
			t.Error("not the first to close")
		}
		if first, _ := o.close(CodeInternal, said("too late")); first {
			t.Error("closed twice")
		}
		if got := o.put(said("late"), true, sender{}); got != late {
			t.Errorf("put after the end: %v", got)
		}
		<-f.ready
		batch, over := take(f)
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
		o.put(said(body), true, sender{})
	}
	o.put(said("answer"), false, sender{})
	if batch, _ := take(first); bodies(batch) != "123answer" {
		t.Fatalf("took %q", bodies(batch))
	}
	o.confirm(1)
	o.put(said("4"), true, sender{})
	o.put(said("another answer"), false, sender{})
	o.put(said("5"), true, sender{})

	second := newFeed(func() {})
	if o.resume(second, 0, said(""), nil) {
		t.Error("it went on from a frame that is gone")
	}
	if o.resume(second, 6, said(""), nil) {
		t.Error("it went on from a frame that never was")
	}
	if !o.resume(second, 2, said("hello again "), said("replaced")) {
		t.Fatal("it doesn't go on")
	}
	if batch, over := take(first); bodies(batch) != "replaced" || !over || first.code != CodeReplaced {
		t.Errorf("the one before got %q, %v, %q", bodies(batch), over, first.code)
	}
	if batch, over := take(second); bodies(batch) != "hello again 345" || over || batch[3].seq != 5 {
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
	each := said("a").memory()
	shared := &store{limit: 100 * each, share: 10}
	var boxes []*outbox
	somebody := &Session{}
	for range 20 {
		o := newOutbox(nil, 1000, 1000, true, shared)
		boxes = append(boxes, o)
		for range 100 {
			o.put(said("a"), true, sender{session: somebody})
		}
	}
	// The first takes all that it may itself, the others their share, and each one frame more than
	// that.
	if used := shared.used.Load(); used > int64((101+20*11)*each) {
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
		o.put(said(body), true, sender{})
	}
	if batch, _ := take(f); bodies(batch) != "12" {
		t.Fatalf("took %q", bodies(batch))
	}
	if seq, urgent := o.progress(); seq != 2 || !urgent {
		t.Errorf("at %d, urgent %v", seq, urgent)
	}
	<-f.ready
	o.confirm(1)
	<-f.ready
	if batch, _ := take(f); bodies(batch) != "3" {
		t.Errorf("took %q", bodies(batch))
	}
}

// When all outboxes together hold too much, those who read keep their sessions.
func TestFullStoreSparesThoseWhoRead(t *testing.T) {
	t.Parallel()
	shared, l := &store{limit: 1 << 20, share: 64 << 10}, defaultLimits()
	body := said(strings.Repeat("x", 60<<10))
	type reader struct {
		o *outbox
		f *feed
	}
	readers := make([]reader, 50)
	for i := range readers {
		readers[i].o, readers[i].f = newOutbox(nil, l.Backlog, l.Bytes, true, shared), newFeed(func() {})
		readers[i].o.attach(readers[i].f, nil)
	}
	for n := range 10 {
		for i, r := range readers {
			if got := r.o.put(body, true, sender{}); got != queued {
				t.Fatalf("frame %d of reader %d: verdict %v", n, i, got)
			}
			if batch, _ := take(r.f); len(batch) != 1 {
				t.Fatalf("frame %d of reader %d: %d frames", n, i, len(batch))
			}
		}
	}
}

// What a connection is still writing takes memory, also if nobody will ask for it again, and if
// memory is short.
func TestHub2WhatIsBeingWrittenCounts(t *testing.T) {
	t.Parallel()
	for _, keeps := range []bool{true, false} {
		o, f := fed(1000, 1000, keeps)
		put := func(body string) int {
			o.put(said(body), true, sender{})
			return int(o.store.used.Load())
		}
		large := strings.Repeat("x", 500)
		before := put(large)
		_, from, _ := f.take(nil)
		if got := int(o.store.used.Load()); got != before {
			t.Errorf("keeps %v: %d is held while it is written, want %d", keeps, got, before)
		}
		o.store.limit = 1
		if got := put("x"); got < before {
			t.Errorf("keeps %v: %d is held while it is written and memory is short, want %d", keeps, got, before)
		}
		from.written(f)
		o.store.limit = 1 << 20
		o.confirm(1)
		take(f)
		o.confirm(2)
		if got := o.store.used.Load(); got != 0 {
			t.Errorf("keeps %v: %d is held at the end", keeps, got)
		}
	}
}

// The store asks for memory from three quarters on; where nobody could forget anything, again only
// a sixteenth later, so that not each frame has all sessions looked at.
func TestStoreAsksSeldomForWhatNobodyHas(t *testing.T) {
	asked := 0
	st := &store{limit: 1600, full: func() { asked++ }}
	for _, step := range []struct{ bytes, asked int }{{1200, 0}, {1, 1}, {100, 1}, {1, 2}, {100, 2}, {1, 3}, {-1, 3}} {
		asked0 := asked
		if st.add(step.bytes); asked != step.asked {
			t.Fatalf("%d bytes are used, and it has asked %d times", st.used.Load(), asked)
		}
		if asked > asked0 {
			st.raise()
		}
	}
}
