//go:build linux

package lab_test

import (
	"testing"
	"time"

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
