//go:build linux

package lab_test

import (
	"context"
	"net"
	"slices"
	"testing"
	"time"

	"github.com/pion/dtls/v3"

	"signalbox/scripts/lab"
)

// TestTurnutilsOverDTLS has coturn's client pass its data through the box over
// DTLS, on the port of plain TURN: in channels, and in Send indications.
func TestTurnutilsOverDTLS(t *testing.T) {
	t.Parallel()
	lab.Require(t, "turnutils_uclient", "turnutils_peer")
	l := lab.New(t, lab.Symmetric, lab.FullCone)
	lab.StartServer(t, l.Server, lab.Config, "--set", "turn.dtls=true")
	startPeer(t, l.B, lab.AddrB)
	overDTLS := []string{"-S", "-p", "3478"}
	for name, flags := range map[string][]string{
		"channels":               {"-y", "-m", "2"},
		"indications":            {"-y", "-m", "2", "-s"},
		"to a peer of its own":   {"-e", lab.AddrNATB, "-r", peerPort},
		"large, in channels":     {"-y", "-m", "2", "-l", "1300"},
		"odd-sized, in channels": {"-y", "-m", "2", "-l", "171"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			uclient(t, l.A, "u", "p", slices.Concat(overDTLS, flags)...)
		})
	}
}

// TestAbuse23SpoofedClientHellos floods the real binary with first messages of
// DTLS handshakes, each from another spoofed source. Unlike plain TURN, pion/dtls
// keeps something of each: a bounded amount, for two seconds at most.
func TestAbuse23SpoofedClientHellos(t *testing.T) {
	lab.Require(t, "turnutils_uclient")
	l := lab.New(t, lab.FullCone, lab.FullCone)
	flooder := l.AddHost(t, "flood", 64)
	l.Server.Exec(t, "ip", "route", "add", "198.18.0.0/15", "via", flooder.Public)
	server := lab.StartServer(t, l.Server, lab.Config, "--set", "turn.dtls=true")
	pid := server.PID(t)
	hello := clientHello(t)

	flood(t, flooder, server.Host(), 5000, hello) // everything has been used once
	before := rss(t, pid)
	t.Run("flood", func(t *testing.T) {
		t.Run("from spoofed sources", func(t *testing.T) {
			t.Parallel()
			flood(t, flooder, server.Host(), 100_000, hello)
		})
		t.Run("while plain clients go on", func(t *testing.T) {
			t.Parallel()
			uclient(t, l.A, "u", "p", "-y", "-m", "2", "-p", "3478")
		})
	})
	after := rss(t, pid)
	t.Logf("RSS %d KiB before, %d KiB after", before, after)
	if after > before+16<<10 {
		t.Errorf("RSS grew by %d KiB", after-before)
	}
	uclient(t, l.A, "u", "p", "-S", "-y", "-m", "2", "-p", "3478")
}

// clientHello returns the first datagram of a handshake.
func clientHello(t *testing.T) []byte {
	t.Helper()
	var sockets [2]*net.UDPConn
	for i := range sockets {
		var err error
		if sockets[i], err = net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)}); err != nil {
			t.Fatal(err)
		}
		defer sockets[i].Close()
	}
	client, err := dtls.ClientWithOptions(sockets[0], sockets[1].LocalAddr(), dtls.WithInsecureSkipVerify(true))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		client.HandshakeContext(ctx) // in vain
	}()
	defer func() {
		cancel()
		<-ended
	}()
	hello := make([]byte, 2000)
	if err := sockets[1].SetReadDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	n, err := sockets[1].Read(hello)
	if err != nil {
		t.Fatal(err)
	}
	return hello[:n]
}
