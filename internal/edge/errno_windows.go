package edge

import "syscall"

// WSAEADDRINUSE; the syscall package's EADDRINUSE is an invented number here.
const errAddrInUse = syscall.Errno(10048)
