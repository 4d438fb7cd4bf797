package doctor

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"strings"

	"signalbox/internal/app"
	"signalbox/internal/config"
	"signalbox/internal/state"
	"signalbox/internal/trouble"
)

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
