package signal

import "sync/atomic"

// feed is one connection's hold on an outbox. One goroutine, the connection's writer, takes.
type feed struct {
	ready chan struct{} // capacity 1: there is something to take, or the end to see
	stop  func()        // wakes the connection's reader, since the end has come; called under the outbox's lock

	box  atomic.Pointer[outbox]
	code Code // owned by the writer: why it was over, once take has said so

	// Guarded by the outbox's lock.
	why  Code
	last *parcel // said in place of what waits; nil = nothing
}

func newFeed(stop func()) *feed { return &feed{ready: make(chan struct{}, 1), stop: stop} }

// take returns what the client may get now, in a slice that reuses emptied, the outbox that it is
// from, and whether that was the end.
func (f *feed) take(emptied []item) (batch []item, from *outbox, over bool) {
	for {
		o := f.box.Load()
		batch, over = o.take(f, emptied)
		if !over || f.box.Load() == o { // else it was moved to another outbox meanwhile
			return batch, o, over
		}
	}
}

func (f *feed) wake() {
	select {
	case f.ready <- struct{}{}:
	default:
	}
}
