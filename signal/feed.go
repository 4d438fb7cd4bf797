package signal

import "sync/atomic"

// feed is one connection's hold on an outbox. One goroutine, the connection's writer, takes. It may
// go when there is nothing to take: then the next wake starts another.
type feed struct {
	ready chan struct{} // capacity 1: there is something to take, or the end to see
	stop  func()        // has the connection's reader see the end; called under the outbox's lock
	write func()        // the writer, where one goes; set before it does for the first time
	gone  atomic.Bool   // there is no writer

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

// wake has the writer take soon. It never blocks.
func (f *feed) wake() {
	if f.call() {
		go f.write()
	}
}

// call leaves word for the writer, and reports whether the caller must start it.
func (f *feed) call() (gone bool) {
	select {
	case f.ready <- struct{}{}:
	default:
	}
	return f.gone.CompareAndSwap(true, false)
}

// dismiss lets the writer go, unless there is something to take: whoever wakes the feed either
// finds it gone, or has left word before.
func (f *feed) dismiss() (goes bool) {
	f.gone.Store(true)
	return len(f.ready) == 0 || !f.gone.CompareAndSwap(true, false)
}
