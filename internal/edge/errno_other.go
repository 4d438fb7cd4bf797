//go:build !windows

package edge

import "syscall"

// ErrInUse is the error of an address that another program listens on.
const ErrInUse = syscall.EADDRINUSE
