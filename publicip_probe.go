package signalbox

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"os"
	"time"

	"github.com/pion/stun/v3"
)

// probeFunc asks a STUN server, "host:port", from which address a packet of this machine's address
// from has come to it.
type probeFunc func(ctx context.Context, from netip.Addr, server string) (netip.Addr, error)

// probeTries are the requests that are sent, and probePause the time between them: on a network
// that loses one packet in ten, one of ten thousand probes fails.
const (
	probeTries = 4
	probePause = 500 * time.Millisecond
)

func probeSTUN(ctx context.Context, from netip.Addr, server string) (netip.Addr, error) {
	ctx, cancel := context.WithTimeout(ctx, probeTries*probePause)
	defer cancel()
	network := "udp4"
	if from.Is6() {
		network = "udp6"
	}
	dialer := net.Dialer{LocalAddr: net.UDPAddrFromAddrPort(netip.AddrPortFrom(from, 0))}
	conn, err := dialer.DialContext(ctx, network, server) // connected, so that nobody else's answer comes in
	if err != nil {
		return netip.Addr{}, fmt.Errorf("stun.probe: %w", err)
	}
	defer conn.Close()
	request, err := stun.Build(stun.TransactionID, stun.BindingRequest, stun.Fingerprint)
	if err != nil {
		return netip.Addr{}, fmt.Errorf("stun.probe: %w", err)
	}
	for range probeTries {
		if _, err := conn.Write(request.Raw); err != nil {
			return netip.Addr{}, fmt.Errorf("stun.probe: ask %s: %w", server, err)
		}
		if err := conn.SetReadDeadline(time.Now().Add(probePause)); err != nil {
			return netip.Addr{}, fmt.Errorf("stun.probe: %w", err)
		}
		buf := make([]byte, 1500)
		for ctx.Err() == nil {
			n, err := conn.Read(buf)
			if err != nil {
				break // the next try
			}
			answer := &stun.Message{Raw: buf[:n]}
			var mapped stun.XORMappedAddress
			if answer.Decode() != nil || answer.TransactionID != request.TransactionID ||
				answer.Type != stun.BindingSuccess || mapped.GetFrom(answer) != nil {
				continue
			}
			if ip, ok := netip.AddrFromSlice(mapped.IP); ok {
				return ip.Unmap(), nil
			}
		}
	}
	return netip.Addr{}, fmt.Errorf("stun.probe: %s does not answer from %s: is it a STUN server, and is UDP let out?",
		server, from)
}

// inContainer reports whether this process runs in a Docker or Podman container.
func inContainer() bool {
	for _, file := range []string{"/.dockerenv", "/run/.containerenv"} {
		if _, err := os.Stat(file); err == nil {
			return true
		}
	}
	return false
}
