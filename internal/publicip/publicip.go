// Package publicip decides which addresses the appliance relays on: which ones relay sockets bind
// to, which ones clients are told, and why. It follows changes while the appliance runs, since
// leases, interfaces and dynamic DNS change.
package publicip

import (
	"context"
	"errors"
	"log/slog"
	"net/netip"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"signalbox/internal/netaddr"
)

// Options say what is configured.
type Options struct {
	// Public are the addresses that clients are told, at most one of each family.
	Public []netip.Addr
	// Names are host names that lead to such addresses; they are looked up every minute.
	Names []string
	// Auto: a family that neither Public nor Names has an address of is decided by what is here.
	// Without it, such a family is used if the internet routes its address.
	Auto bool
	// Host is the name by which clients reach the box, if it is a name. Look looks it up if this
	// machine's own address is private.
	Host string
	// Bind are the addresses for relay sockets to bind to, at most one of each family. Empty: Look
	// decides.
	Bind []netip.Addr
	// Listen are the addresses that TURN listens on.
	Listen []netip.Addr
	// Probe is a STUN server, "host:port", to ask if nothing else gives the public address; empty:
	// none.
	Probe string

	// Local lists this machine's addresses; nil: netaddr.Local.
	Local func() ([]netip.Addr, error)
	// Lookup and Ask ask name servers and the STUN server; nil: the system's resolver, and STUN.
	Lookup func(ctx context.Context, host string) ([]netip.Addr, error)
	Ask    func(ctx context.Context, from netip.Addr, server string) (netip.Addr, error)

	// Dev: loopback will do where this machine has no other address, and nothing is said of
	// addresses that the internet does not route.
	Dev bool
	Log *slog.Logger
}

// Choice is an address and the reason why it was chosen.
type Choice struct {
	IP  netip.Addr
	Why string
}

// Relay is where the box relays in one address family.
type Relay struct {
	Bind   Choice // the address that relay sockets are bound to
	Public Choice // the address that clients are told
}

// Note says from where Public can't be reached; empty: the internet routes it.
func (r Relay) Note() string { return Scope(r.Public.IP) }

// Relays are the addresses that the box relays on: one of each family in use, IPv4 first. There is
// none while this machine has no address at which others reach it. They are immutable.
type Relays []Relay

// Public returns the first public address, for callers that want only one; that of loopback if
// there is none.
func (r Relays) Public() netip.Addr {
	if len(r) == 0 {
		return netip.AddrFrom4([4]byte{127, 0, 0, 1})
	}
	return r[0].Public.IP
}

// PublicIPs are the addresses that clients are told, as text.
func (r Relays) PublicIPs() []string {
	out := make([]string, len(r))
	for i, relay := range r {
		out[i] = relay.Public.IP.String()
	}
	return out
}

// same reports whether two decisions differ in nothing but their reasons.
func (r Relays) same(other Relays) bool {
	return slices.EqualFunc(r, other, func(a, b Relay) bool {
		return a.Bind.IP == b.Bind.IP && a.Public.IP == b.Public.IP
	})
}

// Interval is how often to look again at names. A changed one is in use after little more, which
// lookupTimeout bounds.
const (
	Interval      = time.Minute
	lookupTimeout = 3 * time.Second
)

// Finder decides on the addresses, and remembers its decisions.
type Finder struct {
	o Options
	// route is defaultRoute. Tests replace it.
	route func(v4 bool) netip.Addr
	inUse atomic.Pointer[decision]
	known answers // owned by the caller of Look; one call at a time
}

// New decides by what this machine knows of itself. It asks nobody.
func New(o Options) (*Finder, error) {
	if o.Local == nil {
		o.Local = netaddr.Local
	}
	if o.Lookup == nil {
		o.Lookup = lookupHost
	}
	if o.Ask == nil {
		o.Ask = askSTUN
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	f := &Finder{o: o, route: defaultRoute}
	first, err := f.decide(answers{}, nil)
	if err != nil {
		return nil, err
	}
	f.inUse.Store(&first)
	return f, nil
}

// Relays is what was decided last.
func (f *Finder) Relays() Relays { return f.inUse.Load().relays }

// Off says, for each family in which the configuration keeps the box from relaying although this
// machine has an address, why.
func (f *Finder) Off() []string { return f.inUse.Load().off }

// Look decides again, by what the machine, its name servers and the STUN server say now. If the
// addresses have changed, it calls apply to put them into force; if apply fails, everything stays
// as it was. What this machine itself knows does not wait for the others. An address that Look
// can't find out stays as it was, and the error says so.
func (f *Finder) Look(ctx context.Context, apply func(Relays) error) error {
	if err := f.settle(apply); err != nil {
		return err
	}
	known, unknown := f.ask(ctx, f.Relays())
	f.known = known
	return errors.Join(unknown, f.settle(apply))
}

// settle decides by what is known, and puts that into force.
func (f *Finder) settle(apply func(Relays) error) error {
	old := f.Relays()
	next, err := f.decide(f.known, old)
	if err != nil {
		return err
	}
	if !next.relays.same(old) {
		if err := apply(next.relays); err != nil {
			return err
		}
		f.o.Log.Info("relay addresses changed",
			"from", strings.Join(old.PublicIPs(), " "), "to", strings.Join(next.relays.PublicIPs(), " "))
		f.warn(next)
	}
	f.inUse.Store(&next)
	return nil
}

// here decides again by what this machine has. It asks name servers and the STUN server only if the
// box now relays from other addresses.
func (f *Finder) here(ctx context.Context, apply func(Relays) error) error {
	old := f.Relays()
	if err := f.settle(apply); err != nil || f.Relays().same(old) {
		return err
	}
	return f.Look(ctx, apply)
}

// Follow calls Look at every interval until ctx is done, and decides again each time that changed
// tells of addresses of this machine that may have changed. It logs a failure once, not each time.
func (f *Finder) Follow(ctx context.Context, interval time.Duration, changed <-chan struct{},
	apply func(Relays) error) {
	tick := time.NewTicker(interval)
	defer tick.Stop()
	said := ""
	for {
		look := f.Look
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		case <-changed:
			look = f.here
		}
		switch err := look(ctx, apply); {
		case err == nil:
			said = ""
		case ctx.Err() == nil && err.Error() != said:
			said = err.Error()
			f.o.Log.Warn("the relay addresses stay as they are", "err", err)
		}
	}
}

// Warn logs which of the addresses callers from elsewhere can't reach, and what to do.
func (f *Finder) Warn() { f.warn(*f.inUse.Load()) }

func (f *Finder) warn(now decision) {
	if f.o.Dev {
		return
	}
	if len(now.relays) == 0 {
		f.o.Log.Warn("the relay has no address: it refuses every allocation (440) until this machine has one")
	}
	for _, reason := range now.off {
		f.o.Log.Info("the relay has addresses of one family only", "reason", reason)
	}
	for _, r := range now.relays {
		if note := r.Note(); note != "" {
			f.o.Log.Warn("the internet does not route the relay's address",
				"addr", r.Public.IP, "reason", r.Public.Why, "note", note)
		}
	}
}
