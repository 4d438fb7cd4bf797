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
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"time"

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

	// staleNonce asks for another nonce (RFC 8489 §14.8).
	staleNonce refused = 438
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
	key       []byte
	nonce     []byte
	harvested time.Time
	now       func() time.Time
	slimmer   slimmer
	requests  uint64 // so far

	// The last request, and its answer.
	raw    []byte
	answer wire.Message
}

// New starts an engine. It forgets channels that are not refreshed within channelTimeout. pion's
// warnings and errors go to log.
func New(key []byte, channelTimeout time.Duration, now func() time.Time, log *slog.Logger) (*Engine, error) {
	e := &Engine{
		conn: &conn{
			local:    clientAddr(0),
			requests: make(chan canonical), done: make(chan struct{}), closed: make(chan struct{}),
		},
		key: key,
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
			// The gate has decided.
			PermissionHandler: func(net.Addr, net.IP) bool { return true },
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
	err := e.request(client, wire.MethodAllocate, func(m *wire.Builder) {
		m.Attr(wire.AttrRequestedTransport, []byte{wire.ProtocolUDP, 0, 0, 0})
		lifetime(m, Lifetime)
	})
	if err == nil {
		e.slimmer.slim(clientAddr(client), e.conn.local)
	}
	return err
}

// Refresh keeps the allocation in pion's books for as long as pion can.
func (e *Engine) Refresh(client uint64) error {
	return e.request(client, wire.MethodRefresh, func(m *wire.Builder) { lifetime(m, Lifetime) })
}

// Remove deletes the allocation. It is the only way in which one ends.
func (e *Engine) Remove(client uint64) error {
	return e.request(client, wire.MethodRefresh, func(m *wire.Builder) { lifetime(m, 0) })
}

// Permit installs or refreshes permissions.
func (e *Engine) Permit(client uint64, peers []netip.Addr) error {
	return e.request(client, wire.MethodCreatePermission, func(m *wire.Builder) {
		for _, ip := range peers {
			m.XORAddr(wire.AttrXORPeerAddress, netip.AddrPortFrom(ip, 0))
		}
	})
}

// Bind installs or refreshes a channel and its permission.
func (e *Engine) Bind(client uint64, number uint16, peer netip.AddrPort) error {
	bind := func() error {
		return e.request(client, wire.MethodChannelBind, func(m *wire.Builder) {
			m.Uint32(wire.AttrChannelNumber, uint32(number)<<16)
			m.XORAddr(wire.AttrXORPeerAddress, peer)
		})
	}
	err := bind()
	if err == refused(400) {
		// The gate has checked that the two belong together. pion, which looks them up one after
		// the other, may be forgetting this channel just now.
		err = bind()
	}
	return err
}

func lifetime(m *wire.Builder, d time.Duration) { m.Uint32(wire.AttrLifetime, uint32(d/time.Second)) }

// request lets pion handle one request of ours, signed with its own nonce.
func (e *Engine) request(client uint64, method uint16, attributes func(*wire.Builder)) error {
	for range 2 { // again only after a stale nonce, which a clock that was set forward makes
		if e.nonce == nil || e.now().Sub(e.harvested) > nonceAge {
			if err := e.harvest(); err != nil {
				return err
			}
		}
		m := e.begin(method)
		attributes(&m)
		m.Attr(wire.AttrUsername, []byte(username))
		m.Attr(wire.AttrRealm, []byte(realm))
		m.Attr(wire.AttrNonce, e.nonce)
		m.Sign(e.key)
		if err := e.exchange(client, &m); err != nil {
			return err
		}
		if e.answer.Class == wire.ClassSuccess {
			return nil
		}
		code := errorCode(&e.answer)
		if code != staleNonce {
			return code
		}
		e.nonce = nil
	}
	return staleNonce
}

// begin begins a request, which is the next one's after its exchange.
func (e *Engine) begin(method uint16) wire.Builder {
	e.requests++
	var transaction [12]byte // no two are alike, and nobody guesses at them
	binary.BigEndian.PutUint64(transaction[:], e.requests)
	return wire.Begin(e.raw, method, wire.ClassRequest, transaction[:])
}

// harvest asks pion for a nonce, as any client would: by a request without credentials.
func (e *Engine) harvest() error {
	m := e.begin(wire.MethodAllocate)
	if err := e.exchange(0, &m); err != nil {
		return err
	}
	nonce, ok := e.answer.Get(wire.AttrNonce)
	if !ok {
		return errors.New("the TURN engine gives no nonce")
	}
	e.nonce, e.harvested = bytes.Clone(nonce), e.now()
	return nil
}

// exchange sends a request to pion, and decodes the answer.
func (e *Engine) exchange(client uint64, m *wire.Builder) error {
	e.raw = m.End(false)
	raw, err := e.conn.exchange(canonical{e.raw, clientAddr(client)})
	if err != nil {
		return err
	}
	if len(raw) == 0 {
		return refused(0) // pion gives no answer where it knows no allocation
	}
	if !e.answer.Decode(raw) {
		return errors.New("the TURN engine's answer is malformed")
	}
	return nil
}

// Close ends pion's read loop, which removes the remaining allocations.
func (e *Engine) Close() { close(e.conn.closed) }

func errorCode(m *wire.Message) refused {
	value, ok := m.Get(wire.AttrErrorCode)
	if !ok || len(value) < 4 {
		return 0
	}
	return 100*refused(value[2]) + refused(value[3])
}
