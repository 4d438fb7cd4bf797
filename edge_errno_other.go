//go:build !windows

package signalbox

import "syscall"

const errAddrInUse = syscall.EADDRINUSE
