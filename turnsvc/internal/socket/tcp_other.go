//go:build !linux

package socket

import "net"

func askFor(all int) int { return all }

// freeUnread makes it as much as most systems have. They don't choose again.
func freeUnread(conn *net.TCPConn) { _ = conn.SetReadBuffer(1 << 20) }

// room is what the kernel holds that is not on its way. Here it is not known.
type room struct{}

func newRoom(*net.TCPConn, int) room { return room{} }

// Path isn't known here.
func (*Sending) Path() (p Path, ok bool) { return p, false }

// Wait waits for nothing.
func (*Sending) Wait() error { return nil }
