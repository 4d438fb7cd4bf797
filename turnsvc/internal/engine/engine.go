// Package engine is pion/turn v4.1.4, used as a library that keeps the books of allocations,
// permissions and channels. Nothing else imports pion/turn, so replacing it changes only this
// package.
//
// The engine is pion's server behind a connection of ours, which carries only requests that this
// package built: pion never sees a byte that a stranger wrote. Each quirk of pion that this avoids
// has a test, here or in turnsvc/pion_test.go:
//
//   - Requests come one at a time, and pion handles each in the goroutine of its read loop. So it
//     creates and deletes in one goroutine, and its handlers can't race with a closing allocation.
//   - A relay conn's ReadFrom ends pion's relay goroutine at once: pion never waits on a socket, no
//     late read error deletes the next allocation of the same client, and an idle allocation costs
//     no goroutine of pion's.
//   - Clients are numbered, not addressed. Two clients that share a source and differ in the
//     address they came in on can't be merged.
//   - pion's own lifetime timer would delete in a goroutine of its own. The caller ends every
//     allocation before that, on its own clock.
//   - An allocation is born with 4 KB for permissions that it has not; slim.go takes them back.
package engine

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"runtime"
	"time"

	"github.com/pion/logging"
	"github.com/pion/stun/v3"
	"github.com/pion/turn/v4"

	"signalbox/turnsvc/internal/wire"
)

// Lifetime is how long pion keeps an allocation that is not refreshed. It is the longest that pion
// grants: it would turn an hour or more into ten minutes. An allocation must end before that.
const Lifetime = 3599 * time.Second

const (
	realm    = "engine"
	username = "gate"
	// nonceAge is when a nonce of pion's is replaced; they are good for an hour.
	nonceAge = 30 * time.Minute
	mtu      = 8192
)

// refused is pion's error answer to a canonical request: a STUN error code, or 0 if it gave none.
type refused int

func (r refused) Error() string {
	return fmt.Sprintf("the TURN engine refused the request with code %d", int(r))
}

var errClosed = errors.New("the TURN engine is closed")

// Engine is a pion server. Call its methods from one goroutine. They return an error if pion
// refuses.
type Engine struct {
	conn      *conn
	key       stun.MessageIntegrity
	nonce     stun.Nonce
	harvested time.Time
	now       func() time.Time
	slimmer   slimmer
}

// New starts an engine. It forgets channels that are not refreshed within channelTimeout. pion's
// warnings and errors go to log.
func New(key []byte, channelTimeout time.Duration, now func() time.Time, log *slog.Logger) (*Engine, error) {
	e := &Engine{
		conn: &conn{
			local:    clientAddr(0),
			requests: make(chan canonical), done: make(chan struct{}), closed: make(chan struct{}),
		},
		key: stun.MessageIntegrity(key),
		now: now,
	}
	server, err := turn.NewServer(turn.ServerConfig{
		Realm: realm,
		AuthHandler: func(string, string, net.Addr) ([]byte, bool) {
			return key, true
		},
		PacketConnConfigs: []turn.PacketConnConfig{{
			PacketConn:            e.conn,
			RelayAddressGenerator: e.conn,
			PermissionHandler:     func(net.Addr, net.IP) bool { return true }, // the gate has decided
		}},
		ChannelBindTimeout: channelTimeout,
		InboundMTU:         mtu,
		LoggerFactory:      Log{log},
	})
	if err != nil {
		return nil, fmt.Errorf("start the TURN engine: %w", err)
	}
	e.slimmer = slimmerOf(server)
	return e, nil
}

// Allocate enters an allocation that relays on relayed.
func (e *Engine) Allocate(client uint64, relayed netip.AddrPort) error {
	e.conn.relayed = net.UDPAddrFromAddrPort(relayed)
	if err := e.request(client, stun.MethodAllocate, requestedTransportUDP{}, lifetime(Lifetime)); err != nil {
		return err
	}
	e.slimmer.slim(clientAddr(client), e.conn.LocalAddr())
	return nil
}

// Refresh keeps the allocation in pion's books for as long as pion can.
func (e *Engine) Refresh(client uint64) error {
	return e.request(client, stun.MethodRefresh, lifetime(Lifetime))
}

// Remove deletes the allocation. It is the only way in which one ends.
func (e *Engine) Remove(client uint64) error {
	return e.request(client, stun.MethodRefresh, lifetime(0))
}

// Permit installs or refreshes permissions.
func (e *Engine) Permit(client uint64, peers []netip.Addr) error {
	setters := make([]stun.Setter, len(peers))
	for i, ip := range peers {
		setters[i] = peerAddress(netip.AddrPortFrom(ip, 0))
	}
	return e.request(client, stun.MethodCreatePermission, setters...)
}

// Bind installs or refreshes a channel and its permission.
func (e *Engine) Bind(client uint64, number uint16, peer netip.AddrPort) error {
	err := e.request(client, stun.MethodChannelBind, channelNumber(number), peerAddress(peer))
	if err == refused(stun.CodeBadRequest) {
		// The gate has checked that the two belong together. pion, which looks them up one after
		// the other, may be forgetting this channel just now.
		err = e.request(client, stun.MethodChannelBind, channelNumber(number), peerAddress(peer))
	}
	return err
}

// request lets pion handle one request of ours, signed with its own nonce.
func (e *Engine) request(client uint64, method stun.Method, setters ...stun.Setter) error {
	for range 2 { // again only after a stale nonce, which a clock that was set forward makes
		if e.nonce == nil || e.now().Sub(e.harvested) > nonceAge {
			if err := e.harvest(); err != nil {
				return err
			}
		}
		all := append([]stun.Setter{stun.TransactionID, stun.NewType(method, stun.ClassRequest)}, setters...)
		all = append(all, stun.NewUsername(username), stun.NewRealm(realm), e.nonce, e.key)
		answer, err := e.exchange(client, all...)
		if err != nil {
			return err
		}
		if answer.Type.Class == stun.ClassSuccessResponse {
			return nil
		}
		code := errorCode(answer)
		if code != refused(stun.CodeStaleNonce) {
			return code
		}
		e.nonce = nil
	}
	return refused(stun.CodeStaleNonce)
}

// harvest asks pion for a nonce, as any client would: by a request without credentials.
func (e *Engine) harvest() error {
	answer, err := e.exchange(0, stun.TransactionID, stun.NewType(stun.MethodAllocate, stun.ClassRequest))
	if err != nil {
		return err
	}
	var nonce stun.Nonce
	if err := nonce.GetFrom(answer); err != nil {
		return fmt.Errorf("ask the TURN engine for a nonce: %w", err)
	}
	e.nonce, e.harvested = nonce, e.now()
	return nil
}

func (e *Engine) exchange(client uint64, setters ...stun.Setter) (*stun.Message, error) {
	msg, err := stun.Build(setters...)
	if err != nil {
		return nil, fmt.Errorf("build a request for the TURN engine: %w", err)
	}
	raw, err := e.conn.exchange(canonical{msg.Raw, clientAddr(client)})
	if err != nil {
		return nil, err
	}
	if len(raw) == 0 {
		return nil, refused(0) // pion gives no answer where it knows no allocation
	}
	answer := &stun.Message{Raw: append([]byte(nil), raw...)}
	if err := answer.Decode(); err != nil {
		return nil, fmt.Errorf("read the TURN engine's answer: %w", err)
	}
	return answer, nil
}

// Close ends pion's read loop, which removes the remaining allocations.
func (e *Engine) Close() { close(e.conn.closed) }

func errorCode(m *stun.Message) refused {
	var code stun.ErrorCodeAttribute
	if code.GetFrom(m) != nil {
		return 0
	}
	return refused(code.Code)
}

// clientAddr is the address under which pion knows a client: its number, in an IPv6 address.
func clientAddr(client uint64) *net.UDPAddr {
	ip := make(net.IP, net.IPv6len)
	ip[0] = 0xfd
	for i := range 8 {
		ip[15-i] = byte(client >> (8 * i))
	}
	return &net.UDPAddr{IP: ip, Port: 1}
}

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

// The attributes of canonical requests. pion's own types for them are internal.

type requestedTransportUDP struct{}

func (requestedTransportUDP) AddTo(m *stun.Message) error {
	m.Add(stun.AttrRequestedTransport, []byte{wire.ProtocolUDP, 0, 0, 0})
	return nil
}

type lifetime time.Duration

func (l lifetime) AddTo(m *stun.Message) error {
	s := uint32(time.Duration(l) / time.Second)
	m.Add(stun.AttrLifetime, []byte{byte(s >> 24), byte(s >> 16), byte(s >> 8), byte(s)})
	return nil
}

type channelNumber uint16

func (n channelNumber) AddTo(m *stun.Message) error {
	m.Add(stun.AttrChannelNumber, []byte{byte(n >> 8), byte(n), 0, 0})
	return nil
}

type peerAddress netip.AddrPort

func (p peerAddress) AddTo(m *stun.Message) error {
	addr := netip.AddrPort(p)
	return stun.XORMappedAddress{IP: addr.Addr().AsSlice(), Port: int(addr.Port())}.AddToAs(m, stun.AttrXORPeerAddress)
}

// Log is a logger for pion that passes on its warnings and errors. The rest would be formatted for
// each packet, so it is left out.
type Log struct{ To *slog.Logger }

// NewLogger implements logging.LoggerFactory.
func (p Log) NewLogger(string) logging.LeveledLogger { return p }

func (Log) Trace(string)          {}
func (Log) Tracef(string, ...any) {}
func (Log) Debug(string)          {}
func (Log) Debugf(string, ...any) {}
func (Log) Info(string)           {}
func (Log) Infof(string, ...any)  {}
func (p Log) Warn(msg string)     { p.To.Warn("turn engine", "msg", msg) }
func (p Log) Error(msg string)    { p.To.Error("turn engine", "msg", msg) }
func (p Log) Warnf(format string, args ...any) {
	p.Warn(fmt.Sprintf(format, args...))
}
func (p Log) Errorf(format string, args ...any) {
	p.Error(fmt.Sprintf(format, args...))
}
