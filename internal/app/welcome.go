package app

import (
	"fmt"
	"io"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"signalbox/internal/admin"
	"signalbox/internal/metrics"
	"signalbox/internal/netaddr"
	"signalbox/internal/status"
)

// Welcome writes what an operator needs after a start: pages, ports, addresses and directories.
func (a *App) Welcome(w io.Writer) error {
	t := welcome{tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)}
	fmt.Fprintf(t, "signalbox %s\n\n", status.Version())
	local, others := pages(a)
	t.open(append(local, others...), a.admin.Code())
	relays := a.relays.Relays()
	switch {
	case len(relays) == 0:
		t.row("Firewall", "-", "this machine has no address yet at which others reach it")
	case relays.Public().IsLoopback():
		t.row("Firewall", "-", "only this machine can reach it")
	default:
		t.row("Firewall", strings.Join(firewall(a), " "), "let these in")
	}
	if len(a.cfg.TURN.URLs) > 0 {
		t.row("ICE", strings.Join(a.ice.URLs(), " "), "handed out to clients (turn.urls)")
	}
	// Clients of a reverse proxy see its certificate.
	if own := a.certs.Authority(); own != nil && a.urls.ThroughProxy() == "" && len(others) > 0 {
		if urls := a.urls.Shared(); len(urls) > 0 {
			t.row("Trust", urls[0]+"trust", "open it on a device to stop its browser's warning; the SHA-256 is "+
				own.Fingerprint())
		}
	}
	label := "Relay"
	for _, r := range relays {
		note := r.Public.Why
		if s := r.Note(); s != "" {
			note += "; " + s
		}
		t.row(label, r.Public.IP.String(), note)
		label = ""
		if r.Bind.IP != r.Public.IP {
			t.row("", r.Bind.IP.String(), "relay sockets are bound to it: "+r.Bind.Why)
		}
	}
	if l := a.edge.Metrics(); l != nil {
		at := l.Addr().String()
		if netaddr.Reaches(l, netip.AddrFrom4([4]byte{127, 0, 0, 1})) {
			at = net.JoinHostPort("127.0.0.1", netaddr.Port(l.Addr()))
		}
		t.row("Metrics", "http://"+at+metrics.Path, "for Prometheus")
	}
	t.row("State", a.dir.Path(), "secrets and certificate")
	fmt.Fprintln(t)
	return t.Flush()
}

// welcome is a table of three columns.
type welcome struct{ *tabwriter.Writer }

func (t welcome) row(label, what, note string) { fmt.Fprintf(t, "  %s\t%s\t%s\n", label, what, note) }

// open lists the pages to open.
func (t welcome) open(all []page, code string) {
	label := "Open"
	for _, p := range all {
		t.row(label, p.url, p.where+p.note)
		label = ""
	}
	if len(all) == 0 {
		return
	}
	shared := all[len(all)-1].url // people pass this link on, so it must work for others
	t.row("Call", shared+"call/ROOM", "a name of your choice; give the link to others")
	t.row("Check", shared+"check", "does it work from here?")
	label = "Admin"
	for _, p := range all {
		t.row(label, p.url+"admin#code="+code, p.where+", once, within "+shortDuration(admin.CodeLife))
		label = ""
	}
}

type page struct{ url, where, note string }

// pages lists the URLs of the start page: those for this machine, and those for others. If there is
// a reverse proxy, others come through it.
func pages(a *App) (local, others []page) {
	if url := a.urls.OnThisMachine(); url != "" {
		local = append(local, page{url, "on this machine", ""})
	}
	if url := a.urls.ThroughProxy(); url != "" {
		return local, []page{{url, "through the reverse proxy", ""}}
	}
	if url := a.urls.HTTPS(); url != "" {
		p := page{url, "from other devices", ""}
		if a.relays.Relays().Public().IsLoopback() {
			p.where = "on this machine"
		}
		switch {
		case a.certs.InForce().Signed:
		case a.cfg.TLS.Mode == "acme":
			p.note = "; the browser warns until the ACME directory has issued a certificate"
		default:
			p.note = "; the certificate is self-signed, so the browser warns once"
		}
		others = append(others, p)
	}
	return local, others
}

// firewall lists the ports that the firewall must let in. It leaves out ports that only this
// machine can reach.
func firewall(a *App) []string {
	var out []string
	for _, l := range []net.Listener{a.edge.Web(), a.edge.WebTLS(), a.edge.Collider()} {
		if l != nil && !l.Addr().(*net.TCPAddr).IP.IsLoopback() {
			out = append(out, netaddr.Port(l.Addr())+"/tcp")
		}
	}
	for _, s := range a.edge.TURN() {
		network := "tcp"
		if s.UDP() {
			network = "udp"
		}
		if port := fmt.Sprint(s.Addr.Port(), "/", network); !slices.Contains(out, port) {
			out = append(out, port)
		}
	}
	if corners := a.edge.Corners(); corners != nil {
		out = append(out, strconv.Itoa(corners[1][1].LocalAddr().(*net.UDPAddr).Port)+"/udp")
	}
	return append(out, a.cfg.TURN.RelayPorts.String()+"/udp")
}

// shortDuration writes a duration without its zero parts: "1h", not "1h0m0s".
func shortDuration(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}
