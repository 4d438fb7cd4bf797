package turnclient

import (
	"bytes"
	"context"
	"crypto/rand"
	"net/netip"
	"time"

	"github.com/pion/stun/v3"
)

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

// PassWait is how long a packet may take from relay to relay.
const PassWait = time.Second

// Pass sends so many bytes of random data from one client through its relay to another one's relay,
// at that address, and reports whether they arrived there as they were.
func Pass(ctx context.Context, from, to *Client, at netip.AddrPort, size int) bool {
	data := make([]byte, size)
	rand.Read(data) //nolint:errcheck // it never fails
	until := time.Now().Add(PassWait)
	if over, bounded := ctx.Deadline(); bounded && over.Before(until) {
		until = over
	}
	if from.SendTo(at, data, until) != nil {
		return false
	}
	for {
		got, _, err := to.Receive(ctx, until)
		if err != nil {
			return false
		}
		if bytes.Equal(got, data) {
			return true
		}
	}
}
