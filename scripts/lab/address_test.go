//go:build linux

package lab_test

import (
	"testing"
	"time"

	"signalbox/internal/testkit"
	"signalbox/scripts/lab"
)

// A phone that leaves the Wi-Fi, or a router whose provider has given it another
// address, breaks every mapping at once, signaling's too.
func TestAddressChangesInACall(t *testing.T) {
	besideOthers(t)
	for _, tt := range []struct {
		name      string
		relayOnly bool
	}{{"relayed", true}, {"direct", false}} {
		t.Run(tt.name, func(t *testing.T) {
			c := startPair(t, tt.relayOnly)
			ids := c.peerIDs()
			c.l.Renumber(t, c.l.NATA, lab.PortRestricted, 3)
			c.ann.Await(20*time.Second, "Ann's session is resumed from her new address", `app.addressChanged`)
			c.talk(t, "a word")
			c.goOn(60)
			c.pictures(t, 6*time.Second)
			if now := c.peerIDs(); now != ids {
				t.Errorf("the peers were %v and are %v", ids, now)
			}
			if source := sources(t, c.l, c.server)["Ann"]; source != c.l.NATA.Public {
				t.Errorf("the box takes Ann for somebody at %s, want %s", source, c.l.NATA.Public)
			}
		})
	}
}

// TestLongIssue16BoxMovesInACall: the box's own address changes, and its name leads to the new one.
// The call goes on there as soon as the browsers ask for the name again: Chromium does after a
// minute, whatever the record says.
func TestLongIssue16BoxMovesInACall(t *testing.T) {
	testkit.Long(t)
	besideOthers(t)
	l := lab.New(t, lab.PortRestricted, lab.PortRestricted, lab.GlobalAddresses)
	server := lab.StartServer(t, l.Server, policyConfig(l, "room"), "--set", "public_host="+lab.ServerName)
	resolve := func() {
		for _, in := range []*lab.Namespace{l.A, l.B} {
			in.ServeDNS(t, lab.ServerName, l.Server.Public)
		}
	}
	resolve()
	server.HTTPS = "https://" + lab.ServerName + ":8443" // the ICE servers follow
	c := startPairOf(t, l, server, true)
	ids := c.peerIDs()
	moved := time.Now()
	l.RenumberServer(t, 12)
	resolve()
	for name, p := range c.pages() {
		p.Await(2*time.Minute, name+" is back at the new address", `app.resumed > 0 || app.rejoined > 0`)
		t.Logf("%s is back after %v", name, time.Since(moved).Round(time.Millisecond))
	}
	c.talk(t, "a word")
	c.goOn(60)
	c.pictures(t, 2*time.Minute)
	if now := c.peerIDs(); now != ids {
		t.Errorf("the peers were %v and are %v", ids, now)
	}
}
