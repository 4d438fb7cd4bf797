package engine

import (
	"errors"
	"net"
	"runtime"
	"time"
)

type canonical struct {
	raw    []byte
	client net.Addr
}

// conn is the net.PacketConn that pion serves, and its relay address generator. pion's next
// ReadFrom shows that it has handled the previous request, so an exchange works like a call.
type conn struct {
	local    net.Addr // pion's own
	requests chan canonical
	done     chan struct{}
	closed   chan struct{}

	// Owned by exchange, then by pion's goroutine until done.
	answer  []byte
	relayed *net.UDPAddr
	busy    bool // owned by pion's goroutine
}

func (c *conn) exchange(r canonical) ([]byte, error) {
	c.answer = c.answer[:0]
	select {
	case c.requests <- r:
	case <-c.closed:
		return nil, errClosed
	}
	<-c.done
	return c.answer, nil
}

func (c *conn) ReadFrom(b []byte) (int, net.Addr, error) {
	if c.busy {
		c.busy = false
		c.done <- struct{}{}
	}
	select {
	case r := <-c.requests:
		c.busy = true
		return copy(b, r.raw), r.client, nil
	case <-c.closed:
		return 0, nil, net.ErrClosed
	}
}

func (c *conn) WriteTo(b []byte, _ net.Addr) (int, error) {
	c.answer = append(c.answer[:0], b...)
	return len(b), nil
}

func (c *conn) Close() error                     { return nil }
func (c *conn) LocalAddr() net.Addr              { return c.local }
func (c *conn) SetDeadline(time.Time) error      { return nil }
func (c *conn) SetReadDeadline(time.Time) error  { return nil }
func (c *conn) SetWriteDeadline(time.Time) error { return nil }

func (c *conn) Validate() error { return nil }

func (c *conn) AllocatePacketConn(string, int) (net.PacketConn, net.Addr, error) {
	return relay{addr: c.relayed}, c.relayed, nil
}

func (c *conn) AllocateConn(string, int) (net.Conn, net.Addr, error) {
	return nil, nil, errors.ErrUnsupported
}

// relay is a stand-in that pion gets for a relay socket. The real socket is ours.
type relay struct {
	net.PacketConn // nil: nothing else of it is called
	addr           net.Addr
}

func (relay) ReadFrom([]byte) (int, net.Addr, error) {
	// An error would make pion delete whatever allocation has this client by then.
	runtime.Goexit()
	return 0, nil, net.ErrClosed
}
func (r relay) LocalAddr() net.Addr { return r.addr }
func (relay) Close() error          { return nil }

// clientAddr is the address under which pion knows a client: its number, in an IPv6 address.
func clientAddr(client uint64) *net.UDPAddr {
	ip := make(net.IP, net.IPv6len)
	ip[0] = 0xfd
	for i := range 8 {
		ip[15-i] = byte(client >> (8 * i))
	}
	return &net.UDPAddr{IP: ip, Port: 1}
}
