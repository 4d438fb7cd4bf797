package doctor

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"

	"signalbox/internal/trouble"
	"signalbox/internal/turnclient"
)

// unreachable says why nothing came back.
func (t *trial) unreachable(err error) Check {
	open := "open the port: ufw allow " + t.port() + ", and in the cloud provider's firewall, too"
	var unknown x509.UnknownAuthorityError
	var invalid x509.CertificateInvalidError
	var name x509.HostnameError
	switch {
	case hasNoWay(err):
		family := "IPv4"
		if t.Addr.Addr().Is6() {
			family = "IPv6"
		}
		return skipped("this machine has no %s", family)
	case isRefused(err):
		t.closed = true
		return failed(trouble.TURNSilent, "", "nothing listens on port %s", t.port())
	case errors.As(err, &unknown), errors.As(err, &invalid), errors.As(err, &name):
		return failed(trouble.CertificateUntrusted, "get a certificate for this very name (tls.mode \"acme\"): "+
			"browsers fail on this one silently",
			"the certificate is not good for turns: %v", err)
	case turnclient.IsTimeout(err), errors.Is(err, context.DeadlineExceeded):
		t.silent = true
		return failed(closedPort(t.Transport), open, "nothing came back over %s", strings.ToUpper(t.Transport))
	case turnclient.CodeOf(err) != 0:
		return refusedBy("it answers, but refuses", err)
	case errors.Is(err, turnclient.ErrNotSTUN):
		return failed(trouble.NotSTUN, "another program has port "+t.port()+": check turn.listen, turn.urls and "+
			"public_host", "%v", err)
	}
	t.silent = isNobody(err)
	return failed(closedPort(t.Transport), open, "it can't be reached: %v", reason(err))
}

// compare adds to the last check what the other trials of the same host found.
func (t *trial) compare(all []*trial) {
	if t.Transport != "udp" || !slices.ContainsFunc(all, func(other *trial) bool {
		return other.works && other.Transport != "udp" && other.Addr.Addr() == t.Addr.Addr()
	}) {
		return
	}
	last := t.last()
	last.Detail += ", though TCP works: UDP is blocked"
	last.Code, last.Fix = trouble.UDPBlocked, "open the port for UDP: ufw allow "+t.port()+
		", and in the cloud provider's firewall, too; or this network lets no UDP out: try from another"
}

// outside turns a failure into a warning if doctor asks from the box's own machine, at an address
// that this machine does not have and where nothing at all answers. Many NATs do not let a machine
// reach itself by the address that they give it.
func (t *trial) outside(all []*trial) bool {
	if isOwn(t.Addr.Addr()) || slices.ContainsFunc(all,
		func(other *trial) bool { return other.works && other.Addr.Addr() == t.Addr.Addr() }) {
		return false
	}
	c := t.last()
	c.Verdict, c.Code, c.Detail = Warning, trouble.Hairpin, fmt.Sprintf("this machine does not reach %s, an address "+
		"that it does not have itself; behind a NAT that can be normal", t.Addr.Addr())
	c.Fix = fixOf(trouble.Hairpin)
	return true
}

// isOwn reports whether this machine has the address; true if it can't tell.
func isOwn(ip netip.Addr) bool {
	own, err := net.InterfaceAddrs()
	return err != nil || slices.ContainsFunc(own, func(a net.Addr) bool {
		prefix, err := netip.ParsePrefix(a.String())
		return err == nil && prefix.Addr().Unmap() == ip
	})
}
