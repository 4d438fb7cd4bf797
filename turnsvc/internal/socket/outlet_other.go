//go:build !(linux && (amd64 || arm64 || riscv64 || loong64))

package socket

import (
	"errors"
	"net/netip"
	"syscall"

	"signalbox/turnsvc/internal/wire"
)

// exit is a socket for sending only. Here there is none.
type exit struct{}

func openExit(netip.AddrPort, uint32) (*exit, error) { return nil, errors.ErrUnsupported }

func (*exit) enter() bool                                           { return false }
func (*exit) leave()                                                {}
func (*exit) send([]byte, netip.AddrPort, uint32) (e syscall.Errno) { return e }

func (*exit) sendRun(wire.Run, uint16, netip.AddrPort) syscall.Errno { return syscall.ENOPROTOOPT }
