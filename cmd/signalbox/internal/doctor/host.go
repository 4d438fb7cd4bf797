package doctor

import (
	"cmp"
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
	"slices"
	"strings"
	"time"

	"signalbox/internal/access"
	"signalbox/internal/admin"
	"signalbox/internal/admission"
	"signalbox/internal/app"
	"signalbox/internal/cert"
	"signalbox/internal/config"
	"signalbox/internal/edge"
	"signalbox/internal/state"
	"signalbox/internal/trouble"
)

// HostOptions tell Host which configuration to check.
type HostOptions struct {
	Config  config.Config
	State   string      // the state directory, which need not exist yet
	As      access.User // as whom a box with it runs
	Token   func(room string) (string, error)
	TLS     *tls.Config // as in Options
	Timeout time.Duration
}

// Host checks this machine, and then, as a client, the box that runs here with this configuration.
// If none runs, Host starts one for the duration of the checks, with a copy of the state directory:
// so doctor leaves nothing behind, and no file that the service can't read.
func (d *Doctor) Host(ctx context.Context, o HostOptions) {
	d.local = true
	c := &o.Config
	d.config(ctx, o)
	d.check(ctx, "relay address", o.Timeout, func(ctx context.Context) Check { return relayAddress(ctx, *c) })
	d.check(ctx, "port range", o.Timeout, func(ctx context.Context) Check { return portRange(ctx, *c) })
	d.check(ctx, "open files", o.Timeout, func(context.Context) Check { return openFiles(o.State) })
	d.check(ctx, "UDP buffer", o.Timeout, func(context.Context) Check { return udpBuffer() })
	d.check(ctx, "this clock", o.Timeout, func(context.Context) Check { return ownClock() })
	d.check(ctx, "state", o.Timeout, func(context.Context) Check { return stateDir(o.State) })
	if c.TLS.Mode != "off" {
		d.check(ctx, "kept certificate", o.Timeout,
			func(context.Context) Check { return keptCertificate(*c, state.Existing(o.State), o.TLS.RootCAs) })
	}
	if ctx.Err() != nil {
		return
	}
	if !c.Web.Listen.On() && (!c.Web.TLSListen.On() || c.TLS.Mode == "off") {
		d.add(skipped("web.listen and web.tls_listen are off: there is no signaling to check").named("running"))
		return
	}
	if !d.running(ctx, o) {
		d.startAndCheck(ctx, o)
	}
}

// checkedApart reports whether a warning is about keys that have checks of their own.
func checkedApart(w config.Warning) bool {
	for _, key := range strings.Split(w.Key, ", ") {
		if slices.Contains([]string{"turn.relay_ip", "turn.relay_ports", "tls.cert"}, key) {
			return true
		}
	}
	return w.Key == "public_ip"
}

// config warns of every key that does not fit this machine, except for those in checkedApart.
func (d *Doctor) config(ctx context.Context, o HostOptions) {
	d.shut = d.each(ctx, "access", o.Timeout, func(context.Context) []Check { return accessOf(o) }) == Failed
	d.each(ctx, "config", 2*o.Timeout, func(ctx context.Context) (found []Check) {
		for _, w := range app.CheckHost(ctx, &o.Config) {
			if !checkedApart(w) {
				found = append(found, warningOf(w))
			}
			if w.Code == trouble.DNSWrong || w.Code == trouble.DNSMissing {
				d.astray = w.Code
			}
		}
		if len(found) == 0 {
			return []Check{ok("it fits this machine")}
		}
		return found
	})
}

// each runs a check that may find several faults, and returns the verdict on the first.
func (d *Doctor) each(ctx context.Context, name string, timeout time.Duration,
	run func(context.Context) []Check) Verdict {
	var found []Check
	verdict := d.check(ctx, name, timeout, func(ctx context.Context) Check {
		found = run(ctx)
		return found[0]
	})
	if ctx.Err() == nil {
		for _, c := range found[1:] {
			d.add(c.named(name))
		}
	}
	return verdict
}

func warningOf(w config.Warning) Check {
	return warning(cmp.Or(w.Code, trouble.Configuration), w.Fix, "%s: %s", w.Key, w.Text)
}

// accessOf asks whether the box can read and write what it must. Root may do everything, and most
// boxes don't run as root.
func accessOf(o HostOptions) (found []Check) {
	for _, w := range app.CheckAccess(&o.Config, o.State, o.As) {
		found = append(found, failed(cmp.Or(w.Code, trouble.Configuration), cmp.Or(w.Fix,
			"name what is there, or make it"), "%s: %s", w.Key, w.Text))
	}
	if len(found) == 0 {
		found = append(found, ok("the user %s can read and write what the box needs", o.As.Name))
	}
	return found
}

func relayAddress(ctx context.Context, c config.Config) Check {
	where, off, err := app.FindRelays(ctx, &c)
	switch {
	case len(where) == 0 && err != nil:
		return failed(trouble.NoAddress, "check public_ip and turn.relay_ip", "%v", err)
	case len(where) == 0:
		return failed(trouble.NoAddress, "",
			"this machine has no address at which others reach it, so every allocation is refused (440)")
	}
	var words, notes []string
	code := trouble.PublicIPWrong
	if where[0].Bind.IP.Is6() && c.TURN.DefaultFamily == "ipv4" {
		code = trouble.FamilyMissing
		notes = append(notes, `set turn.default_family = "auto": clients that ask for no family, as all browsers do, `+
			"are refused (440), since there is no IPv4 address to relay on")
	}
	for _, r := range where {
		text := fmt.Sprintf("%s (%s)", r.Public.IP, r.Public.Why)
		if r.Bind.IP != r.Public.IP {
			text += ", bound to " + r.Bind.IP.String()
		}
		words = append(words, text)
		if note := r.Note(); note != "" && !c.Dev {
			notes = append(notes, r.Public.IP.String()+": "+note)
		}
	}
	words = append(words, off...)
	if len(notes) > 0 {
		return warning(code, strings.Join(notes, "; "), "%s", strings.Join(words, "; "))
	}
	return ok("%s", strings.Join(words, "; "))
}

// portRange tries some of the relay ports. A box that runs here may hold some of them.
func portRange(ctx context.Context, c config.Config) Check {
	first, last := c.TURN.RelayPorts.First, c.TURN.RelayPorts.Last
	where, _, _ := app.FindRelays(ctx, &c) // relayAddress reports the error
	if len(where) == 0 {
		return skipped("unknown without a relay address")
	}
	const few = 100 // a mesh call of eight makes about 60 allocations
	size := int(last) - int(first) + 1
	tried, taken := min(size, 64), 0
	for _, i := range rand.Perm(size)[:tried] {
		conn, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.AddrPortFrom(where[0].Bind.IP,
			first+uint16(i))))
		if err != nil {
			taken++
			continue
		}
		conn.Close()
	}
	switch {
	case taken == tried:
		return failed(trouble.RelayPortsTaken, "choose another range in turn.relay_ports; `signalbox allocations` "+
			"shows whether they are in use",
			"no port of %d-%d is free on %s", first, last, where[0].Bind.IP)
	case taken*4 > tried:
		return warning(trouble.RelayPortsTaken, "widen turn.relay_ports, or find the programs that hold them: ss -lunp",
			"%d of %d ports tried in %d-%d are taken", taken, tried, first, last)
	case size < few:
		return warning(trouble.RelayPortsFew, "", "%d-%d are only %d ports", first, last, size)
	}
	return ok("%d-%d; %d of %d tried are free", first, last, tried-taken, tried)
}

// enoughFiles serves a small box: each allocation and each session takes one file.
const enoughFiles = 8192

// openFiles judges the limit of the box that runs here. Doctor's own is that of the shell.
func openFiles(dir string) Check {
	pid := app.Process(state.Existing(dir))
	who, note := fmt.Sprintf("the box that runs here (process %d)", pid), ""
	limit, known := fileLimitOf(pid)
	if !known {
		who, note = "what is started from here", "; a service has the LimitNOFILE of its unit"
		limit, known = fileLimit()
	}
	switch {
	case !known:
		return skipped("this system has no such limit")
	case limit < enoughFiles:
		return warning(trouble.FewDescriptors, "", "%s may open only %d files%s", who, limit, note)
	}
	return ok("%s may open %d files%s", who, limit, note)
}

// wantedBuffer is the receive buffer that the TURN sockets ask for, in bytes.
const wantedBuffer = 4 << 20

func udpBuffer() Check {
	largest, lost, known := receiveBuffer()
	switch {
	case !known:
		return skipped("this system does not say")
	case largest < wantedBuffer && lost > 0:
		return warning(trouble.UDPBuffer, fmt.Sprintf("sysctl -w net.core.rmem_max=%d, and in /etc/sysctl.d",
			wantedBuffer),
			"it holds %d KiB, and this system has dropped %d datagrams since it started because a buffer was full",
			largest>>10, lost)
	}
	return ok("up to %d KiB (net.core.rmem_max); %d datagrams dropped by full buffers since this system started",
		largest>>10, lost)
}

func ownClock() Check {
	synced, known := clockSynced()
	switch {
	case !known:
		return skipped("this system does not say whether its clock is right")
	case !synced:
		return warning(trouble.ClockUnsynced, "", "%s, and nothing keeps this clock right",
			time.Now().Format(time.RFC3339))
	}
	return ok("%s, kept right by NTP", time.Now().Format(time.RFC3339))
}

func stateDir(dir string) Check {
	info, err := os.Stat(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return ok("%s does not exist yet: the first start makes it", dir)
	case err != nil:
		return failed(trouble.StateUnwritable, "run doctor as the service's user or as root", "%v", err)
	case !info.IsDir():
		return failed(trouble.StateUnwritable, "name a directory with --state", "%s is not a directory", dir)
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return warning(trouble.StateUnwritable, "run doctor as the service's user (sudo -u signalbox signalbox "+
			"doctor ...) or as root",
			"%s can't be read: %v", dir, reason(err))
	}
	owner, _ := ownerOf(info)
	for _, e := range entries {
		if file, err := e.Info(); err == nil && file.Mode().IsRegular() {
			if uid, known := ownerOf(file); known && uid != owner {
				return warning(trouble.Unreadable, fmt.Sprintf("chown %d %s", owner, filepath.Join(dir, e.Name())),
					"%s and the directory belong to different users: the service may be unable to read the file",
					e.Name())
			}
		}
	}
	if e := state.Existing(dir).Exposed(); e != nil {
		return warning(trouble.StateExposed, e.Fix, "%s: %s", e.Path, e.Why)
	}
	return ok("%s", dir)
}

// keptCertificate judges the certificate that a start would serve, as clients would.
func keptCertificate(c config.Config, dir *state.Dir, roots *x509.CertPool) Check {
	switch c.TLS.Mode {
	case "acme":
		return skipped("with tls.mode \"acme\" the running box fetches it")
	case "self-signed":
		roots = trusting(roots, cert.KeptAuthority(dir))
	}
	pair, err := app.KeptCertificate(&c, dir)
	switch {
	case errors.Is(err, fs.ErrPermission) && c.TLS.Mode == "self-signed":
		// With "files" the service, too, may be unable to read it.
		return skipped("this user may not read it: %v", reason(err))
	case err != nil:
		return failed(trouble.CertificateUnusable, "the box does not start without it", "%v", err)
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

// servedName returns the name that the certificate must be for, as clients see it.
func servedName(c config.Config, leaf *x509.Certificate) string {
	switch {
	case c.PublicHost != "":
		return string(c.PublicHost)
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
	dir := state.Existing(o.State)
	client, err := adminOf(o.Config, dir)
	if err != nil {
		d.add(failed(trouble.Configuration, "check web.listen", "%v", err).named("running"))
		return false
	}
	options := clientOptions(o, client, dir)
	within, cancel := context.WithTimeout(ctx, o.Timeout)
	s, err := client.Status(within)
	cancel()
	switch {
	case ctx.Err() != nil:
		return true
	case err == nil:
		d.add(ok("signalbox %s at %s for %s: %d sessions, %d allocations", s.Version, client.URL(),
			time.Since(time.UnixMilli(s.StartedAt)).Round(time.Second), s.Signal.Sessions,
			len(s.TURN.Allocations)).named("running"))
		if s := s.Certificate; s != nil && s.Problem != "" {
			d.add(warning(s.Code(), "", "the running box reports about its certificate: %s",
				s.Problem).named("running"))
			if s.StandIn { // the answer has shown that it is the box
				options.StandIn, options.TLS.InsecureSkipVerify = true, true
			}
		}
	default:
		probe := &front{Options: options}
		defer probe.close()
		if c := timed(ctx, "", o.Timeout, probe.reach); c.Verdict != OK {
			return false
		}
		d.add(warning(trouble.StateOther, "",
			"a signalbox runs at %s, but not with this state directory", client.URL()).named("running"))
	}
	d.Client(ctx, options)
	return true
}

// adminOf makes a client for the box's web port, the TLS one if there is one.
func adminOf(c config.Config, dir *state.Dir) (*admin.Client, error) {
	if c.TLS.Mode != "off" && c.Web.TLSListen.On() {
		c.Web.Listen = config.Listen{}
	}
	return app.ConfiguredAdmin(&c, dir)
}

// clientOptions are the options for a box on this machine. Doctor reaches it by a local address, so
// it checks the certificate for the name that others use.
func clientOptions(o HostOptions, client *admin.Client, dir *state.Dir) Options {
	u, err := url.Parse(client.URL())
	if err != nil {
		u = &url.URL{Scheme: "http", Host: "127.0.0.1"}
	}
	conf := o.TLS.Clone()
	var leaf *x509.Certificate
	if pair, err := app.KeptCertificate(&o.Config, dir); err == nil && pair != nil {
		leaf = pair.Leaf
	}
	conf.ServerName = servedName(o.Config, leaf)
	if o.Config.TLS.Mode == "self-signed" {
		conf.RootCAs = trusting(conf.RootCAs, cert.KeptAuthority(dir))
	}
	token := o.Token
	if token == nil {
		token = ownToken(o.Config)
	}
	return Options{URL: u, Token: token, TLS: conf, Dial: client.Dial, Timeout: o.Timeout}
}

// ownToken lets doctor in with the password or key of the configuration; nil: the box is open.
func ownToken(c config.Config) func(string) (string, error) {
	switch c.Auth.Mode {
	case "password":
		return func(string) (string, error) { return string(c.Auth.Password), nil }
	case "jwt":
		return func(room string) (string, error) {
			t, err := app.MintToken(&c, admission.TokenRequest{Rooms: []string{room}, Name: "doctor",
				TTL: 5 * time.Minute})
			if err != nil {
				return "", tokenError{err}
			}
			return t.Token, nil
		}
	}
	return nil
}

// tokenError says that the configuration can't make a room token, having only the public key.
type tokenError struct{ error }

func (e tokenError) Error() string {
	return "the box wants room tokens, and its configuration can't make one: " + e.error.Error()
}

func (e tokenError) Unwrap() error { return e.error }

// startAndCheck runs the same assembly for as long as the checks take.
func (d *Doctor) startAndCheck(ctx context.Context, o HostOptions) {
	if o.Config.TLS.Mode == "acme" {
		if taken := Taken(o.Config); len(taken) > 0 {
			d.add(failed(trouble.PortTaken, "", "%s", strings.Join(taken, "; ")).named("ports"))
		}
		d.add(skipped("no box runs here, and doctor orders no certificates: start signalbox, then run doctor again " +
			"for the rest of the checks").named("running"))
		return
	}
	dir, err := os.MkdirTemp("", "signalbox-doctor-")
	if err == nil {
		defer os.RemoveAll(dir)
		err = copyState(o.State, dir)
	}
	if err != nil {
		d.add(failed(trouble.StateUnwritable, "run doctor as the service's user or as root", "doctor can't start a "+
			"box for the checks: %v",
			err).named("start"))
		return
	}
	var box *app.App
	if d.check(ctx, "start", 2*o.Timeout, func(context.Context) (c Check) {
		box, c = listen(o.Config, dir)
		return c
	}) != OK {
		if box != nil { // the check was cut short
			box.Close()
		}
		return
	}
	alive, stop := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() { ended <- box.Run(alive) }()
	defer func() {
		stop()
		if err := <-ended; err != nil {
			d.add(failed(trouble.StartFailed, "",
				"the box that doctor started for the checks has ended: %v", err).named("start"))
		}
	}()
	c := o.Config
	c.Web.Listen, c.Web.TLSListen = bound(box.Addrs().Web), bound(box.Addrs().WebTLS)
	kept := state.Existing(dir)
	client, err := adminOf(c, kept)
	if err != nil {
		d.add(failed(trouble.Configuration, "check web.listen", "%v", err).named("start"))
		return
	}
	d.Client(ctx, clientOptions(o, client, kept))
}

// bound returns the address that a running box listens on, or off.
func bound(addr string) config.Listen {
	at, err := netip.ParseAddrPort(addr)
	if err != nil {
		return config.Listen{}
	}
	return config.Listen{AddrPort: at}
}

func listen(c config.Config, dir string) (*app.App, Check) {
	kept, err := state.Open(dir)
	if err != nil {
		return nil, failed(trouble.DiskFull, "make room in the directory for temporary files", "%v", err)
	}
	c.Notify.SelfTest, c.Notify.Webhook, c.Notify.Command = 0, "", nil // nobody is to hear of this box
	box, err := app.New(c, kept, nil)
	if err != nil {
		return nil, failed(startTrouble(err), "signalbox fails to start for the same reason; the message says what "+
			"to do", "%v", err)
	}
	if err := box.Listen(); err != nil {
		code, fix := startTrouble(err), "signalbox fails to start for the same reason; the message says what to do"
		if code == trouble.PortForbidden {
			fix = fixOf(code)
		}
		if who := holders(portsOf(c)); len(who) > 0 {
			words := make([]string, len(who))
			for i := range who {
				words[i] = who[i].String()
			}
			fix = strings.Join(words, "; ") + ": stop it, or choose another port"
			if who[0].program == "signalbox" {
				fix = strings.Join(words, "; ") +
					": if that is the box to check, name its configuration and state directory with -c and --state"
			}
		}
		return nil, failed(code, fix, "%v", err)
	}
	return box, ok("no box runs here: doctor runs one for the checks, with a copy of the state directory")
}

// holder is a program that listens on a port.
type holder struct{ program, process, port string }

func (h holder) String() string {
	return fmt.Sprintf("%s (process %s) has port %s", h.program, h.process, h.port)
}

// Taken says which ports of the configuration other programs have.
func Taken(c config.Config) (out []string) {
	try := func(key, network string, at netip.AddrPort) {
		if !at.IsValid() {
			return
		}
		var err error
		if network == "tcp" {
			var l net.Listener
			if l, err = net.Listen(network, at.String()); err == nil {
				l.Close()
			}
		} else {
			var conn net.PacketConn
			if conn, err = net.ListenPacket(network, at.String()); err == nil {
				conn.Close()
			}
		}
		if !errors.Is(err, edge.ErrInUse) {
			return // what else is wrong shows by itself, or is the business of the service's own user
		}
		text := fmt.Sprintf("%s: port %d/%s is taken", key, at.Port(), network)
		for _, who := range holders(map[uint16]bool{at.Port(): true}) {
			if strings.HasSuffix(who.port, "/"+network) {
				text += " by " + who.program + " (process " + who.process + ")"
			}
		}
		out = append(out, text)
	}
	try("web.listen", "tcp", c.Web.Listen.AddrPort)
	if c.TLS.Mode != "off" {
		try("web.tls_listen", "tcp", c.Web.TLSListen.AddrPort)
	}
	for _, l := range c.TURN.Listen {
		if l.OnTCP() {
			try("turn.listen", "tcp", l.AddrPort)
		}
		if l.OnUDP() {
			try("turn.listen", "udp", l.AddrPort)
		}
	}
	return out
}

// portsOf are the ports that the configuration listens on.
func portsOf(c config.Config) map[uint16]bool {
	ports := map[uint16]bool{}
	ports[c.Web.Listen.Port()], ports[c.Web.TLSListen.Port()] = true, true
	for _, l := range c.TURN.Listen {
		ports[l.Port()] = true
	}
	delete(ports, 0)
	return ports
}

// copyState copies what a box keeps, if it exists: secrets and its own certificate.
func copyState(from, to string) error {
	const most = 1 << 20 // of one file; a box keeps a few kilobytes
	entries, err := os.ReadDir(from)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	// Root may run doctor on another user's directory, so links must not lead out of it.
	root, err := os.OpenRoot(from)
	if err != nil {
		return err
	}
	defer root.Close()
	for _, e := range entries {
		if !e.Type().IsRegular() || strings.HasPrefix(e.Name(), ".") || e.Name() == state.Running {
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
