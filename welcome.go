package signalbox

import (
	"fmt"
	"io"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
)

// Addrs are the bound addresses, with real ports where the configuration said 0. Empty: off.
type Addrs struct {
	Web, WebTLS string
	TURN        []string // UDP and TCP
	Metrics     string
}

// Addrs is valid after Listen.
func (a *App) Addrs() Addrs {
	var out Addrs
	if a.edge.web != nil {
		out.Web = a.edge.web.Addr().String()
	}
	if a.edge.webTLS != nil {
		out.WebTLS = a.edge.webTLS.Addr().String()
	}
	for _, l := range a.edge.turnTCP {
		out.TURN = append(out.TURN, l.Addr().String())
	}
	if a.edge.metrics != nil {
		out.Metrics = a.edge.metrics.Addr().String()
	}
	return out
}

// httpsPort is the port of the TLS listener, 0 if there is none.
func (a *App) httpsPort() int {
	if a.edge.webTLS == nil {
		return 0
	}
	return a.edge.webTLS.Addr().(*net.TCPAddr).Port
}

// Welcome writes what an operator wants to know after a start: pages, ports, addresses, places.
func (a *App) Welcome(w io.Writer) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintf(t, "signalbox %s\n\n", Version())
	local, others := a.pages()
	first := "Open"
	for _, p := range append(local, others...) {
		fmt.Fprintf(t, "  %s\t%s\t%s%s\n", first, p.url, p.where, p.note)
		first = ""
	}
	if all := append(local, others...); len(all) > 0 {
		shared := all[len(all)-1].url // the link that is given to others must work for them
		fmt.Fprintf(t, "  Call\t%scall/ROOM\ta name of your choice; give the link to others\n", shared)
		fmt.Fprintf(t, "  Check\t%scheck\tdoes it work from here?\n", shared)
		label := "Admin"
		for _, p := range all {
			fmt.Fprintf(t, "  %s\t%sadmin#code=%s\t%s, once, within %s\n", label, p.url, a.admin.code, p.where,
				shortDuration(codeLife))
			label = ""
		}
	}
	if a.public().ip.IsLoopback() {
		fmt.Fprintf(t, "  Firewall\t-\tonly this machine can reach it\n")
	} else {
		fmt.Fprintf(t, "  Firewall\t%s\tlet these in\n", strings.Join(a.firewall(), " "))
	}
	// Clients of a reverse proxy see its certificate.
	if own, ok := a.certs.(*selfSigned); ok && a.cfg.proxyURL() == "" && len(others) > 0 {
		if urls := a.sharedURLs(); len(urls) > 0 {
			fmt.Fprintf(t, "  Trust\t%strust\tfor devices that shall not warn; the SHA-256 is %s\n", urls[0],
				own.ca().fingerprint())
		}
	}
	first = "Relay"
	for _, r := range *a.addressing.Load() {
		note := r.public.why
		if s := scopeNote(r.public.ip); s != "" {
			note += "; " + s
		}
		fmt.Fprintf(t, "  %s\t%s\t%s\n", first, r.public.ip, note)
		first = ""
		if r.bind.ip != r.public.ip {
			fmt.Fprintf(t, "  \t%s\trelay sockets are bound to it: %s\n", r.bind.ip, r.bind.why)
		}
	}
	if l := a.edge.metrics; l != nil {
		at := "http://" + l.Addr().String() + metricsPath
		if reaches(l, netip.AddrFrom4([4]byte{127, 0, 0, 1})) {
			at = "http://" + net.JoinHostPort("127.0.0.1", portOf(l.Addr())) + metricsPath
		}
		fmt.Fprintf(t, "  Metrics\t%s\tfor Prometheus\n", at)
	}
	fmt.Fprintf(t, "  State\t%s\tsecrets and certificate\n\n", a.state.Dir())
	return t.Flush()
}

type pageURL struct{ url, where, note string }

// pages lists URLs of the start page: those that work on this machine, and those for others. With a
// reverse proxy in front others come through it.
func (a *App) pages() (local, others []pageURL) {
	if l := a.edge.web; l != nil && reaches(l, netip.AddrFrom4([4]byte{127, 0, 0, 1})) {
		local = append(local, pageURL{"http://localhost:" + portOf(l.Addr()) + "/", "on this machine", ""})
	}
	if url := a.cfg.proxyURL(); url != "" {
		return local, []pageURL{{url, "through the reverse proxy", ""}}
	}
	l := a.edge.webTLS
	if l == nil {
		return local, others
	}
	note := ""
	if !a.certs.inForce().signed {
		note = "; the certificate is self-signed, so the browser warns once"
		if a.cfg.TLS.Mode == "acme" {
			note = "; until a certificate has come from the ACME directory the browser warns"
		}
	}
	if url := a.sharedURL("https", l); url != "" {
		page := pageURL{url, "from other devices", note}
		if a.public().ip.IsLoopback() {
			page.where = "on this machine"
		}
		others = append(others, page)
	}
	return local, others
}

// sharedURLs are those of the start page for other devices, plain http first. On loopback there are
// none.
func (a *App) sharedURLs() []string {
	urls := []string{a.sharedURL("http", a.edge.web), a.sharedURL("https", a.edge.webTLS)}
	return slices.DeleteFunc(urls, func(url string) bool { return url == "" || a.public().ip.IsLoopback() })
}

// sharedURL is one of them; empty if others can't reach the listener.
func (a *App) sharedURL(scheme string, l net.Listener) string {
	if l == nil || !reaches(l, a.public().ip) && !reaches(l, (*a.addressing.Load())[0].bind.ip) {
		return ""
	}
	host := a.public().ip.String()
	if a.cfg.PublicHost != "" {
		host = a.cfg.PublicHost
	}
	return scheme + "://" + net.JoinHostPort(host, portOf(l.Addr())) + "/"
}

// reaches reports whether a listener is bound to ip or to every address.
func reaches(l net.Listener, ip netip.Addr) bool {
	bound := l.Addr().(*net.TCPAddr).AddrPort().Addr().Unmap()
	return bound.IsUnspecified() || bound == ip
}

// proxyURL is the start page's where a reverse proxy serves it, at the usual port; empty if none
// does, or its name is not known.
func (c *Config) proxyURL() string {
	if c.PublicHost == "" || len(c.Web.TrustedProxies) == 0 {
		return ""
	}
	return httpsOrigin(c.PublicHost, "443") + "/"
}

// httpsOrigin is what https URLs of a host begin with: an IPv6 address in brackets, and the usual
// port left out.
func httpsOrigin(host, port string) string {
	return "https://" + strings.TrimSuffix(net.JoinHostPort(host, port), ":443")
}

// firewall lists the ports that must be let in: not those that only this machine can reach.
func (a *App) firewall() []string {
	var out []string
	for _, l := range []net.Listener{a.edge.web, a.edge.webTLS} {
		if l != nil && !l.Addr().(*net.TCPAddr).IP.IsLoopback() {
			out = append(out, portOf(l.Addr())+"/tcp")
		}
	}
	for _, l := range a.edge.turnTCP {
		out = append(out, portOf(l.Addr())+"/udp", portOf(l.Addr())+"/tcp")
	}
	if a.edge.corners != nil {
		out = append(out, strconv.Itoa(int(udpAddr(a.edge.corners[1][1]).Port()))+"/udp")
	}
	return append(out, a.cfg.TURN.RelayPorts+"/udp")
}
