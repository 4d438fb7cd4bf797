//go:build linux

package lab_test

import (
	"context"
	"regexp"
	"strings"
	"testing"
	"time"

	"signalbox/scripts/lab"
)

// TestIPv6 has coturn's client allocate IPv6 relays over IPv6 and over IPv4, and IPv4 relays over
// IPv6, between two of its own allocations and to coturn's echo.
func TestIPv6(t *testing.T) {
	t.Parallel()
	lab.Require(t, "turnutils_uclient", "turnutils_peer")
	const (
		// Addresses that the registries take for global, so that the server relays on its own by
		// itself. They exist in the lab only.
		serverIP = "2bad::10"
		clientIP = "2bad::64"
		peerIP   = "2bad::65"
	)
	l := lab.New(t, lab.FullCone, lab.FullCone)
	host := l.AddHost(t, "six", 64)
	host.Exec(t, "ip", "addr", "add", clientIP+"/64", "dev", "eth0", "nodad")
	host.Exec(t, "ip", "addr", "add", peerIP+"/64", "dev", "eth0", "nodad")
	l.Server.Exec(t, "ip", "addr", "add", serverIP+"/64", "dev", "eth0", "nodad")
	l.Server.Exec(t, "ip", "route", "add", "default", "via", clientIP)
	config := strings.Replace(lab.Config, `allow_peers = [`, `allow_peers = ["2bad::/32", `, 1)
	lab.StartServer(t, l.Server, config)

	startPeer(t, host, peerIP)
	startPeer(t, host, host.Public)

	for _, c := range []struct {
		name, server string
		flags        []string
	}{
		{"IPv6 relays, UDP over IPv6", serverIP, []string{"-x", "-y"}},
		{"IPv6 relays, TCP over IPv6", serverIP, []string{"-x", "-y", "-t"}},
		{"IPv6 relays, UDP over IPv4", lab.AddrServer, []string{"-x", "-y"}},
		{"IPv4 relays, UDP over IPv6", serverIP, []string{"-X", "-y"}},
		{"IPv6 peer, channels", serverIP, []string{"-x", "-e", peerIP, "-r", peerPort}},
		{"IPv6 peer, Send", serverIP, []string{"-x", "-s", "-e", peerIP, "-r", peerPort}},
		{"IPv6 peer, TCP over IPv4", lab.AddrServer, []string{"-x", "-t", "-e", peerIP, "-r", peerPort}},
		{"IPv4 peer, UDP over IPv6", serverIP, []string{"-X", "-e", host.Public, "-r", peerPort}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
			defer cancel()
			args := append(c.flags, "-u", "u", "-w", "p", "-m", "2", "-n", "10", c.server)
			out, err := host.Command(ctx, "turnutils_uclient", args...).CombinedOutput()
			totals := regexp.MustCompile(`tot_send_msgs=(\d+), tot_recv_msgs=(\d+)`).FindAllStringSubmatch(string(out),
				-1)
			if err != nil || totals == nil {
				t.Fatalf("turnutils_uclient %v: %v\n%s", args, err, out)
			}
			if last := totals[len(totals)-1]; last[1] == "0" || last[1] != last[2] {
				t.Errorf("%s messages of %s came through\n%s", last[2], last[1], out)
			}
		})
	}
}
