package doctor

import (
	"errors"

	"golang.org/x/sys/windows"
)

// Sockets of Windows have error codes of their own; those of package syscall are made up there.

func isRefused(err error) bool { return errors.Is(err, windows.WSAECONNREFUSED) }

func isReset(err error) bool { return errors.Is(err, windows.WSAECONNRESET) }

// isNobody reports whether a network has said that no machine has the address, or that nobody may
// reach it. That may take longer than a step has, and so not be heard.
func isNobody(err error) bool { return errors.Is(err, windows.WSAEHOSTUNREACH) }

// hasNoWay reports whether this machine has no way to addresses of that family.
func hasNoWay(err error) bool {
	return errors.Is(err, windows.WSAENETUNREACH) || errors.Is(err, windows.WSAEADDRNOTAVAIL) ||
		errors.Is(err, windows.WSAEAFNOSUPPORT)
}
