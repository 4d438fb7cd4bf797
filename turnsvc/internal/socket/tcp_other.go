//go:build !linux

package socket

import (
	"net"
	"time"
)

func sendRoom(all int) int { return all }

// room is what the kernel holds that is not on its way. Here it is not known.
type room struct{}

func newRoom(*net.TCPConn, int) room { return room{} }

// MinRTT isn't known here.
func (*Sending) MinRTT() time.Duration { return 0 }

// Wait waits for nothing.
func (*Sending) Wait() error { return nil }
