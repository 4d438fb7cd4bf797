//go:build !(linux && (amd64 || arm64 || riscv64 || loong64))

package socket

import (
	"net/netip"

	"signalbox/turnsvc/internal/wire"
)

func (direct) sendRun(wire.Run, uint16, netip.AddrPort, uint32) error { return errNoRuns }
