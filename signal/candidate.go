package signal

import (
	"bytes"
	"net/netip"
)

const (
	// maxClaims bounds the candidates that are read from one signal. An honest description has
	// about twenty.
	maxClaims = 64
	// maxCandidateLine bounds one candidate; browsers write some 150 bytes.
	maxCandidateLine = 512
)

var candidatePrefix = []byte("candidate:")

// claims finds the addresses of ICE candidates in a signal, whatever its form: a trickled candidate
// or lines of an SDP, in JSON. (RFC 8839 §5.1: "candidate:" foundation component transport priority
// address port "typ" type.) Names, mDNS's for example, are left out.
func claims(data []byte) []netip.Addr {
	var found []netip.Addr
	for len(found) < maxClaims {
		_, after, ok := bytes.Cut(data, candidatePrefix)
		if !ok {
			break
		}
		data = after
		line := after[:min(len(after), maxCandidateLine)]
		if end := bytes.IndexAny(line, "\"\\\r\n"); end >= 0 {
			line = line[:end]
		}
		fields := bytes.Fields(line)
		if len(fields) < 8 || string(fields[6]) != "typ" {
			continue
		}
		if addr, err := netip.ParseAddr(string(fields[4])); err == nil && addr.Zone() == "" {
			found = append(found, addr.Unmap())
		}
	}
	return found
}
