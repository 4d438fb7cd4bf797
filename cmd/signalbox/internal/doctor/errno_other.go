//go:build !windows

package doctor

import (
	"errors"
	"syscall"
)

func isRefused(err error) bool { return errors.Is(err, syscall.ECONNREFUSED) }

func isReset(err error) bool { return errors.Is(err, syscall.ECONNRESET) }

// isNobody reports whether a network has said that no machine has the address, or that nobody may
// reach it. That may take longer than a step has, and so not be heard.
func isNobody(err error) bool { return errors.Is(err, syscall.EHOSTUNREACH) }

// hasNoWay reports whether this machine has no way to addresses of that family.
func hasNoWay(err error) bool {
	return errors.Is(err, syscall.ENETUNREACH) || errors.Is(err, syscall.EADDRNOTAVAIL) ||
		errors.Is(err, syscall.EAFNOSUPPORT)
}
