package socket

import (
	"errors"
	"sync/atomic"
	"syscall"
	"time"
)

// errNoRuns says that this system sends no runs.
var errNoRuns = errors.New("runs of datagrams are not sent here")

// RunLimit knows how large the datagrams of a run to one destination may be: smaller than those
// that the system has refused lately, which it does with what does not fit the path.
type RunLimit struct{ refused atomic.Uint64 } // time in seconds of the clock, and bytes

// forgetRefusal is after how long a refusal is tried again: a path may become wider.
const forgetRefusal = 30 * time.Second

func (l *RunLimit) allows(size int) bool {
	refused := l.refused.Load()
	if refused == 0 || size < int(uint32(refused)) {
		return true
	}
	return time.Now().Unix()-int64(refused>>32) > int64(forgetRefusal/time.Second)
}

// refuse notes that the system refuses runs of such datagrams, and would take them one by one.
func (l *RunLimit) refuse(size int) { l.refused.Store(uint64(time.Now().Unix())<<32 | uint64(size)) }

// isRefusal reports whether datagrams were not sent because they were a run.
func isRefusal(err error) bool {
	switch err {
	case errNoRuns, syscall.EINVAL, syscall.EIO, syscall.EMSGSIZE, syscall.ENOPROTOOPT, syscall.EOPNOTSUPP:
		return true
	}
	return false
}

// endsRun reports whether the rest of a run would fail, too.
func endsRun(err error) bool { return err == ErrFull || err == ErrAbsent }
