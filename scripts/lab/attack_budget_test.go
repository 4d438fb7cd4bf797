//go:build linux

package lab_test

import (
	"context"
	"net/netip"
	"sync"
	"testing"
	"time"

	"github.com/pion/stun/v3"

	"signalbox/scripts/lab"
)

// TestAttackF4SpoofedAllocatesLockNobodyOut: somebody sends 2,000 Allocates a second in the name of
// an address. Its owner allocates over UDP, asking again as RFC 8489 §6.2.1
// says, and over TCP, where it does not ask again.
func TestAttackF4SpoofedAllocatesLockNobodyOut(t *testing.T) {
	t.Parallel()
	l := lab.New(t, lab.PortRestricted, lab.FullCone)
	attacker := l.AddHost(t, "att", 64)
	host, ours := startRelay(t, l)
	owner, to := netip.MustParseAddr(lab.AddrNATA), netip.MustParseAddrPort(host+":3478")

	ctx, stop := context.WithCancel(t.Context())
	var flooding sync.WaitGroup
	defer flooding.Wait()
	defer stop()
	usedUp := make(chan struct{}) // a second's budget, by the attacker
	var once sync.Once
	began, sent := time.Now(), 0
	flooding.Go(func() {
		tick := time.NewTicker(10 * time.Millisecond)
		defer tick.Stop()
		for ; ctx.Err() == nil; <-tick.C {
			for due := int(time.Since(began).Seconds() * 2000); sent < due; sent++ {
				unsigned := stun.MustBuild(stun.TransactionID, stun.NewType(stun.MethodAllocate, stun.ClassRequest),
					requestedUDP)
				attacker.Inject(t, netip.AddrPortFrom(owner, uint16(1024+sent%60000)), to, unsigned.Raw)
			}
			if sent >= 2000 {
				once.Do(func() { close(usedUp) })
			}
		}
	})
	<-usedUp
	for _, network := range []string{"udp", "tcp"} {
		var slowest time.Duration
		for range 10 {
			took := timeToAllocate(t, l.A, host, network)
			slowest = max(slowest, took)
		}
		t.Logf("%s: the slowest of 10 Allocates took %v", network, slowest)
		if ours && slowest > 3*time.Second {
			t.Errorf("%s: an Allocate took %v", network, slowest)
		}
	}
}

// timeToAllocate returns how long it takes to get an allocation.
func timeToAllocate(t *testing.T, in *lab.Namespace, host, network string) time.Duration {
	t.Helper()
	conn, err := in.DialContext(t.Context(), network+"4", host+":3478")
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	c := &turnClient{t: t, conn: conn, stream: network == "tcp", username: "u", password: "p"}
	began := time.Now()
	for {
		request := c.request(stun.MethodAllocate, requestedUDP)
		var answer *stun.Message
		for rto := 500 * time.Millisecond; answer == nil && rto <= 16*time.Second; rto *= 2 {
			if rto == 500*time.Millisecond || !c.stream {
				c.write(request.Raw)
			}
			conn.SetReadDeadline(time.Now().Add(rto))
			if frame, err := c.read(); err == nil {
				answer = c.note(frame)
			}
		}
		if answer == nil {
			t.Errorf("%s: no answer in %v", network, time.Since(began))
			return time.Since(began)
		}
		if errorCode(answer) == 0 {
			return time.Since(began)
		}
		var realm stun.Realm
		var nonce stun.Nonce
		if err := answer.Parse(&realm, &nonce); err != nil || c.nonce != "" {
			t.Fatalf("%s: refused: %v", network, answer)
		}
		c.realm, c.nonce = realm.String(), nonce.String()
	}
}
