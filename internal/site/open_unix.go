//go:build unix

package site

import "syscall"

// doNotWait is the flag with which a named pipe opens at once.
const doNotWait = syscall.O_NONBLOCK
