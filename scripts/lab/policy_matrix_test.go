//go:build linux

package lab_test

import (
	"fmt"
	"strings"
	"testing"
	"text/tabwriter"
	"time"

	"signalbox/internal/testkit"
	"signalbox/scripts/lab"
)

// What "room" refuses must cost nobody a call: wherever a pair of browsers
// connects with a relay that is open to all, it connects with one that is open
// to their room only.

// TestRoomMatrix has each NAT on either side once.
func TestRoomMatrix(t *testing.T) {
	besideOthers(t)
	runMatrix(t, []string{"room"}, map[string][][2]lab.NAT{
		"public address": {
			{lab.PortRestricted, lab.Symmetric}, // a relay to a mapping of the other side's NAT
			{lab.Symmetric, lab.UDPBlocked},
			{lab.Hairpin, lab.PortRestricted},
			{lab.UDPBlocked, lab.Hairpin},
		},
		"1:1 NAT": {
			{lab.Symmetric, lab.Symmetric}, // relay to relay, which must not leave the box
			{lab.FullCone, lab.TCP443Only},
			{lab.AddressRestricted, lab.FullCone},
			{lab.TCP443Only, lab.AddressRestricted},
		},
	})
}

// TestLongRoomMatrix is every pair of NATs, with a relay that is open to all for
// comparison.
func TestLongRoomMatrix(t *testing.T) {
	testkit.Long(t)
	var all [][2]lab.NAT
	for i, a := range lab.NATs() {
		for _, b := range lab.NATs()[i:] {
			all = append(all, [2]lab.NAT{a, b})
		}
	}
	runMatrix(t, []string{"any", "room"}, map[string][][2]lab.NAT{"public address": all, "1:1 NAT": all})
}

// runMatrix connects pairs behind NATs, by box, under each policy.
func runMatrix(t *testing.T, policies []string, pairs map[string][][2]lab.NAT) {
	var table strings.Builder
	columns := tabwriter.NewWriter(&table, 0, 0, 2, ' ', 0)
	fmt.Fprintf(columns, "A\tB\tbox\t%s\n", strings.Join(policies, "\t"))
	for _, box := range boxes {
		paths := map[string][]string{} // by policy, in the order of pairs
		t.Run(box.name, func(t *testing.T) {
			l := lab.New(t, lab.PortRestricted, lab.PortRestricted, box.options...)
			a, b := lab.StartBrowser(t, l.A, lab.BrowserOptions{}), lab.StartBrowser(t, l.B, lab.BrowserOptions{})
			for _, peers := range policies {
				paths[peers] = connectPairs(t, l, a, b, peers, pairs[box.name])
			}
		})
		for i, pair := range pairs[box.name] {
			row := []string{string(pair[0]), string(pair[1]), box.name}
			for _, peers := range policies {
				path := "not run"
				if i < len(paths[peers]) {
					path = paths[peers][i]
				}
				if path == "" {
					t.Errorf("%s and %s, box with %s: %q does not connect them", pair[0], pair[1], box.name, peers)
					path = "-"
				}
				row = append(row, path)
			}
			fmt.Fprintln(columns, strings.Join(row, "\t"))
		}
	}
	columns.Flush()
	t.Logf("how pairs of browsers are connected, by turn.peers:\n%s", &table)
}

// connectPairs has two browsers call each other behind each pair of NATs and
// returns how they were connected, "" where they were not.
func connectPairs(t *testing.T, l *lab.Lab, a, b *lab.Browser, peers string, pairs [][2]lab.NAT) []string {
	// On port 443, which the strictest NAT lets out.
	server := lab.StartServer(t, l.Server, policyConfig(l, peers)+lab.CertificateConfig(t), "--set",
		"web.tls_listen=:443")
	defer server.Stop(t)
	var paths []string
	for i, pair := range pairs {
		l.SetNAT(t, l.NATA, pair[0])
		l.SetNAT(t, l.NATB, pair[1])
		url := fmt.Sprintf("https://%s/call/room-%d", server.Host(), i)
		ann, bo := a.Open(url, lab.PageOptions{}), b.Open(url, lab.PageOptions{})
		knock(ann, "Ann")
		knock(bo, "Bo")
		began := time.Now()
		path := settledPath(ann, bo)
		t.Logf("%s: %s and %s: %q after %v", peers, pair[0], pair[1], path,
			time.Since(began).Round(100*time.Millisecond))
		if path == "" {
			for _, p := range []*lab.Page{ann, bo} {
				var got []flow
				p.Eval(flows, &got)
				t.Logf("a page is %q, connected %+v, and shows:\n%s", p.Attr("body", "data-state"), got, p.Text("body"))
			}
		}
		paths = append(paths, path)
		ann.Close()
		bo.Close()
	}
	return paths
}

// settledPath waits until two pages see each other's video and are connected in
// the same way for a while: ICE may begin with a relay and find a better pair
// later. It returns "" if that does not come about.
func settledPath(pages ...*lab.Page) string {
	const patience, steady = 30 * time.Second, 700 * time.Millisecond
	last, since := "", time.Now()
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(100 * time.Millisecond) {
		var ends []flow
		for _, p := range pages {
			var got []flow
			p.Eval(flows, &got)
			if len(got) == 1 && got[0].Frames > 10 {
				ends = append(ends, got[0])
			}
		}
		now := ""
		if len(ends) == len(pages) {
			now = pathOf(ends)
		}
		if now != last {
			last, since = now, time.Now()
		}
		if last != "" && time.Since(since) >= steady {
			return last
		}
	}
	return ""
}

// pathOf says how the two ends of a connection reach each other: "direct", or by
// the relay of one or of both, with the transport between end and relay. An end
// knows only of itself for certain whether it uses a relay: to the other, that
// may look like a host which it had not heard of.
func pathOf(ends []flow) string {
	var relays []string
	for _, end := range ends {
		if end.Local == "relay" {
			relays = append(relays, "relay-"+end.RelayProtocol)
		}
	}
	if relays == nil {
		return "direct"
	}
	return strings.Join(relays, " + ")
}
