package app

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"time"

	"signalbox/internal/access"
	"signalbox/internal/config"
	"signalbox/internal/netaddr"
	"signalbox/internal/notify"
	"signalbox/internal/selftest"
	"signalbox/internal/status"
	"signalbox/internal/trouble"
	"signalbox/internal/turnclient"
)

// What the box asks of itself, and whom it tells.

// roomInterval is how often the state directory's room is looked at.
const roomInterval = 10 * time.Minute

// newSelfTest makes the self-test of a box; nil: it is off.
func newSelfTest(a *App) *selftest.Tester {
	every := time.Duration(a.cfg.Notify.SelfTest)
	if every == 0 {
		return nil
	}
	relay := selftest.Relay{
		Services:   func() []turnclient.Address { return ownServices(a) },
		Credential: a.ice.Own,
		Off:        func() bool { return len(a.relays.Relays()) == 0 },
	}
	// One that drains refuses, as it should.
	unlessDraining := func(run func(context.Context) []status.Fault) func(context.Context) []status.Fault {
		return func(ctx context.Context) []status.Fault {
			if !a.ready.Load() {
				return nil
			}
			return run(ctx)
		}
	}
	// One that drains, or waits for its first certificate, does not know that a fault is mended.
	tell := func(faults []status.Fault) {
		if s := a.certs.Status(); a.ready.Load() && (s == nil || !s.Pending) {
			a.notices.Tell(faults)
		}
	}
	return selftest.New(selftest.Options{Tell: tell, Log: a.log.With("part", "self-test"),
		Probes: []selftest.Probe{
			{Every: every, Run: unlessDraining(relay.Run)},
			{Every: every,
				Run: unlessDraining(func(ctx context.Context) []status.Fault { return askWeb(ctx, a) })},
			{Every: every, Run: func(ctx context.Context) []status.Fault {
				w, wrong := checkName(ctx, &a.cfg, a.relays.Relays())
				return faultIf(wrong, w.Code, w.Text)
			}},
			{Every: selftest.Look, Run: func(context.Context) []status.Fault {
				s := a.certs.Status()
				if s == nil || s.Pending {
					return nil
				}
				return faultIf(s.Problem != "", s.Code(), s.Problem)
			}},
			{Every: roomInterval, Run: func(context.Context) []status.Fault {
				bytes, files, known := access.Free(a.dir.Path())
				return faultIf(known && (bytes < enoughRoom || files < enoughFiles), trouble.DiskFull,
					fmt.Sprintf("the state directory has room for %d bytes and %d files only", bytes, files))
			}},
			{Every: selftest.Look, Run: func(context.Context) []status.Fault {
				s := a.turn.Summary()
				return faultIf(s.TransferLimit > 0 && s.Transfer.Bytes >= int64(s.TransferLimit), trouble.BudgetSpent,
					fmt.Sprintf("%d of %d bytes are sent", s.Transfer.Bytes, s.TransferLimit))
			}},
		}})
}

func faultIf(wrong bool, code trouble.Code, detail string) []status.Fault {
	if !wrong {
		return nil
	}
	return []status.Fault{{Code: code, Detail: detail}}
}

// ownServices are those of TURN, as this machine reaches them.
func ownServices(a *App) (out []turnclient.Address) {
	for _, s := range a.edge.TURN() {
		if s.Transport == "dtls" {
			continue
		}
		at := within(s.Addr)
		out = append(out, turnclient.Address{Relays: true, Transport: s.Transport, Host: at.Addr().String(), Addr: at})
	}
	return out
}

// within is where this machine reaches a socket.
func within(at netip.AddrPort) netip.AddrPort {
	ip := at.Addr()
	switch {
	case !ip.IsUnspecified():
	case ip.Is4():
		ip = netip.AddrFrom4([4]byte{127, 0, 0, 1})
	case hasLoopback6():
		ip = netip.IPv6Loopback()
	default:
		ip = netip.AddrFrom4([4]byte{127, 0, 0, 1}) // sockets of both families can be had without ::1
	}
	return netip.AddrPortFrom(ip, at.Port())
}

// hasLoopback6 reports whether this machine has ::1, which net.ipv6.conf.*.disable_ipv6 takes away.
func hasLoopback6() bool {
	conn, err := net.ListenPacket("udp6", "[::1]:0")
	if err != nil {
		return false
	}
	conn.Close()
	return true
}

// askWeb asks the web ports whether they serve. One that wants the PROXY protocol is left alone.
func askWeb(ctx context.Context, a *App) (found []status.Fault) {
	if a.cfg.Web.ProxyProtocol {
		return nil
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true,
		TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}} // the certificate has a probe of its own
	for scheme, l := range map[string]net.Listener{"http": a.edge.Web(), "https": a.edge.WebTLS()} {
		if l == nil {
			continue
		}
		at, err := netip.ParseAddrPort(l.Addr().String())
		if err != nil {
			continue // it is no port
		}
		if err := askHealth(ctx, client, scheme+"://"+within(at).String()); err != nil {
			found = append(found, status.Fault{Code: trouble.NotRunning,
				Detail: fmt.Sprintf("port %s does not serve %s: %v", netaddr.Port(l.Addr()), scheme, err)})
		}
	}
	return found
}

func askHealth(ctx context.Context, client *http.Client, origin string) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, origin+"/healthz", nil)
	if err != nil {
		return err
	}
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("it answers %s", resp.Status)
	}
	return nil
}

// TestNotice tells the operator, as [notify] says, that this is a test.
func TestNotice(ctx context.Context, c *config.Config) error {
	return notify.SendTest(ctx, notifyOptions(c))
}
