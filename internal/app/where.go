package app

import (
	"bytes"
	"crypto/rand"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/netip"
	"os"
	"syscall"

	"signalbox/internal/admin"
	"signalbox/internal/config"
	"signalbox/internal/source"
	"signalbox/internal/state"
)

// Where a running box listens, and how this machine's commands get in, stands in its state
// directory: so they find it although its configuration has changed since it started, and send
// nothing to whoever else has its port by now. The box holds that file while it runs.

// running is what stands there.
type running struct {
	// The web ports; the zero AddrPort is off.
	HTTP  netip.AddrPort `json:"http"`
	HTTPS netip.AddrPort `json:"https"`
	// Token opens the admin API of this process to this machine.
	Token state.Secret `json:"token"`
	// PID is its process, in this namespace of processes ("" where there is but one).
	PID       int    `json:"pid"`
	Namespace string `json:"namespace,omitempty"`
}

// namespace is that of the processes that this one sees.
func namespace() string {
	name, _ := os.Readlink("/proc/self/ns/pid") // "": not on Linux
	return name
}

// presence is what this box has written there.
type presence struct {
	dir     *state.Dir
	log     *slog.Logger
	text    []byte
	release func()
}

// notePresence is for commands, which find no box where there is none.
func notePresence(dir *state.Dir, at Addrs, token state.Secret, log *slog.Logger) presence {
	r := running{Token: token, PID: os.Getpid(), Namespace: namespace()}
	r.HTTP, _ = netip.ParseAddrPort(at.Web) // not valid: off
	r.HTTPS, _ = netip.ParseAddrPort(at.WebTLS)
	p := presence{dir: dir, log: log, release: func() {}}
	var err error
	if p.text, err = json.Marshal(r); err == nil {
		p.release, err = dir.Hold(state.Running, p.text)
	}
	if err != nil {
		log.Warn("can't note where this box listens: commands need --url", "err", err)
		p.release = func() {}
	}
	return p
}

// remove removes it, unless another box has replaced it.
func (p presence) remove() {
	if p.dir == nil {
		return // Listen has failed
	}
	defer p.release()
	if text, err := p.dir.Read(state.Running); err != nil || !bytes.Equal(text, p.text) {
		return
	}
	if err := p.dir.Remove(state.Running); err != nil {
		p.log.Warn("remove the note of where this box listened", "err", err)
	}
}

// newLocalToken is for the Token of running.
func newLocalToken() state.Secret { return state.Secret(rand.Text()) }

// ErrNotRunning says that no box runs with a state directory.
var ErrNotRunning = errors.New("is it running?")

// readRunning reads what a box that runs with this state directory has left there.
func readRunning(dir *state.Dir) (r running, err error) {
	text, err := dir.ReadHeld(state.Running)
	if errors.Is(err, fs.ErrNotExist) {
		return r, fmt.Errorf("no signalbox runs with the state directory %s: %w If it has another one, name that with "+
			"--state, or give --url", dir.Path(), ErrNotRunning)
	}
	if err == nil {
		err = json.Unmarshal(text, &r)
	}
	return r, err
}

// NewAdmin makes a client for the appliance at a URL, which shows a certificate that trust accepts
// (nil: one of the system's). Without a URL it is the one that runs with this state directory. It
// does not connect yet.
func NewAdmin(c *config.Config, dir *state.Dir, url string, trust *tls.Config) (*admin.Client, error) {
	o := admin.ClientOptions{URL: url, TLS: trust, Token: c.Admin.Token}
	if url == "" {
		r, err := readRunning(dir)
		if err != nil {
			return nil, err
		}
		o.Token, o.HTTP, o.HTTPS, o.Proxies = r.Token, r.HTTP, r.HTTPS, proxiesOf(c)
	} else if o.Token == "" {
		var err error
		if o.Token, err = dir.ExistingSecret(state.AdminToken); err != nil {
			return nil, err
		}
	}
	return admin.NewClient(o)
}

// ConfiguredAdmin makes a client for the appliance that would run with this configuration, whatever
// runs now. Only one that runs with this state directory takes its token for right: that is of no
// use to anybody else. It does not connect yet.
func ConfiguredAdmin(c *config.Config, dir *state.Dir) (*admin.Client, error) {
	o := admin.ClientOptions{Token: "no box runs here", HTTP: c.Web.Listen.AddrPort, Proxies: proxiesOf(c)}
	if r, err := readRunning(dir); err == nil {
		o.Token = r.Token
	}
	if c.TLS.Mode != "off" {
		o.HTTPS = c.Web.TLSListen.AddrPort
	}
	return admin.NewClient(o)
}

func proxiesOf(c *config.Config) source.Proxies {
	if !c.Web.ProxyProtocol {
		return nil
	}
	return source.Proxies(c.Web.TrustedProxies)
}

// Process returns that of the appliance that runs with this state directory. 0: none runs, or not
// among the processes that this one sees.
func Process(dir *state.Dir) (pid int) {
	r, err := readRunning(dir)
	if err != nil || r.Namespace != namespace() {
		return 0
	}
	return r.PID
}

// HangUp has the appliance that runs with this state directory read its configuration again, and
// says nothing of what comes of it: it is for one without a web port.
func HangUp(dir *state.Dir) (pid int, err error) {
	r, err := readRunning(dir)
	if err != nil {
		return 0, err
	}
	if r.Namespace != namespace() {
		return 0, errors.New("signalbox runs in a container: send SIGHUP to it there")
	}
	p, err := os.FindProcess(r.PID)
	if err == nil {
		err = p.Signal(syscall.SIGHUP)
	}
	if err != nil {
		return 0, fmt.Errorf("send SIGHUP to signalbox, process %d: %w", r.PID, err)
	}
	return r.PID, nil
}
