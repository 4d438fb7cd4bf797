//go:build !(linux && (amd64 || arm64 || riscv64 || loong64))

package socket

import (
	"errors"
	"net/netip"

	"signalbox/turnsvc/internal/wire"
)

// canRun: only Linux sends runs.
func canRun() bool { return false }

func (direct) sendRun(wire.Run, uint16, netip.AddrPort, uint32) error { return errors.ErrUnsupported }
