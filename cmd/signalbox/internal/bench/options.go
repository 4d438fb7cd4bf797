package bench

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"signalbox/internal/turnclient"
)

// Options say what a run does. Check says whether they can be had.
type Options struct {
	Server turnclient.Address // resolved
	TLS    *tls.Config
	// Credential returns the username and password of a client, counted from 0.
	Credential func(client int) (user, password string, err error)

	Clients    int // each has an allocation
	ToRelay    bool
	PeerIP     netip.Addr // at which the server reaches our peers; none: the address that we reach it from
	Peers      int        // sockets that stand for all peers, in turns; 0: one for each processor
	Direction  Direction
	Send       bool // Send and Data indications, without channels
	Size       int  // of a payload, in bytes
	Burst      int  // packets that a client sends at once
	Rate       int  // packets a second in each direction, over all clients; 0: as many as go out
	NoSegments bool // no UDP_SEGMENT: each datagram goes to the kernel by itself

	WarmUp, Duration time.Duration
	PID              int // the server's process on this machine; 0: none is watched

	Progress func(Progress) // called now and then by one goroutine; may be nil
}

// Direction says who sends.
type Direction string

// Up is from client to peer, or from the first client of a pair to the second one; Down the other
// way round.
const (
	Up   Direction = "up"
	Down Direction = "down"
	Both Direction = "both"
)

// Bounds of a run. A run is so short that no allocation, permission or channel needs a refresh.
const (
	MaxClients  = 10000
	MaxDuration = time.Minute
	MaxWarmUp   = 10 * time.Second
	MinSize     = stampSize
	MaxSize     = 8192
	MaxBurst    = 64
	MaxRate     = 10_000_000
)

// Check reports what is wrong with the options, by the names of the flags.
func (o *Options) Check() error {
	least := 1
	if o.ToRelay {
		least = 2
	}
	var odd, direction, peers error
	if o.ToRelay && o.Clients%2 != 0 {
		odd = fmt.Errorf("--clients %d: relay to relay takes pairs", o.Clients)
	}
	if !slices.Contains([]Direction{Up, Down, Both}, o.Direction) {
		direction = fmt.Errorf("--direction %q: want up, down or both", o.Direction)
	}
	if o.Peers != 0 {
		peers = within("peers", o.Peers, 1, o.Clients)
	}
	return errors.Join(
		within("clients", o.Clients, least, MaxClients), odd, direction, peers,
		within("size", o.Size, MinSize, MaxSize),
		within("burst", o.Burst, 1, MaxBurst),
		within("rate", o.Rate, 0, MaxRate),
		span("duration", o.Duration, MaxDuration),
		span("warm-up", o.WarmUp, MaxWarmUp),
	)
}

// within reports a number that is out of its bounds, by the name of its flag.
func within(name string, n, least, most int) error {
	if n < least || n > most {
		return fmt.Errorf("--%s %d: want %d to %d", name, n, least, most)
	}
	return nil
}

// span is within for durations.
func span(name string, d, most time.Duration) error {
	const least = 100 * time.Millisecond
	if d < least || d > most {
		return fmt.Errorf("--%s %s: want %s to %s", name, d, least, most)
	}
	return nil
}

// directions lists which ways data goes.
func (o *Options) directions() []Direction {
	if o.Direction == Both {
		return []Direction{Up, Down}
	}
	return []Direction{o.Direction}
}
