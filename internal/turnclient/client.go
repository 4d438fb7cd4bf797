// Package turnclient is a small TURN client (RFC 8656) for commands that look at a server: one
// goroutine, one transaction at a time, every wait bounded by a context. It does not trust the
// server: an answer can only make a request fail.
package turnclient

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"slices"
	"time"

	"github.com/pion/stun/v3"

	"signalbox/internal/netaddr"
)

const (
	maxFrame = 65535
	// The first wait for an answer over UDP, then doubled. RFC 8489 §6.2.1 says 500 ms.
	firstWait  = 250 * time.Millisecond
	headerSize = 20
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
	handed         bool
	granted        time.Duration
}

// CodeError is a refusal by the server, with its STUN error code.
type CodeError struct {
	Code   int
	Reason string // the server's own text, which nobody should print as it is
}

func (e CodeError) Error() string { return fmt.Sprintf("the server answers %d", e.Code) }

// CodeOf returns the error code of a server's refusal; 0: err is none.
func CodeOf(err error) int {
	var e CodeError
	if errors.As(err, &e) {
		return e.Code
	}
	return 0
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
		c.exchange(ctx, stun.MethodRefresh, lifetimeOf(0)) //nolint:errcheck // it ends by itself, too
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

// setter adds an attribute.
type setter func(m *stun.Message)

func lifetimeOf(seconds uint32) setter {
	return func(m *stun.Message) { m.Add(stun.AttrLifetime, binary.BigEndian.AppendUint32(nil, seconds)) }
}

func requestedTransportUDP(m *stun.Message) {
	m.Add(stun.AttrRequestedTransport, []byte{17, 0, 0, 0}) // RFC 8656 §18.7
}

// requestedFamily is 1 for IPv4, 2 for IPv6 (RFC 8656 §18.8).
func requestedFamily(family byte) setter {
	return func(m *stun.Message) { m.Add(stun.AttrRequestedAddressFamily, []byte{family, 0, 0, 0}) }
}

func peerAddress(peer netip.AddrPort) setter {
	return func(m *stun.Message) {
		a := stun.XORMappedAddress{IP: peer.Addr().AsSlice(), Port: int(peer.Port())}
		_ = a.AddToAs(m, stun.AttrXORPeerAddress) // only an address of a wrong length fails
	}
}

// build makes a request, signed once the server has named its realm.
func (c *Client) build(method stun.Method, set ...setter) (*stun.Message, error) {
	m := &stun.Message{Type: stun.NewType(method, stun.ClassRequest), TransactionID: stun.NewTransactionID()}
	m.WriteHeader()
	for _, s := range set {
		s(m)
	}
	if c.key == nil || method == stun.MethodBinding {
		return m, nil
	}
	m.Add(stun.AttrUsername, []byte(c.user))
	m.Add(stun.AttrRealm, c.realm)
	m.Add(stun.AttrNonce, c.nonce)
	return m, c.key.AddTo(m)
}

// Binding asks the server for our address as it sees it.
func (c *Client) Binding(ctx context.Context) (netip.AddrPort, error) {
	answer, err := c.exchange(ctx, stun.MethodBinding)
	if err != nil {
		return netip.AddrPort{}, err
	}
	return addressIn(answer, stun.AttrXORMappedAddress)
}

// Login sets the credential for the requests that follow.
func (c *Client) Login(user, password string) {
	c.user, c.password, c.key = user, password, nil
}

// Lifetime is what an allocation asks for unless it is told otherwise: one that ^C leaves behind
// soon expires.
const Lifetime = time.Minute

// Allocate asks for a relayed transport address, of the family of like if the server has one.
func (c *Client) Allocate(ctx context.Context, like netip.Addr, lifetime time.Duration) (netip.AddrPort, error) {
	families := []setter{requestedFamily(1), requestedFamily(2)}
	if like.Is6() {
		slices.Reverse(families)
	}
	lasting := lifetimeOf(uint32(lifetime.Seconds()))
	answer, err := c.authenticated(ctx, stun.MethodAllocate, requestedTransportUDP, families[0], lasting)
	if CodeOf(err) == 440 {
		answer, err = c.authenticated(ctx, stun.MethodAllocate, requestedTransportUDP, families[1], lasting)
	}
	if err != nil {
		return netip.AddrPort{}, err
	}
	c.allocated = true
	if v, err := answer.Get(stun.AttrLifetime); err == nil && len(v) == 4 {
		c.granted = time.Duration(binary.BigEndian.Uint32(v)) * time.Second
	}
	return addressIn(answer, stun.AttrXORRelayedAddress)
}

// Granted is how long the allocation lasts without a refresh, as the server says.
func (c *Client) Granted() time.Duration { return c.granted }

// Permit asks for a permission for the peer's address.
func (c *Client) Permit(ctx context.Context, peer netip.AddrPort) error {
	_, err := c.authenticated(ctx, stun.MethodCreatePermission, peerAddress(peer))
	return err
}

// Bind binds a channel to a peer, which also permits it. Its number is 0x4000 to 0x4FFF.
func (c *Client) Bind(ctx context.Context, peer netip.AddrPort, channel uint16) error {
	number := func(m *stun.Message) { m.Add(stun.AttrChannelNumber, []byte{byte(channel >> 8), byte(channel), 0, 0}) }
	_, err := c.authenticated(ctx, stun.MethodChannelBind, number, peerAddress(peer))
	return err
}

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

// authenticated makes a request by RFC 8489 §9.2: the server challenges it first, and again when
// the nonce has become stale.
func (c *Client) authenticated(ctx context.Context, method stun.Method, set ...setter) (*stun.Message, error) {
	for try := 0; ; try++ {
		signed := c.key != nil
		answer, err := c.exchange(ctx, method, set...)
		code := CodeOf(err)
		switch {
		case try < 2 && (code == 401 && !signed || code == 438):
			if err := c.challenged(answer); err != nil {
				return nil, err
			}
			continue
		case err != nil:
			return nil, err
		case c.key == nil:
			return nil, errors.New("the server asks for no password")
		case c.key.Check(answer) != nil:
			return nil, errors.New("the answer is not signed with the password: something on the path answers in " +
				"place of the server")
		}
		return answer, nil
	}
}

// challenged takes realm and nonce from a refusal.
func (c *Client) challenged(refusal *stun.Message) error {
	realm, err1 := refusal.Get(stun.AttrRealm)
	nonce, err2 := refusal.Get(stun.AttrNonce)
	if err1 != nil || err2 != nil || len(realm) > 763 || len(nonce) > 763 { // RFC 8489 §14.9, §14.10
		return errors.New("the server's challenge has no proper realm and nonce")
	}
	c.realm, c.nonce = append([]byte(nil), realm...), append([]byte(nil), nonce...)
	c.key = stun.NewLongTermIntegrity(c.user, string(realm), c.password)
	return nil
}

// exchange sends a request and waits for its answer, until ctx is done. Over UDP it repeats the
// request. If the error is a CodeError, the answer is the refusal.
func (c *Client) exchange(ctx context.Context, method stun.Method, set ...setter) (*stun.Message, error) {
	request, err := c.build(method, set...)
	if err != nil {
		return nil, err
	}
	over, bounded := ctx.Deadline()
	if !bounded {
		return nil, errors.New("an exchange needs a deadline")
	}
	for wait := firstWait; ; wait *= 2 {
		if err := c.send(request.Raw, over); err != nil {
			return nil, c.why(ctx, err)
		}
		until := over
		if c.stream == nil && time.Now().Add(wait).Before(over) {
			until = time.Now().Add(wait)
		}
		answer, err := c.answer(ctx, request, until)
		if IsTimeout(err) && ctx.Err() == nil && until.Before(over) {
			continue
		}
		return answer, c.why(ctx, err)
	}
}

// answer reads frames until one is the request's answer.
func (c *Client) answer(ctx context.Context, request *stun.Message, until time.Time) (*stun.Message, error) {
	for {
		frame, err := c.read(ctx, until)
		if err != nil {
			return nil, err
		}
		m := parse(frame)
		if m == nil || m.TransactionID != request.TransactionID || m.Type.Method != request.Type.Method {
			continue
		}
		switch m.Type.Class {
		case stun.ClassSuccessResponse:
			return m, nil
		case stun.ClassErrorResponse:
			var e stun.ErrorCodeAttribute
			if e.GetFrom(m) != nil {
				return nil, errors.New("the server refuses without a code")
			}
			return m, CodeError{int(e.Code), string(e.Reason)}
		}
	}
}

// SendTo sends data to a peer through the relay, as a Send indication.
func (c *Client) SendTo(peer netip.AddrPort, data []byte, until time.Time) error {
	m := &stun.Message{Type: stun.NewType(stun.MethodSend, stun.ClassIndication),
		TransactionID: stun.NewTransactionID()}
	m.WriteHeader()
	peerAddress(peer)(m)
	m.Add(stun.AttrData, data)
	return c.send(m.Raw, until)
}

// Receive waits for data that a peer sent through the relay.
func (c *Client) Receive(ctx context.Context, until time.Time) (data []byte, peer netip.AddrPort, err error) {
	for {
		frame, err := c.read(ctx, until)
		if err != nil {
			return nil, peer, err
		}
		m := parse(frame)
		if m == nil || m.Type != stun.NewType(stun.MethodData, stun.ClassIndication) {
			continue
		}
		data, err1 := m.Get(stun.AttrData)
		peer, err2 := addressIn(m, stun.AttrXORPeerAddress)
		if err1 == nil && err2 == nil {
			return data, peer, nil
		}
	}
}

func (c *Client) send(b []byte, until time.Time) error {
	if err := c.conn.SetWriteDeadline(until); err != nil {
		return err
	}
	_, err := c.conn.Write(b)
	return err
}

// read returns the next frame, which is valid until the next read.
func (c *Client) read(ctx context.Context, until time.Time) ([]byte, error) {
	if err := c.conn.SetReadDeadline(until); err != nil {
		return nil, err
	}
	if ctx.Err() != nil { // ctx ended first, and this deadline has just replaced the one of its end
		return nil, ctx.Err()
	}
	if c.buf == nil {
		c.buf = make([]byte, maxFrame+1)
	}
	if c.stream != nil {
		return readFrame(c.stream, c.buf)
	}
	n, err := c.conn.Read(c.buf)
	return c.buf[:n], err
}

// why returns the context's error if the context ended the wait, else err.
func (c *Client) why(ctx context.Context, err error) error {
	if err != nil && ctx.Err() != nil && IsTimeout(err) {
		return ctx.Err()
	}
	return err
}

// readFrame reads one STUN message of a stream into buf. There is no other frame: who binds a
// channel takes the connection (Handover).
func readFrame(r io.Reader, buf []byte) ([]byte, error) {
	if _, err := io.ReadFull(r, buf[:4]); err != nil {
		return nil, err
	}
	size := headerSize + int(binary.BigEndian.Uint16(buf[2:4]))
	if buf[0]>>6 != 0 || size%4 != 0 || size > len(buf) {
		return nil, ErrNotSTUN
	}
	if _, err := io.ReadFull(r, buf[4:size]); err != nil {
		return nil, err
	}
	return buf[:size], nil
}

// ErrNotSTUN says that what came over a stream is no STUN message.
var ErrNotSTUN = errors.New("the program that answers there does not speak STUN")

// parse reads a STUN message from a copy of the frame; nil: the frame is not one.
func parse(frame []byte) *stun.Message {
	if len(frame) < headerSize || !stun.IsMessage(frame) ||
		headerSize+int(binary.BigEndian.Uint16(frame[2:4])) != len(frame) {
		return nil
	}
	m := &stun.Message{Raw: append([]byte(nil), frame...)}
	if m.Decode() != nil {
		return nil
	}
	return m
}

// addressIn reads an XOR-...-ADDRESS (RFC 8489 §14.2).
func addressIn(m *stun.Message, attr stun.AttrType) (netip.AddrPort, error) {
	value, err := m.Get(attr)
	if err != nil {
		return netip.AddrPort{}, fmt.Errorf("the answer has no %s", attr)
	}
	if len(value) != 8 && len(value) != 20 || value[1] != 1 && len(value) == 8 || value[1] != 2 && len(value) == 20 {
		return netip.AddrPort{}, fmt.Errorf("the answer's %s is malformed", attr)
	}
	mask := m.Raw[4:headerSize] // the magic cookie and the transaction ID
	port := binary.BigEndian.Uint16(value[2:4]) ^ binary.BigEndian.Uint16(mask)
	raw := append([]byte(nil), value[4:]...)
	for i := range raw {
		raw[i] ^= mask[i]
	}
	ip, _ := netip.AddrFromSlice(raw) // of a length that fits
	return netip.AddrPortFrom(ip.Unmap(), port), nil
}

// IsTimeout reports whether a deadline ended a wait.
func IsTimeout(err error) bool {
	var e net.Error
	return errors.As(err, &e) && e.Timeout()
}
