//go:build !linux

package socket

import "net"

func sendRoom(all int) int { return all }

func boundUnsent(*net.TCPConn, int) {}
