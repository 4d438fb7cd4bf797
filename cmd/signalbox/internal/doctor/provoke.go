package doctor

import (
	"context"
	"crypto/tls"
	"fmt"
	"net/netip"
	"strings"

	"signalbox/internal/trouble"
	"signalbox/internal/turnclient"
)

// provoke asks for what the box must refuse. A box that relays on loopback opens loopback to
// everybody.
func (t *trial) provoke(life, within context.Context, a *turnclient.Client, conf *tls.Config) Check {
	var wrong, odd, refused []string
	wrongPassword := func() error {
		c, err := t.dial(life, within, conf)
		if err != nil {
			return err
		}
		defer c.Close()
		c.Login(t.user, t.password+"x")
		_, err = c.Allocate(within, t.relay.Addr(), turnclient.Lifetime)
		return err
	}
	switch err := wrongPassword(); {
	case err == nil:
		wrong = append(wrong, "it accepts a wrong password")
	case turnclient.CodeOf(err) != 401:
		odd = append(odd, fmt.Sprintf("it answers a wrong password with: %v", reason(err)))
	}
	loopback, metadata, private := "127.0.0.1", "169.254.169.254", "10.255.255.254"
	if t.relay.Addr().Is6() {
		loopback, metadata, private = "::1", "fd00:ec2::254", "fd12:3456:789a::1"
	}
	note := ""
	for _, ip := range []string{loopback, metadata, private} {
		peer := netip.AddrPortFrom(netip.MustParseAddr(ip), 80)
		switch err := a.Permit(within, peer); {
		case err == nil && ip == loopback && t.relay.Addr().IsLoopback():
			note = "; " + ip + " is open, as on any box that relays on loopback"
		case err == nil && ip == private:
			odd = append(odd, "a private address ("+ip+") is open to every caller")
		case err == nil:
			wrong = append(wrong, "it lets callers through to "+ip)
		case turnclient.CodeOf(err) == 403:
			refused = append(refused, ip)
		default:
			odd = append(odd, fmt.Sprintf("it answers a permission for %s with: %v", ip, reason(err)))
		}
	}
	fix := "only signalbox with --dev opens loopback: start it without, or find the server that has the port"
	if len(wrong) > 0 && strings.Contains(wrong[0], "password") {
		fix = "another server answers there and relays for everybody: find the server that has the port"
	}
	switch {
	case len(wrong) > 0:
		return failed(trouble.RelayOpen, fix, "%s", strings.Join(append(wrong, odd...), "; "))
	case len(odd) > 0:
		return warning(trouble.PrivateOpen, "", "%s", strings.Join(odd, "; "))
	}
	return ok("401 for a wrong password, 403 for peers %s%s", strings.Join(refused, ", "), note)
}
