//go:build !(linux && (amd64 || arm64 || riscv64 || loong64))

package socket

import (
	"sync"

	"signalbox/turnsvc/internal/wire"
)

// Readers read relay sockets: here, a goroutine each.
type Readers struct {
	faults  *Faults
	running sync.WaitGroup
}

// NewReaders returns readers of no socket yet.
func NewReaders(faults *Faults) (*Readers, error) { return &Readers{faults: faults}, nil }

// Read passes the datagrams of a relay to handle until that is closed; see the function Read.
func (r *Readers) Read(relay *Relay, handle func([]wire.Datagram)) error {
	relay.trouble.faults = r.faults
	r.running.Go(func() { relay.receive(relay.conn, handle) })
	return nil
}

// Balance does nothing: the scheduler spreads the goroutines.
func (r *Readers) Balance() {}

// Pulses returns none: no reader serves many.
func (r *Readers) Pulses() []*Pulse { return nil }

// Close waits for the readers of sockets that are closed.
func (r *Readers) Close() { r.running.Wait() }
