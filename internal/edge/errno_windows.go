package edge

import "syscall"

// ErrInUse is the error of an address that another program listens on: WSAEADDRINUSE. The syscall
// package's EADDRINUSE is an invented number here.
const ErrInUse = syscall.Errno(10048)
