//go:build !linux

package socket

import "net"

func askFor(all int) int { return all }

// room is what the kernel holds that is not on its way. Here it is not known.
type room struct{}

func newRoom(*net.TCPConn, int) room { return room{} }

// Path isn't known here.
func (*Sending) Path() (p Path, ok bool) { return p, false }

// Try writes nothing.
func (*Sending) Try([]byte, bool) int { return 0 }

// Wait waits for nothing.
func (*Sending) Wait() error { return nil }
