package main

import (
	"bytes"
	"errors"
	"io"
	"sync"
	"syscall"
	"time"
)

const (
	// queuedLines and queuedBytes bound what waits for whoever reads the log.
	queuedLines = 4096
	queuedBytes = 1 << 20
	// writePause is how long nothing is written after an error, such as a full disk.
	writePause = time.Second
	// farewell is how long the end of the program waits for whoever reads what it has written.
	farewell = 2 * time.Second
)

// lineQueue passes on lines in order, and whoever writes one never waits: a pipe may have nobody
// who reads it, or a journal that is busy. What finds no room is lost; so is all after it, until
// what waited has been written, and then a line says how many were.
type lineQueue struct {
	to   io.Writer
	loss func(lines uint64) []byte // the line that says so
	torn bool                      // run's own: the last line broke off

	closing chan struct{}
	ended   chan struct{} // run has

	mu     sync.Mutex
	more   sync.Cond // there is something for run to do
	lines  [][]byte
	size   int    // bytes of these
	lost   uint64 // since the start
	untold uint64 // of those, not said yet
	closed bool
}

// newLineQueue returns a queue that writes until it is closed.
func newLineQueue(to io.Writer, loss func(lines uint64) []byte) *lineQueue {
	q := &lineQueue{to: to, loss: loss, closing: make(chan struct{}), ended: make(chan struct{})}
	q.more.L = &q.mu
	go q.run()
	return q
}

// Write implements io.Writer, for whole lines. It never fails.
func (q *lineQueue) Write(line []byte) (int, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.untold > 0 || len(q.lines) == queuedLines || q.size+len(line) > queuedBytes {
		q.lost++
		q.untold++
	} else {
		q.lines = append(q.lines, bytes.Clone(line))
		q.size += len(line)
	}
	q.more.Signal()
	return len(line), nil
}

// Lost counts the lines that were never written.
func (q *lineQueue) Lost() uint64 {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.lost
}

// close writes what waits, within some time. Whoever writes from then on writes in vain.
func (q *lineQueue) close(patience time.Duration) {
	q.mu.Lock()
	if !q.closed {
		q.closed = true
		close(q.closing)
		q.more.Signal()
	}
	q.mu.Unlock()
	select {
	case <-q.ended:
	case <-time.After(patience):
	}
}

// run writes until the queue is closed and empty.
func (q *lineQueue) run() {
	defer close(q.ended)
	for {
		line, untold, ok := q.next()
		if !ok {
			return
		}
		lines := uint64(1)
		if untold > 0 {
			line, lines = q.loss(untold), untold
		}
		if q.write(line) == nil {
			continue
		}
		q.mu.Lock()
		q.untold += lines
		if untold == 0 {
			q.lost++
		}
		q.mu.Unlock()
		select {
		case <-q.closing:
			return
		case <-time.After(writePause):
		}
	}
}

// next waits for the next line, or for that about lines that would have come here.
func (q *lineQueue) next() (line []byte, untold uint64, ok bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for len(q.lines) == 0 && q.untold == 0 {
		if q.closed {
			return nil, 0, false
		}
		q.more.Wait()
	}
	if len(q.lines) == 0 {
		untold, q.untold = q.untold, 0
		return nil, untold, true
	}
	line = q.lines[0]
	q.lines[0] = nil // it is kept no longer than it waits
	q.lines = q.lines[1:]
	q.size -= len(line)
	return line, 0, true
}

// write writes a line, in parts if need be.
func (q *lineQueue) write(line []byte) error {
	if q.torn {
		line = append([]byte{'\n'}, line...)
	}
	for left := line; len(left) > 0; {
		n, err := q.to.Write(left)
		left = left[n:]
		switch {
		case errors.Is(err, syscall.EAGAIN): // somebody who shares it has made it non-blocking
			time.Sleep(10 * time.Millisecond)
			continue
		case err == nil && n == 0:
			err = io.ErrNoProgress
		}
		if err != nil {
			q.torn = q.torn || len(left) < len(line)
			return err
		}
	}
	q.torn = false
	return nil
}
