// Package app is the assembly: it makes the rooms of the appliance from the configuration, gives
// them what they need from one another, starts them and ends them. It is the only room that knows
// the whole configuration.
//
// # Life cycle
//
// New reads the state directory and wires the rooms. Listen binds every socket or none. Run serves
// until its context is done, and returns when every goroutine has ended. Drain refuses new work and
// lets allocations finish. Ten appliances can run in one process: nothing is global.
//
// At the end the hub closes first, so that clients hear why; then HTTP, TURN and the listening
// sockets close.
//
// # Locks
//
// Each package has its own lock order (see the doc.go of signal and turnsvc). Between packages, the
// hub tells turnsvc under its own locks who may reach whom, and turnsvc never calls the hub, which
// waits in goroutines of its own for what turnsvc has seen.
// Credentials are minted under no lock. So no deadlock is possible.
package app

import (
	"log/slog"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"signalbox/internal/admin"
	"signalbox/internal/admission"
	"signalbox/internal/cert"
	"signalbox/internal/config"
	"signalbox/internal/edge"
	"signalbox/internal/iceserver"
	"signalbox/internal/netaddr"
	"signalbox/internal/notify"
	"signalbox/internal/publicip"
	"signalbox/internal/rooms"
	"signalbox/internal/selftest"
	"signalbox/internal/site"
	"signalbox/internal/source"
	"signalbox/internal/state"
	"signalbox/internal/status"
	"signalbox/internal/usage"
	"signalbox/internal/webhook"
	"signalbox/signal"
	"signalbox/signal/native"
	"signalbox/turnsvc"
	"signalbox/webui"
)

// App is the whole appliance: New, Listen, Run.
type App struct {
	// Reread, if it is set before Run, has the configuration read again for the admin API. It ends
	// in Reload.
	Reread func() (Reloaded, error)
	// LostLines, if it is set before Run, counts lines that the log lacks, for the status.
	LostLines func() uint64
	// Leave, if it is set before Run, has the program drain the box and end, as SIGTERM does.
	Leave func()
	// Effective, if it is set before Run, returns the configuration that is in force, as TOML
	// without secrets.
	Effective func() (string, error)

	// Set in New.
	cfg     config.Config // the first; loaded is the last
	dir     *state.Dir
	log     *slog.Logger
	here    *netaddr.Roster // this machine's addresses
	relays  *publicip.Finder
	certs   *cert.Keeper // nil: TLS is off
	guard   *admission.Guard
	edge    *edge.Edge
	moved   [2]chan struct{} // tell edge and relays of addresses of this machine that may have changed
	crowd   *source.Crowd    // of the web ports
	bans    *source.Bans     // of the hub and of the relay
	ice     *iceserver.Issuer
	turn    *turnsvc.Server
	unread  bool          // what earlier processes have relayed; see readTransfers
	usage   *usage.Ledger // nil: off
	hub     *signal.Hub
	hooks   *webhook.Hooks
	rooms   *rooms.API // the server API
	admin   *admin.API
	lines   *admin.Lines
	tester  *selftest.Tester // nil: it is off
	notices *notify.Notifier
	ui      *webui.UI
	others  *dialects    // of the hub, besides its own
	local   state.Secret // opens the admin API to this machine; see running
	root    *site.Root
	hosts   *site.Hosts
	urls    *site.URLs

	// Set in Listen.
	started time.Time
	present presence

	ready     atomic.Bool
	limits    atomic.Pointer[admin.Limits]
	reloading sync.Mutex    // one Reload at a time; guards loaded
	loaded    config.Config // the last that was put into force
}

// New wires an appliance. It reads the state directory, creates what is missing there, and opens
// nothing else. log may be nil.
func New(cfg config.Config, dir *state.Dir, log *slog.Logger) (*App, error) {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	lines := &admin.Lines{}
	log = slog.New(lines.Tee(log.Handler()))
	a := &App{cfg: cfg, loaded: cfg, dir: dir, log: log, lines: lines, crowd: source.NewCrowd(webLimits(&cfg)),
		bans: readBans(dir, time.Now(), log), here: netaddr.NewRoster(),
		moved: [2]chan struct{}{make(chan struct{}, 1), make(chan struct{}, 1)}}
	for _, step := range []func() error{
		a.findRelays, a.openCertificate, a.makeGuard, a.makeEdge, a.makeTURN, a.makeHub, a.makeSite,
	} {
		if err := step(); err != nil {
			return nil, err
		}
	}
	return a, nil
}

func (a *App) findRelays() (err error) {
	o := publicOptions(&a.cfg, a.log)
	o.Local = a.here.Local
	a.relays, err = publicip.New(o)
	return err
}

func (a *App) openCertificate() (err error) {
	o := certOptions(&a.cfg, a.dir)
	o.Names = func() []string { return certificateNames(&a.cfg, a.relays.Relays()) }
	o.Log = a.log.With("part", "certificate")
	a.certs, err = cert.Open(o)
	return err
}

func (a *App) makeGuard() (err error) {
	o := admissionOptions(&a.cfg, a.dir)
	o.Log = a.log.With("part", "auth")
	a.guard, err = admission.New(o, a.bans)
	return err
}

func (a *App) makeEdge() error {
	o, err := edgeOptions(&a.cfg, a.relays)
	if err != nil {
		return err
	}
	o.TLS, o.Connections, o.Log = a.certs.TLSConfig(edge.Protocols()...), a.crowd, a.log.With("part", "edge")
	o.Local, o.Changed = a.here.Local, a.moved[0]
	a.edge = edge.New(o)
	a.urls = &site.URLs{
		Sockets: a.edge, Relays: a.relays.Relays,
		PublicHost: string(a.cfg.PublicHost), Proxy: a.cfg.ProxyOrigin(),
	}
	a.hosts = &site.Hosts{Cert: a.certs.Names, Log: a.log}
	a.hosts.Apply(hostNames(&a.cfg))
	return nil
}

func (a *App) makeTURN() error {
	keys, err := credentialKeys(&a.cfg, a.dir)
	if err != nil {
		return err
	}
	naming, err := namingKey(a.dir)
	if err != nil {
		return err
	}
	a.ice = iceserver.New(iceserver.Options{
		PublicHost: string(a.cfg.PublicHost), Sockets: a.edge, Relays: a.relays.Relays, Covers: a.certs.Covers,
		Loopback: a.cfg.Dev, CheckKey: a.guard.CheckKey,
		Naming: naming,
		Banned: func(user string, from netip.Addr) bool { return a.bans.Concern(user, "", from, time.Now()) },
	}, iceLive(&a.cfg, keys))
	a.bans.Alias(a.ice.UserID)
	o := turnOptions(&a.cfg, relayAddresses(a.relays.Relays()))
	o.Transfers, a.unread = readTransfers(a.dir, a.log)
	o.Own = a.ice.IsOwn
	o.Bans, o.Log, o.TLS = a.bans, a.log.With("part", "turn"), a.certs.TLSConfig(edge.TURNProtocols()...)
	if a.cfg.DTLS() {
		o.DTLSCertificate = a.certs.DTLSCertificate
	}
	if o.Live, err = turnLive(&a.cfg, keys); err != nil {
		return err
	}
	if a.turn, err = turnsvc.New(o); err != nil {
		return err
	}
	if a.cfg.TURN.Usage {
		a.usage = usage.New(a.dir, takeUsage(a.turn), a.log.With("part", "usage"))
	}
	return nil
}

// takeUsage takes from the relay what the ledger keeps.
func takeUsage(turn *turnsvc.Server) func() []usage.Row {
	return func() (rows []usage.Row) {
		for _, u := range turn.TakeUsage() {
			rows = append(rows, usage.Row(u))
		}
		return rows
	}
}

func (a *App) makeHub() error {
	key, err := a.dir.Secret(state.ResumeKey)
	if err != nil {
		return err
	}
	o := hubOptions(&a.cfg)
	o.ResumeKey, o.ICE, o.Members, o.Watcher = []byte(key), a.ice, a.turn, watcher{a.turn}
	o.Bans, o.Log = a.bans, a.log.With("part", "signal")
	o.OwnHost = a.hosts.Own
	if a.guard.Asks() {
		o.Guard = a.guard
	}
	o.Journal = webhook.NewJournal()
	a.hooks = webhook.New(o.Journal, a.log.With("part", "webhook"))
	a.hooks.Apply(hookOptions(&a.cfg))
	o.Door = a.hooks
	if a.hub, err = signal.New(o); err != nil {
		return err
	}
	a.notices = notify.New(a.dir, a.log.With("part", "notify"))
	a.notices.Apply(notifyOptions(&a.cfg))
	a.tester = newSelfTest(a)
	a.others = newDialects(a.hub, &a.cfg, a.guard, a.ice, a.hosts)
	a.rooms = rooms.New(guestsOf(a), a.log.With("part", "api"))
	a.rooms.Apply(roomsOptions(&a.cfg))
	return nil
}

func (a *App) makeSite() (err error) {
	token := a.cfg.Admin.Token
	if token == "" {
		if token, err = a.dir.Secret(state.AdminToken); err != nil {
			return err
		}
	}
	a.local = newLocalToken()
	a.admin = admin.New(admin.Options{
		Token: token, Local: a.local, Status: a.Status, Hub: a.hub, Relay: a.turn, Member: a.turn.Member, Bans: a.bans,
		Usage:  a.usage,
		Reload: func() (Reloaded, error) { return readAgain(a.Reread) }, Log: a.log,
		Vitals: a.vitals, Rooms: guestsOf(a), Lines: a.lines,
		Drain: func() error { return leave(a.Leave) }, Config: func() (string, error) { return effective(a.Effective) },
		Limits: func() admin.Limits { return *a.limits.Load() }, Dir: a.dir,
	})
	a.admin.Apply(adminTokens(&a.cfg))
	a.limits.Store(adminLimits(&a.cfg))
	if a.root, err = site.OpenRoot(a.cfg.Web.Root); err != nil {
		return err
	}
	a.ui, err = webui.New(webui.Options{
		Version: status.Version(), HTTPSPort: a.edge.HTTPSPort, Origin: a.urls.Origin,
		Trust: a.certs.Authority() != nil, Asks: a.guard.Asks, Calls: a.cfg.Signal.Calls,
	})
	return err
}

func (a *App) siteOptions() site.Options {
	return site.Options{
		Version: status.Version(), UI: a.ui, Root: a.root, Hub: native.New(a.hub), ICE: a.ice,
		LetsRead: a.hub.LetsRead, Admitted: a.guard.Only, Admin: a.admin.Routes(), Rooms: a.rooms.Routes(),
		Dialects: a.others.routes(), Start: a.others.start,
		Certs:   a.certs,
		Proxies: source.Proxies(a.cfg.Web.TrustedProxies), Ready: a.ready.Load, URLs: a.urls,
		Hosts: a.hosts, AnyPage: a.hub.AnyOrigin, RESTOpen: a.ice.RESTOpen, SelfTest: a.tester.Status,
	}
}

// Kick ends sessions and allocations, and bans if that is asked for.
func (a *App) Kick(k admin.Kick) (admin.Result, error) { return a.admin.Kick(k) }
