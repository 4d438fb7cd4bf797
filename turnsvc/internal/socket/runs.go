package socket

import (
	"sync/atomic"
	"syscall"
	"time"

	"signalbox/turnsvc/internal/wire"
)

// RunLimit knows how large the datagrams of a run to one destination may be: smaller than those
// that the system has refused lately, which it does with what does not fit the path.
type RunLimit struct{ refused atomic.Uint64 } // time in seconds of the clock, and bytes

// forgetRefusal is after how long a refusal is tried again: a path may become wider.
const forgetRefusal = 30 * time.Second

// send sends the packets of a run, the first of size bytes with its framing: by together, if they
// may and the system takes them so, else by single. It returns how much was sent, and why the rest
// was not.
func (l *RunLimit) send(run wire.Run, size int, may bool, together func() error, single func(wire.Packet) error) (
	packets, bytes int, err error,
) {
	asRun := may && l.allows(size)
	if asRun {
		if err = together(); err == nil {
			return len(run), run.Bytes(), nil
		}
		if !isRefusal(err) {
			return 0, 0, err
		}
	}
	err = nil
	for i := range run {
		if failed := single(run[i].Packet); failed == nil {
			packets, bytes = packets+1, bytes+run[i].N
		} else if err = failed; err == ErrFull || err == ErrAbsent { // so would the rest be
			return packets, bytes, err
		}
	}
	if asRun && err == nil { // it was refused for being a run
		l.refuse(size)
	}
	return packets, bytes, err
}

func (l *RunLimit) allows(size int) bool {
	if !canRun() {
		return false
	}
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
	case syscall.EINVAL, syscall.EIO, syscall.EMSGSIZE, syscall.ENOPROTOOPT, syscall.EOPNOTSUPP:
		return true
	}
	return false
}
