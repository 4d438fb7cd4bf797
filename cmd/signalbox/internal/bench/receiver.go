package bench

import (
	"net"
)

// atPeer receives what relays send to a peer: payloads.
func (r *run) atPeer(s *udpSocket, p *inboxes) {
	s.receive(p, r.now, r.count)
}

// atClient receives what the server sends to a client: frames.
func (r *run) atClient(s *udpSocket, p *inboxes) {
	s.receive(p, r.now, func(frame []byte, now int64) {
		if payload := payloadOf(frame); payload != nil {
			r.count(payload, now)
		}
	})
}

// atStream does the same on a stream, of which rest has been read already.
func (r *run) atStream(conn net.Conn, rest []byte) {
	const room = 128 << 10 // one frame at least
	buf := make([]byte, room)
	filled := copy(buf, rest)
	for {
		n, err := conn.Read(buf[filled:])
		if err != nil {
			return
		}
		now := r.now()
		filled += n
		at := 0
		for {
			size := frameSize(buf[at:filled])
			if size == 0 || at+size > filled {
				break
			}
			if payload := payloadOf(buf[at : at+size]); payload != nil {
				r.count(payload, now)
			}
			at += size
		}
		filled = copy(buf, buf[at:filled])
	}
}
