// Package turnclient is a small TURN client (RFC 8656) for commands and the self-test, which look
// at a server: one goroutine, one transaction at a time, every wait bounded by a context. It does
// not trust the server: an answer can only make a request fail.
package turnclient

import (
	"bufio"
	"context"
	"crypto/tls"
	"net"
	"net/netip"
	"slices"
	"time"

	"github.com/pion/stun/v3"

	"signalbox/internal/netaddr"
)

// Client talks to one STUN or TURN server over one connection.
type Client struct {
	conn   net.Conn
	stream *bufio.Reader // nil: UDP
	buf    []byte        // lent by read until the next one; nil: there is none now
	forget func() bool   // stops watching the context

	user, password string
	realm, nonce   []byte
	key            stun.MessageIntegrity
	allocated      bool
	handed         bool          // somebody else reads the connection: see Handover
	granted        time.Duration // lifetime of the allocation
}

// Dial connects to a server. life bounds the client's whole life, within bounds the wait for the
// connection.
func Dial(life, within context.Context, at Address, conf *tls.Config) (*Client, error) {
	ctx, cancel := context.WithCancel(life)
	stop := context.AfterFunc(within, cancel)
	c, err := dial(ctx, at, conf)
	if !stop() && err == nil {
		c.Close()
		err = within.Err()
	}
	if err != nil {
		cancel()
		if within.Err() != nil {
			err = within.Err()
		}
		return nil, err
	}
	forget := c.forget
	c.forget = func() bool { defer cancel(); return forget() }
	return c, nil
}

func dial(ctx context.Context, at Address, conf *tls.Config) (*Client, error) {
	network := "udp"
	if at.Transport != "udp" {
		network = "tcp"
	}
	conn, err := new(net.Dialer).DialContext(ctx, network, at.Addr.String())
	if err != nil {
		return nil, err
	}
	c := &Client{conn: conn}
	c.forget = context.AfterFunc(ctx, func() { conn.SetDeadline(time.Unix(1, 0)) })
	if at.Transport == "tls" {
		conf = conf.Clone()
		conf.ServerName = at.Host
		conf.NextProtos = nil
		secure := tls.Client(conn, conf)
		if err := secure.HandshakeContext(ctx); err != nil {
			c.Close()
			return nil, err
		}
		c.conn = secure
	}
	if network == "tcp" {
		c.stream = bufio.NewReader(c.conn)
	}
	return c, nil
}

// goodbye is how long Close waits for the server to confirm that the allocation is gone. Until then
// it counts against the limits of the next one.
const goodbye = 500 * time.Millisecond

// Close ends the allocation and the connection. The end of a stream ends its allocation.
func (c *Client) Close() {
	c.forget()
	_, datagrams := c.conn.(*net.UDPConn)
	if c.allocated && (datagrams || !c.handed) {
		ctx, cancel := context.WithTimeout(context.Background(), goodbye)
		c.exchange(ctx, stun.MethodRefresh, lifetimeOf(0)) //nolint:errcheck // it also expires
		cancel()
	}
	c.conn.Close()
}

// Drop closes the connection and leaves the allocation to expire.
func (c *Client) Drop() {
	c.forget()
	c.conn.Close()
}

// LocalIP is the address from which the client reaches the server.
func (c *Client) LocalIP() netip.Addr { return netaddr.Of(c.conn.LocalAddr().String()) }

// Rest gives memory back until the next request.
func (c *Client) Rest() { c.buf = nil }

// Handover returns the connection, for data, to a caller who from then on reads it alone, and the
// bytes of a stream that have been read already. The client then needs little memory. Its Close
// still ends the allocation, once the caller reads no more. The end of the client's life no longer
// ends what the caller does.
func (c *Client) Handover() (conn net.Conn, rest []byte) {
	if c.stream != nil {
		rest, _ = c.stream.Peek(c.stream.Buffered()) // that many there are
		rest = slices.Clone(rest)
	}
	c.handed, c.stream, c.buf = true, nil, nil
	c.conn.SetDeadline(time.Time{}) // of the last exchange
	return c.conn, rest
}
