package turnclient

import (
	"context"
	"encoding/binary"
	"net/netip"
	"slices"
	"time"

	"github.com/pion/stun/v3"
)

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
