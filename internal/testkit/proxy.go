package testkit

import (
	"net"
	"net/netip"
	"testing"

	"github.com/pires/go-proxyproto"
)

// ProxyHeader is the binary header of the PROXY protocol, version 2, for a client at that address.
func ProxyHeader(t testing.TB, from string) string {
	t.Helper()
	source := net.TCPAddrFromAddrPort(netip.MustParseAddrPort(from))
	text, err := proxyproto.HeaderProxyFromAddrs(2, source, &net.TCPAddr{IP: source.IP, Port: 443}).Format()
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
