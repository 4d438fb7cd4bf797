package turnsvc

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"runtime"
	"time"

	"signalbox/turnsvc/internal/wire"

	"github.com/pion/logging"
	"github.com/pion/stun/v3"
	"github.com/pion/turn/v4"
)

// This file alone knows pion/turn. The engine is pion's server behind a connection of ours that
// carries nothing but requests that we built: pion keeps the books of allocations, permissions and
// channels, and never sees a byte that a stranger wrote. Each quirk of v4.1.4 that this closes has
// a test in pion_test.go:
//
//   - Requests come one at a time, and pion handles each in the goroutine of its read loop. So it
//     creates and deletes in one
//     goroutine, and the races between its handlers and a closing allocation can't happen.
//   - A relay conn's ReadFrom ends pion's relay goroutine at once: nothing of pion waits on a
//     socket, no late read error deletes the
//     next allocation of the same client, and an idle allocation costs no goroutine of pion's.
//   - Clients are numbered, not addressed. Two clients that share a source and differ in the
//     address they came in on can't be merged.
//   - Its own lifetime timer would delete in a goroutine of its own. The books end every allocation
//     before that, on our clock.

const (
	engineRealm = "engine"
	engineUser  = "gate"
	// engineLifetime is the longest that pion grants; an hour or more it would turn into ten
	// minutes.
	engineLifetime = 3599 * time.Second
	// engineNonceAge: pion's nonces are good for an hour.
	engineNonceAge = 30 * time.Minute
	engineMTU      = 8192
)

// refused is pion's error answer to a canonical request: a STUN error code, or 0 if it gave none.
type refused int

func (r refused) Error() string {
	return fmt.Sprintf("the TURN engine refused the request with code %d", int(r))
}

var errEngineClosed = errors.New("the TURN engine is closed")

// engine is a pion server that is used as a library. Its methods are called from one goroutine.
type engine struct {
	conn      *engineConn
	key       stun.MessageIntegrity
	nonce     stun.Nonce
	harvested time.Time
	now       func() time.Time
}

func newEngine(key []byte, channelTimeout time.Duration, now func() time.Time, log *slog.Logger) (*engine, error) {
	e := &engine{
		conn: &engineConn{requests: make(chan canonical), done: make(chan struct{}), closed: make(chan struct{})},
		key:  stun.MessageIntegrity(key),
		now:  now,
	}
	_, err := turn.NewServer(turn.ServerConfig{
		Realm: engineRealm,
		AuthHandler: func(string, string, net.Addr) ([]byte, bool) {
			return key, true
		},
		PacketConnConfigs: []turn.PacketConnConfig{{
			PacketConn:            e.conn,
			RelayAddressGenerator: e.conn,
			PermissionHandler:     func(net.Addr, net.IP) bool { return true }, // the gate has decided
		}},
		ChannelBindTimeout: channelTimeout,
		InboundMTU:         engineMTU,
		LoggerFactory:      pionLog{log},
	})
	if err != nil {
		return nil, fmt.Errorf("start the TURN engine: %w", err)
	}
	return e, nil
}

// allocate enters an allocation that relays on relayed.
func (e *engine) allocate(client uint64, relayed netip.AddrPort) error {
	e.conn.relayed = net.UDPAddrFromAddrPort(relayed)
	return e.request(client, stun.MethodAllocate, requestedTransportUDP{}, lifetime(engineLifetime))
}

// refresh keeps the allocation in pion's books for as long as pion can.
func (e *engine) refresh(client uint64) error {
	return e.request(client, stun.MethodRefresh, lifetime(engineLifetime))
}

// remove deletes the allocation. It is the only way in which one ends.
func (e *engine) remove(client uint64) error {
	return e.request(client, stun.MethodRefresh, lifetime(0))
}

// permit installs or refreshes permissions.
func (e *engine) permit(client uint64, peers []netip.Addr) error {
	setters := make([]stun.Setter, len(peers))
	for i, ip := range peers {
		setters[i] = peerAddress(netip.AddrPortFrom(ip, 0))
	}
	return e.request(client, stun.MethodCreatePermission, setters...)
}

// bind installs or refreshes a channel and its permission.
func (e *engine) bind(client uint64, number uint16, peer netip.AddrPort) error {
	err := e.request(client, stun.MethodChannelBind, channelNumber(number), peerAddress(peer))
	if err == refused(stun.CodeBadRequest) {
		// The gate has seen that the two go together. pion, which looks them up one after the
		// other, may just be forgetting this very channel.
		err = e.request(client, stun.MethodChannelBind, channelNumber(number), peerAddress(peer))
	}
	return err
}

// request has pion handle one request of ours, signed with a nonce of its own.
func (e *engine) request(client uint64, method stun.Method, setters ...stun.Setter) error {
	for range 2 { // again only after a stale nonce, which a clock that was set forward makes
		if e.nonce == nil || e.now().Sub(e.harvested) > engineNonceAge {
			if err := e.harvest(); err != nil {
				return err
			}
		}
		all := append([]stun.Setter{stun.TransactionID, stun.NewType(method, stun.ClassRequest)}, setters...)
		all = append(all, stun.NewUsername(engineUser), stun.NewRealm(engineRealm), e.nonce, e.key)
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
func (e *engine) harvest() error {
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

func (e *engine) exchange(client uint64, setters ...stun.Setter) (*stun.Message, error) {
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

// close ends pion's read loop, which removes what allocations are left.
func (e *engine) close() { close(e.conn.closed) }

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

// engineConn is the net.PacketConn that pion serves, and its relay address generator. pion's next
// ReadFrom says that the previous request has been handled: so an exchange is a call.
type engineConn struct {
	requests chan canonical
	done     chan struct{}
	closed   chan struct{}

	// Owned by whoever's turn it is: exchange, then pion's goroutine until done.
	answer  []byte
	relayed *net.UDPAddr
	busy    bool // owned by pion's goroutine
}

func (c *engineConn) exchange(r canonical) ([]byte, error) {
	c.answer = c.answer[:0]
	select {
	case c.requests <- r:
	case <-c.closed:
		return nil, errEngineClosed
	}
	<-c.done
	return c.answer, nil
}

func (c *engineConn) ReadFrom(b []byte) (int, net.Addr, error) {
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

func (c *engineConn) WriteTo(b []byte, _ net.Addr) (int, error) {
	c.answer = append(c.answer[:0], b...)
	return len(b), nil
}

func (c *engineConn) Close() error                     { return nil }
func (c *engineConn) LocalAddr() net.Addr              { return clientAddr(0) }
func (c *engineConn) SetDeadline(time.Time) error      { return nil }
func (c *engineConn) SetReadDeadline(time.Time) error  { return nil }
func (c *engineConn) SetWriteDeadline(time.Time) error { return nil }

func (c *engineConn) Validate() error { return nil }

func (c *engineConn) AllocatePacketConn(string, int) (net.PacketConn, net.Addr, error) {
	return engineRelay{addr: c.relayed}, c.relayed, nil
}

func (c *engineConn) AllocateConn(string, int) (net.Conn, net.Addr, error) {
	return nil, nil, errors.ErrUnsupported
}

// engineRelay stands for a relay socket towards pion. The real one is ours.
type engineRelay struct {
	net.PacketConn // nil: nothing else of it is called
	addr           net.Addr
}

func (engineRelay) ReadFrom([]byte) (int, net.Addr, error) {
	// An error would make pion delete whatever allocation has this client by then.
	runtime.Goexit()
	return 0, nil, net.ErrClosed
}
func (r engineRelay) LocalAddr() net.Addr { return r.addr }
func (engineRelay) Close() error          { return nil }

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

// pionLog passes pion's warnings and errors on. The rest it formats per packet, so it is left out.
type pionLog struct{ log *slog.Logger }

func (p pionLog) NewLogger(string) logging.LeveledLogger { return p }

func (pionLog) Trace(string)          {}
func (pionLog) Tracef(string, ...any) {}
func (pionLog) Debug(string)          {}
func (pionLog) Debugf(string, ...any) {}
func (pionLog) Info(string)           {}
func (pionLog) Infof(string, ...any)  {}
func (p pionLog) Warn(msg string)     { p.log.Warn("turn engine", "msg", msg) }
func (p pionLog) Error(msg string)    { p.log.Error("turn engine", "msg", msg) }
func (p pionLog) Warnf(format string, args ...any) {
	p.Warn(fmt.Sprintf(format, args...))
}
func (p pionLog) Errorf(format string, args ...any) {
	p.Error(fmt.Sprintf(format, args...))
}
