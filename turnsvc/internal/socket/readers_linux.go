//go:build linux && (amd64 || arm64 || riscv64 || loong64)

package socket

import (
	"math/rand/v2"
	"runtime"
	"sync"

	"signalbox/turnsvc/internal/wire"
)

// Readers read relay sockets: a few goroutines, as many as run at a time, share them all.
type Readers struct {
	faults  *Faults
	watches []*watch
	before  []uint64 // what each had read when Balance was called last
	running sync.WaitGroup
}

// NewReaders returns readers of no socket yet, until Close.
func NewReaders(faults *Faults) (*Readers, error) {
	r := &Readers{faults: faults}
	for range runtime.GOMAXPROCS(0) {
		w, err := newWatch()
		if err != nil {
			r.Close()
			return nil, err
		}
		r.watches, r.before = append(r.watches, w), append(r.before, 0)
		r.running.Go(w.run)
	}
	return r, nil
}

// Read passes the datagrams of a relay to handle until that is closed; see the function Read.
// handle waits for nothing: it holds up others. One goroutine calls Read.
func (r *Readers) Read(relay *Relay, handle func([]wire.Datagram)) error {
	relay.trouble.faults, relay.handle = r.faults, handle
	relay.mu.Lock()
	defer relay.mu.Unlock()
	return r.watches[rand.IntN(len(r.watches))].add(&relay.relaySocket)
}

// Pulses are those of the readers.
func (r *Readers) Pulses() []*Pulse {
	list := make([]*Pulse, len(r.watches))
	for i, w := range r.watches {
		list[i] = &w.pulse
	}
	return list
}

// Close ends the readers. Sockets that are open are read no more.
func (r *Readers) Close() {
	for _, w := range r.watches {
		w.poll.Close()
	}
	r.running.Wait()
}
