package dtls

import (
	"sync"
	"time"

	"golang.org/x/time/rate"

	"signalbox/internal/source"
)

// Bounds of a handshake's cost. A spoofed ClientHello holds a place at most until a cookie would be
// back. When all places are taken, a handshake whose cookie is still out is given up, so that a
// flood slows honest clients down instead of keeping them out.
const (
	handshakeLimit     = 256 // at once, in all
	handshakePerSource = 32  // at once, of one source
	handshakeTime      = 2 * time.Second
	// helloRate bounds the cost of new ClientHellos: each takes about 0.1 ms to make a key pair,
	// and 22 KiB of memory while it lasts.
	helloRate, helloBurst = 1000, handshakeLimit
	// handshakeDatagrams and handshakeDatagram bound what a client may send in a handshake, and so
	// what is kept.
	handshakeDatagrams, handshakeDatagram = 32, 2048
	// retransmitDatagrams bounds the handshake's datagrams that may come after it: the client
	// repeats its last flight if the answer was lost, and pion keeps what comes.
	retransmitDatagrams = 16
)

// handshakes are the handshakes under way on all sockets.
type handshakes struct {
	now    func() time.Time
	hellos *rate.Limiter

	mu        sync.Mutex
	all       map[*pipe]struct{}
	unproven  map[*pipe]struct{} // those whose cookie is still out
	perSource *source.Crowd
}

func newHandshakes(now func() time.Time) *handshakes {
	return &handshakes{
		now: now, hellos: rate.NewLimiter(helloRate, helloBurst), all: map[*pipe]struct{}{},
		unproven: map[*pipe]struct{}{}, perSource: source.NewCrowd(0, handshakePerSource),
	}
}

// begin reports whether there is room for one more. If not, it makes room for the next: the client
// asks again.
func (h *handshakes) begin(p *pipe) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	leave, ok := h.perSource.Enter(p.peer.Addr())
	if !ok {
		return false
	}
	if !h.hellos.AllowN(h.now(), 1) {
		leave()
		return false
	}
	if len(h.all) >= handshakeLimit {
		leave()
		for old := range h.unproven { // any: ranging over a map begins anywhere
			delete(h.unproven, old)
			old.Close()
			break
		}
		return false
	}
	p.leave = leave
	h.all[p] = struct{}{}
	h.unproven[p] = struct{}{}
	return true
}

// proven marks a handshake whose client has returned the cookie, and so receives at its address.
func (h *handshakes) proven(p *pipe) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.unproven, p)
}

// end gives the place back.
func (h *handshakes) end(p *pipe) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.all, p)
	delete(h.unproven, p)
	p.leave()
}
