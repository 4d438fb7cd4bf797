package bench

import (
	"fmt"
	"net"
	"net/netip"
	"sync/atomic"
	"time"
)

// flow is what one client, or a peer in its place, sends.
type flow struct {
	framing
	socket *udpSocket     // or
	stream net.Conn       // TCP or TLS
	to     netip.AddrPort // of a socket that is not connected
}

// sender sends bursts of all flows of one direction in turn, from one goroutine.
type sender struct {
	run    *run
	way    int // index of the meter
	flows  []flow
	burst  int
	pacer  pacer
	batch  *batch
	stream []byte // frames for a stream
	failed atomic.Pointer[error]
}

func newSender(r *run, way int, flows []flow, o *Options) *sender {
	return &sender{run: r, way: way, flows: flows, burst: o.Burst, batch: newBatch(!o.NoSegments),
		pacer: newPacer(float64(o.Rate)/float64(o.Burst), r.now())}
}

// maxPause bounds how long a sender does not look whether it shall stop.
const maxPause = 50 * time.Millisecond

// send sends until the window is over.
func (s *sender) send() {
	var pause pause
	pause.begin()
	s.pacer.began = s.run.now()
	for i := 0; !s.run.stopped.Load(); {
		now, sent := s.run.now(), false
		if now >= s.run.end {
			return
		}
		for ; now < s.run.end && len(s.batch.runs) < batchRuns/2 && s.pacer.take(now); now = s.run.now() {
			if err := s.emit(&s.flows[i], now); err != nil {
				s.fail(err)
				return
			}
			i, sent = (i+1)%len(s.flows), true
		}
		if err := s.batch.flush(); err != nil {
			s.fail(err)
			return
		}
		if !sent {
			pause.wait(min(time.Duration(s.pacer.next()-now), maxPause))
		}
	}
}

func (s *sender) fail(err error) {
	if !s.run.stopped.Load() && s.run.now() < s.run.end {
		s.failed.Store(&err)
	}
}

func (s *sender) failure() error {
	if err := s.failed.Load(); err != nil {
		return fmt.Errorf("the server ends the connection or the system refuses to send: %w", *err)
	}
	return nil
}

// emit sends a burst of a flow, or adds it to the batch.
func (s *sender) emit(f *flow, now int64) error {
	size := f.size(s.run.size)
	if f.stream != nil {
		if need := size * s.burst; len(s.stream) < need {
			s.stream = make([]byte, need)
		}
		s.fill(s.stream[:size*s.burst], f, now)
		_, err := f.stream.Write(s.stream[:size*s.burst])
		return err
	}
	for left := s.burst; left > 0; {
		count := min(left, batchBytes/size)
		if s.batch.socket != f.socket || s.batch.full(size*count) {
			if err := s.batch.flush(); err != nil {
				return err
			}
			s.batch.socket = f.socket
		}
		s.fill(s.batch.add(f.to, size, count), f, now)
		left -= count
	}
	return nil
}

// fill writes frames. What is behind a payload's stamp is whatever was there before.
func (s *sender) fill(room []byte, f *flow, now int64) {
	if now >= s.run.start {
		s.run.meters[s.way].sent.Add(int64(len(room) / f.size(s.run.size)))
	}
	mark := stamp{run: s.run.id, way: uint32(s.way), sent: now}
	for size := f.size(s.run.size); len(room) > 0; room = room[size:] {
		mark.put(room[copy(room, f.head):])
	}
}
