package access

import "time"

// freePatience is how long Free waits for a file system.
const freePatience = 2 * time.Second

// room is what a file system has left.
type room struct{ bytes, files uint64 }

var rooms = newRoomAsker(roomAt)

// Free returns how much room there is for users other than root where a path is; ok is false if
// nobody knows, or if the file system, such as one of the network, does not say within 2 s.
func Free(path string) (bytes, files uint64, ok bool) {
	r, ok := rooms.ask(path, freePatience)
	return r.bytes, r.files, ok
}

// roomAsker asks for room. A file system whose server is gone answers never, and holds a thread
// until then: so there is one question at a time.
type roomAsker struct {
	at   func(path string) (room, bool)
	busy chan struct{} // full while a question is out
}

func newRoomAsker(at func(path string) (room, bool)) *roomAsker {
	return &roomAsker{at, make(chan struct{}, 1)}
}

func (a *roomAsker) ask(path string, patience time.Duration) (r room, ok bool) {
	timeout := time.NewTimer(patience)
	defer timeout.Stop()
	select {
	case a.busy <- struct{}{}:
	case <-timeout.C:
		return room{}, false
	}
	answer := make(chan room, 1) // closed without one if nobody knows
	go func() {
		defer func() { <-a.busy }()
		defer close(answer)
		if r, ok := a.at(path); ok {
			answer <- r
		}
	}()
	select {
	case r, ok = <-answer:
		return r, ok
	case <-timeout.C:
		return room{}, false
	}
}
