//go:build !windows

package edge

import "syscall"

const errAddrInUse = syscall.EADDRINUSE
