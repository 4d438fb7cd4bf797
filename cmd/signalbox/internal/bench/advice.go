package bench

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"syscall"

	"signalbox/internal/netaddr"
	"signalbox/internal/turnclient"
)

// advised is an error, and what to do about it.
type advised struct {
	err    error
	advice string
}

func (e advised) Error() string { return e.err.Error() + ": " + e.advice }
func (e advised) Unwrap() error { return e.err }

// explain adds what to do to an error of set-up. peer is what a permission or a channel was asked
// for.
func (g *rig) explain(err error, peer netip.AddrPort) error {
	if code := turnclient.CodeOf(err); code != 0 {
		return advised{err, g.refused(code, peer)}
	}
	return explainConnecting(err, g.o.Server.String(), "--server and --transport", "--clients")
}

// explainConnecting adds what to do to an error of a connection. where are the flags that say where
// it leads, and fewer those that take fewer files.
func explainConnecting(err error, server, where, fewer string) error {
	var unknown x509.UnknownAuthorityError
	var name x509.HostnameError
	var record tls.RecordHeaderError
	switch {
	case errors.As(err, &unknown), errors.As(err, &name):
		return advised{err, "name the server's certificate or its authority with --ca, or say --insecure"}
	case errors.As(err, &record):
		return advised{err, server + " speaks no TLS: check " + where}
	case errors.Is(err, syscall.ECONNREFUSED):
		return advised{err, "nothing listens at " + server + ": check " + where}
	case errors.Is(err, syscall.EMFILE), errors.Is(err, syscall.ENFILE):
		return advised{err, "allow more files (ulimit -n), or lower " + fewer}
	case turnclient.IsTimeout(err), errors.Is(err, context.DeadlineExceeded):
		return advised{fmt.Errorf("no answer from %s", server), "check " + where + ", and the firewall"}
	}
	return err
}

func (g *rig) refused(code int, peer netip.AddrPort) string {
	switch code {
	case 400, 401, 441:
		return "it does not know the user, or not with this password: check --user and --password; or --secret, " +
			"which is turn.secret or the one in the state directory (signalbox), static-auth-secret (coturn)"
	case 403:
		if !peer.IsValid() {
			return "it does not let this machine in: it may be banned, or not allowed"
		}
		return "it does not relay to " + peer.String() + ". " + g.closedPeer(peer.Addr())
	case 437:
		return "an earlier run may have left an allocation: wait for some minutes, or try again"
	case 440:
		return "it does not relay in the address family of the peers: check --peer-ip"
	case 486:
		return "a limit is reached. signalbox: raise turn.limits.per_source (1024) and turn.limits.per_user (128), " +
			"or use --secret, which makes a user for each client; coturn: user-quota and total-quota"
	case 508:
		return "it has no relay port left, or no capacity. signalbox: widen turn.relay_ports; coturn: min-port, " +
			"max-port"
	}
	return "its log may say why"
}

// closedPeer says how to have a peer let through.
func (g *rig) closedPeer(ip netip.Addr) string {
	switch {
	case g.o.ToRelay:
		return "signalbox: turn.deny_peers may hold that address of its own, and credentials of sessions reach only " +
			"their rooms' relays; coturn: a relay on loopback takes allow-loopback-peers"
	case ip.IsLoopback():
		return "signalbox relays to loopback only when it runs with --dev; coturn with allow-loopback-peers. " +
			"`--to relay` takes no peer"
	case !netaddr.Global(ip):
		return fmt.Sprintf("signalbox: add %q to turn.allow_peers (an address of the server's own machine only "+
			"with ports, as in %q); coturn: allowed-peer-ip=%s. `--to relay` takes no peer", ip,
			net.JoinHostPort(ip.String(), "10000"), ip)
	}
	return "signalbox: turn.static_peers must be public or any, and turn.deny_peers must not hold it; coturn: " +
		"denied-peer-ip"
}

// silent explains that nothing arrived in a direction.
func (g *rig) silent(d Direction) error {
	err := fmt.Errorf("nothing arrives (%s)", d)
	c := g.clients[0]
	switch {
	case g.o.ToRelay:
		return advised{err, fmt.Sprintf("the server may be unable to reach its own relays, such as %s: check "+
			"public_ip and turn.relay_ports (signalbox), external-ip (coturn)", c.relay)}
	case d == Up && c.peer.Addr() == c.relay.Addr():
		// It permits the address, for its relays' sake, and drops what goes to other ports there.
		return advised{err, fmt.Sprintf("the server does not seem to relay to %s, its own address. %s", c.peer,
			g.closedPeer(c.peer.Addr()))}
	case d == Up:
		return advised{err, fmt.Sprintf("the server must be able to send to this machine at %s: set --peer-ip, and "+
			"open the firewall here, or use `--to relay`", c.peer)}
	}
	return advised{err, fmt.Sprintf("this machine must be able to send to the relay, such as %s: open the relay ports "+
		"in the server's firewall, or use `--to relay`", c.relay)}
}
