package socket

import (
	"errors"
	"sync/atomic"
	"syscall"
)

// errNoRuns says that this system sends no runs.
var errNoRuns = errors.New("runs of datagrams are not sent here")

// runs knows how large the datagrams of a run may be on a socket: as large as those that the system
// has not refused yet. It refuses what does not fit the path, and all where it knows no runs.
type runs struct{ refused atomic.Int32 } // bytes; 0: nothing was

func (r *runs) allow(size int) bool {
	refused := r.refused.Load()
	return refused == 0 || size < int(refused)
}

func (r *runs) shrink(size int) { r.refused.Store(int32(size)) }

// isRefusal reports whether datagrams were not sent because they were a run.
func isRefusal(err error) bool {
	switch err {
	case errNoRuns, syscall.EINVAL, syscall.EIO, syscall.EMSGSIZE, syscall.ENOPROTOOPT, syscall.EOPNOTSUPP:
		return true
	}
	return false
}
