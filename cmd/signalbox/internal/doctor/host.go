package doctor

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"net"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"signalbox"
)

// HostOptions say which configuration is looked at.
type HostOptions struct {
	Config  signalbox.Config
	State   string // the directory, which may not be there yet
	Token   func(room string) (string, error)
	TLS     *tls.Config // as in Options
	Timeout time.Duration
}

// Host checks this machine, and then as a client the box that runs here with this configuration. If
// none runs, one does for as long as that takes, with a copy of the state directory: doctor leaves
// nothing behind, and no file with an owner that the service can't read.
func (d *Doctor) Host(ctx context.Context, o HostOptions) {
	d.local = true
	c := &o.Config
	d.config(ctx, o)
	d.check(ctx, "relay address", o.Timeout, func(ctx context.Context) Check { return relayAddress(ctx, *c) })
	d.check(ctx, "port range", o.Timeout, func(ctx context.Context) Check { return portRange(ctx, *c) })
	d.check(ctx, "open files", o.Timeout, func(context.Context) Check { return openFiles() })
	d.check(ctx, "UDP buffer", o.Timeout, func(context.Context) Check { return udpBuffer() })
	d.check(ctx, "this clock", o.Timeout, func(context.Context) Check { return ownClock() })
	d.check(ctx, "state", o.Timeout, func(context.Context) Check { return stateDir(o.State) })
	if c.TLS.Mode != "off" {
		d.check(ctx, "kept certificate", o.Timeout,
			func(context.Context) Check { return keptCertificate(*c, signalbox.ReadState(o.State), o.TLS.RootCAs) })
	}
	if ctx.Err() != nil {
		return
	}
	if c.Web.Listen == "" && (c.Web.TLSListen == "" || c.TLS.Mode == "off") {
		d.add(skipped("web.listen and web.tls_listen are off: there is no signaling to check").named("running"))
		return
	}
	if !d.running(ctx, o) {
		d.startAndCheck(ctx, o)
	}
}

// config says what of the configuration does not fit this machine. What has a check of its own is
// left to that.
func (d *Doctor) config(ctx context.Context, o HostOptions) {
	var found []string
	if d.check(ctx, "config", 2*o.Timeout, func(context.Context) Check {
		for _, w := range signalbox.CheckHost(o.Config) {
			if !strings.HasPrefix(w, "relay address ") && !strings.HasPrefix(w, "tls.cert") {
				found = append(found, w)
			}
		}
		if len(found) > 0 {
			return warning("change it in the configuration: config.toml explains every key", "%s", found[0])
		}
		return ok("it fits this machine")
	}) != Warning {
		return
	}
	for _, w := range found[1:] {
		d.add(warning("as above", "%s", w).named("config"))
	}
}

func relayAddress(ctx context.Context, c signalbox.Config) Check {
	where, err := signalbox.HostRelays(ctx, c)
	if err != nil {
		return failed("look at public_ip and turn.relay_ip", "%v", err)
	}
	var words, notes []string
	for _, r := range where {
		text := fmt.Sprintf("%s (%s)", r.Public, r.Why)
		if r.Bind != r.Public {
			text += ", bound to " + r.Bind.String()
		}
		words = append(words, text)
		if r.Note != "" && !c.Dev {
			notes = append(notes, r.Public.String()+": "+r.Note)
		}
	}
	if len(notes) > 0 {
		return warning(strings.Join(notes, "; "), "%s", strings.Join(words, "; "))
	}
	return ok("%s", strings.Join(words, "; "))
}

// portRange tries some of the relay ports. A box that runs here has some of them.
func portRange(ctx context.Context, c signalbox.Config) Check {
	first, last, err := signalbox.RelayPorts(c)
	where, err2 := signalbox.HostRelays(ctx, c)
	if err = errors.Join(err, err2); err != nil {
		return skipped("not known without a relay address")
	}
	const few = 100 // a mesh call of eight makes some 60 allocations
	size := int(last) - int(first) + 1
	tried, taken := min(size, 64), 0
	for _, i := range rand.Perm(size)[:tried] {
		conn, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.AddrPortFrom(where[0].Bind, first+uint16(i))))
		if err != nil {
			taken++
			continue
		}
		conn.Close()
	}
	switch {
	case taken == tried:
		return failed("choose another range in turn.relay_ports; `signalbox allocations` shows whether they are in use",
			"no port of %d-%d is free on %s", first, last, where[0].Bind)
	case taken*4 > tried:
		return warning("widen turn.relay_ports, or look who has them: ss -lunp",
			"%d of %d ports tried in %d-%d are taken", taken, tried, first, last)
	case size < few:
		return warning("widen turn.relay_ports: each allocation takes one, and a mesh call of eight makes some 60",
			"%d-%d are only %d ports", first, last, size)
	}
	return ok("%d-%d, of which %d of %d tried are free", first, last, tried-taken, tried)
}

// enoughFiles is what scripts/signalbox.service grants, roughly: an allocation and a session take
// one each.
const enoughFiles = 8192

func openFiles() Check {
	limit, known := fileLimit()
	switch {
	case !known:
		return skipped("this system has no such limit")
	case limit < enoughFiles:
		return warning("raise it: LimitNOFILE=65536 in the unit, or ulimit -n 65536; each session and each "+
			"allocation takes one", "a process may open %d only", limit)
	}
	return ok("a process may open %d", limit)
}

// wantedBuffer is what the TURN sockets ask for.
const wantedBuffer = 4 << 20

func udpBuffer() Check {
	largest, lost, known := receiveBuffer()
	switch {
	case !known:
		return skipped("this system does not say")
	case largest < wantedBuffer && lost > 0:
		return warning(fmt.Sprintf("sysctl -w net.core.rmem_max=%d, and in /etc/sysctl.d", wantedBuffer),
			"it holds %d KiB, and since it started this system has dropped %d datagrams for lack of one", largest>>10,
			lost)
	}
	return ok("up to %d KiB (net.core.rmem_max); %d datagrams dropped for lack of room since this system started",
		largest>>10, lost)
}

func ownClock() Check {
	synced, known := clockSynced()
	switch {
	case !known:
		return skipped("this system does not say whether it is right")
	case !synced:
		return warning("set it by NTP: timedatectl set-ntp true; a container's clock is its host's",
			"%s, and nothing keeps it right", time.Now().Format(time.RFC3339))
	}
	return ok("%s, kept right by NTP", time.Now().Format(time.RFC3339))
}

func stateDir(dir string) Check {
	info, err := os.Stat(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return ok("%s is not there yet: the first start makes it", dir)
	case err != nil:
		return failed("run doctor as the service's user or as root", "%v", err)
	case !info.IsDir():
		return failed("name a directory with --state", "%s is no directory", dir)
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return warning("run doctor as the service's user (sudo -u signalbox signalbox doctor ...) or as root",
			"%s can't be read: %v", dir, reason(err))
	}
	owner, _ := ownerOf(info)
	for _, e := range entries {
		if file, err := e.Info(); err == nil && file.Mode().IsRegular() {
			if uid, known := ownerOf(file); known && uid != owner {
				return warning(fmt.Sprintf("chown %d %s", owner, filepath.Join(dir, e.Name())),
					"%s belongs to another user than the directory: the service may be unable to read it", e.Name())
			}
			if runtime.GOOS != "windows" && file.Mode().Perm()&0o077 != 0 {
				return warning("chmod 600 "+filepath.Join(dir, e.Name()), "others than its owner may read %s", e.Name())
			}
		}
	}
	return ok("%s", dir)
}

// keptCertificate judges what would be served, as clients would.
func keptCertificate(c signalbox.Config, state *signalbox.State, roots *x509.CertPool) Check {
	switch c.TLS.Mode {
	case "acme":
		return skipped("tls.mode \"acme\": the running box has it")
	case "self-signed":
		roots = trusting(roots, signalbox.KeptAuthority(state))
	}
	pair, err := signalbox.KeptCertificate(c, state)
	switch {
	case errors.Is(err, fs.ErrPermission) && c.TLS.Mode == "self-signed": // with "files" the service may be as unable to
		return skipped("this user may not read it: %v", reason(err))
	case err != nil:
		return failed("the box does not start without it", "%v", err)
	case pair == nil:
		return ok("none yet: a start makes a self-signed one")
	}
	var chain []*x509.Certificate
	for _, der := range pair.Certificate {
		if cert, err := x509.ParseCertificate(der); err == nil {
			chain = append(chain, cert)
		}
	}
	return judge(chain, servedName(c, chain[0]), roots, false, time.Now())
}

// servedName is the name that clients ask the certificate for.
func servedName(c signalbox.Config, leaf *x509.Certificate) string {
	switch {
	case c.PublicHost != "":
		return c.PublicHost
	case c.TLS.Mode == "self-signed" || leaf == nil:
		return "localhost"
	case len(leaf.DNSNames) > 0:
		return strings.Replace(leaf.DNSNames[0], "*", "any", 1)
	case len(leaf.IPAddresses) > 0:
		return leaf.IPAddresses[0].String()
	}
	return "localhost"
}

// trusting adds a certificate to roots, nil for the system's.
func trusting(roots *x509.CertPool, ca *x509.Certificate) *x509.CertPool {
	if ca == nil {
		return roots
	}
	if roots == nil {
		system, err := x509.SystemCertPool()
		if err != nil {
			system = x509.NewCertPool()
		}
		roots = system
	}
	roots = roots.Clone()
	roots.AddCert(ca)
	return roots
}

// running checks the box that runs here, if one does.
func (d *Doctor) running(ctx context.Context, o HostOptions) bool {
	state := signalbox.ReadState(o.State)
	admin, err := adminOf(o.Config, state)
	if err != nil {
		d.add(failed("look at web.listen", "%v", err).named("running"))
		return false
	}
	var status signalbox.Status
	within, cancel := context.WithTimeout(ctx, o.Timeout)
	status, err = admin.Status(within)
	cancel()
	switch {
	case ctx.Err() != nil:
		return true
	case err == nil:
		d.add(ok("signalbox %s at %s for %s: %d sessions, %d allocations", status.Version, admin.URL(),
			time.Since(time.UnixMilli(status.StartedAt)).Round(time.Second), status.Signal.Sessions,
			len(status.TURN.Allocations)).named("running"))
		if s := status.Certificate; s != nil && s.Problem != "" {
			d.add(warning("the log says more; until it is renewed the old one is served",
				"the running box says of its certificate: %s", s.Problem).named("running"))
		}
	default:
		probe := &front{Options: clientOptions(o, admin, state)}
		defer probe.close()
		if c := timed(ctx, "", o.Timeout, probe.reach); c.Verdict != OK {
			return false
		}
		d.add(warning("name the state directory of the box that runs: --state DIR (systemd: /var/lib/signalbox), as "+
			"root or as its user",
			"a signalbox runs at %s, but not with this state directory", admin.URL()).named("running"))
	}
	d.Client(ctx, clientOptions(o, admin, state))
	return true
}

// adminOf finds the web port of the box, the TLS one if it has one. Without a kept token one is
// made up: it only asks whether somebody is there.
func adminOf(c signalbox.Config, state *signalbox.State) (*signalbox.Admin, error) {
	if c.TLS.Mode != "off" && c.Web.TLSListen != "" {
		c.Web.Listen = ""
	}
	if admin, err := signalbox.NewAdmin(c, state, ""); err == nil {
		return admin, nil
	}
	c.Admin.Token = "there is no token"
	return signalbox.NewAdmin(c, state, "")
}

// clientOptions are for a box on this machine. It is reached by its own address, so the certificate
// is asked for the name that others use.
func clientOptions(o HostOptions, admin *signalbox.Admin, state *signalbox.State) Options {
	u, err := url.Parse(admin.URL())
	if err != nil {
		u = &url.URL{Scheme: "http", Host: "127.0.0.1"}
	}
	conf := o.TLS.Clone()
	var leaf *x509.Certificate
	if pair, err := signalbox.KeptCertificate(o.Config, state); err == nil && pair != nil {
		leaf = pair.Leaf
	}
	conf.ServerName = servedName(o.Config, leaf)
	if o.Config.TLS.Mode == "self-signed" {
		conf.RootCAs = trusting(conf.RootCAs, signalbox.KeptAuthority(state))
	}
	token := o.Token
	if token == nil {
		token = ownToken(o.Config)
	}
	return Options{URL: u, Token: token, TLS: conf, Dial: admin.Dial, Timeout: o.Timeout}
}

// ownToken lets doctor in with what the configuration itself knows; nil: the box is open.
func ownToken(c signalbox.Config) func(string) (string, error) {
	switch c.Auth.Mode {
	case "password":
		return func(string) (string, error) { return string(c.Auth.Password), nil }
	case "jwt":
		return func(room string) (string, error) {
			t, err := signalbox.MintToken(c, signalbox.TokenRequest{Rooms: []string{room}, Name: "doctor",
				TTL: 5 * time.Minute})
			if err != nil {
				return "", tokenError{err}
			}
			return t.Token, nil
		}
	}
	return nil
}

// tokenError is why the configuration makes no room token: it has the public key only.
type tokenError struct{ error }

func (e tokenError) Error() string {
	return "the box wants room tokens, and its configuration makes none: " + e.error.Error()
}

func (e tokenError) Unwrap() error { return e.error }

// startAndCheck runs the same assembly for as long as the checks take.
func (d *Doctor) startAndCheck(ctx context.Context, o HostOptions) {
	if o.Config.TLS.Mode == "acme" {
		d.add(skipped("no box runs here, and doctor orders no certificates: start signalbox, then run doctor again " +
			"for the rest").named("running"))
		return
	}
	dir, err := os.MkdirTemp("", "signalbox-doctor-")
	if err == nil {
		defer os.RemoveAll(dir)
		err = copyState(o.State, dir)
	}
	if err != nil {
		d.add(failed("run doctor as the service's user or as root", "no box can be started for the checks: %v",
			err).named("start"))
		return
	}
	var app *signalbox.App
	if d.check(ctx, "start", 2*o.Timeout, func(context.Context) (c Check) {
		app, c = listen(o.Config, dir)
		return c
	}) != OK {
		if app != nil { // it was cut short
			app.Close()
		}
		return
	}
	alive, stop := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() { ended <- app.Run(alive) }()
	defer func() {
		stop()
		if err := <-ended; err != nil {
			d.add(failed("its message names what is missing",
				"the box that doctor started for the checks has ended: %v", err).named("start"))
		}
	}()
	c := o.Config
	if c.Web.Listen = app.Addrs().Web; c.TLS.Mode != "off" {
		c.Web.TLSListen = app.Addrs().WebTLS
	}
	state := signalbox.ReadState(dir)
	admin, err := adminOf(c, state)
	if err != nil {
		d.add(failed("look at web.listen", "%v", err).named("start"))
		return
	}
	d.Client(ctx, clientOptions(o, admin, state))
}

func listen(c signalbox.Config, dir string) (*signalbox.App, Check) {
	state, err := signalbox.OpenState(dir)
	if err != nil {
		return nil, failed("make room in the directory for temporary files", "%v", err)
	}
	app, err := signalbox.New(c, state, nil)
	if err != nil {
		return nil, failed("a start fails for the same reason: its words say what to do", "%v", err)
	}
	if err := app.Listen(); err != nil {
		fix := "a start fails for the same reason: its words say what to do"
		if who := holders(portsOf(c)); len(who) > 0 {
			fix = strings.Join(who, "; ") + ": stop it, or choose another port"
			if strings.HasPrefix(who[0], "signalbox ") {
				fix = strings.Join(who, "; ") +
					": if that is the box to be checked, name its configuration and state directory with -c and --state"
			}
		}
		return nil, failed(fix, "%v", err)
	}
	return app, ok("no box runs here, so one does for the checks, with a copy of the state directory")
}

// portsOf are the ports that the configuration listens on.
func portsOf(c signalbox.Config) map[uint16]bool {
	ports := map[uint16]bool{}
	for _, addr := range append([]string{c.Web.Listen, c.Web.TLSListen}, c.TURN.Listen...) {
		if _, port, err := net.SplitHostPort(addr); err == nil {
			if n, err := net.LookupPort("tcp", port); err == nil {
				ports[uint16(n)] = true
			}
		}
	}
	delete(ports, 0)
	return ports
}

// copyState copies what a box keeps, as far as it is there: secrets and its own certificate.
func copyState(from, to string) error {
	const most = 1 << 20 // of one file; a box keeps a few kilobytes
	entries, err := os.ReadDir(from)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	// who runs doctor may be root, and whose directory it is, may be not: links lead nowhere else
	root, err := os.OpenRoot(from)
	if err != nil {
		return err
	}
	defer root.Close()
	for _, e := range entries {
		if !e.Type().IsRegular() || strings.HasPrefix(e.Name(), ".") {
			continue
		}
		text, err := readUpTo(most, root, e.Name())
		if err != nil {
			return err
		}
		if len(text) > most {
			continue
		}
		if err := os.WriteFile(filepath.Join(to, e.Name()), text, 0o600); err != nil {
			return err
		}
	}
	return nil
}

// readUpTo reads a file up to one byte more than most.
func readUpTo(most int64, dir *os.Root, name string) ([]byte, error) {
	f, err := dir.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, most+1))
}
