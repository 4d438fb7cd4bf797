package client

import (
	"sync/atomic"
	"time"
)

// pulse remembers when the server was heard last.
type pulse struct {
	opened time.Time
	heard  atomic.Int64 // nanoseconds since opened
}

func newPulse() *pulse { return &pulse{opened: time.Now()} }

func (p *pulse) beat() { p.heard.Store(int64(time.Since(p.opened))) }

func (p *pulse) silence() time.Duration { return time.Since(p.opened) - time.Duration(p.heard.Load()) }
