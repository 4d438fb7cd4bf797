package turnclient

import (
	"bytes"
	"context"
	"crypto/rand"
	"net/netip"
	"time"
)

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
