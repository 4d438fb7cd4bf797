//go:build linux && (amd64 || arm64 || riscv64 || loong64)

package bench

import (
	"runtime"
	"time"

	"golang.org/x/sys/unix"
)

// pause waits in the kernel, by a thread of its own whose timers may not be late: Go's own timers
// are of a millisecond.
type pause struct{}

func (pause) begin() {
	runtime.LockOSThread() // never unlocked: the thread ends with its goroutine
	_ = unix.Prctl(unix.PR_SET_TIMERSLACK, 1, 0, 0, 0)
}

func (pause) wait(d time.Duration) {
	at := unix.NsecToTimespec(int64(d))
	_ = unix.Nanosleep(&at, nil) // a signal ends it early, which does no harm
}
