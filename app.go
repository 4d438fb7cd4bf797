package signalbox

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"os"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"signalbox/internal/source"
	"signalbox/signal"
	"signalbox/signal/native"
	"signalbox/turnsvc"
	"signalbox/turnsvc/cred"
	"signalbox/webui"
)

const (
	turnSecretFile = "turn-secret"
	adminTokenFile = "admin-token"
	resumeKeyFile  = "resume-key"
)

// App is the whole appliance: New, Listen, Run.
type App struct {
	// Set in New.
	cfg     Config
	state   *State
	log     *slog.Logger
	outside outside
	turn    *turnsvc.Server
	hub     *signal.Hub
	native  *native.Server
	bans    *source.Bans
	ui      *webui.UI
	admin   *admin
	certs   certificateSource // nil: TLS is off
	root    *webRoot          // nil: none
	proxies []netip.Prefix    // whose X-Forwarded-For is believed
	conns   *crowd
	issuing *sourceLimiter // of credentials
	guesses *sourceLimiter // of wrong passwords, tokens and keys

	// Set in Listen.
	edge    *edge
	started time.Time

	ready      atomic.Bool
	live       atomic.Pointer[live]
	reloading  sync.Mutex // one Reload at a time; guards loaded
	loaded     Config     // the last that was put into force; cfg is the first
	addressing atomic.Pointer[addressing]
	names      resolved // owned by Listen, then by followAddresses
}

// public is the address that clients reach the box by, as far as it knows.
func (a *App) public() address { return a.addressing.Load().public() }

// New wires an appliance. It reads the state directory, where it makes what is missing, and opens
// nothing else. log may be nil.
func New(cfg Config, state *State, log *slog.Logger) (*App, error) {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	a := &App{
		cfg: cfg, loaded: cfg, state: state, log: log, outside: outside{lookupHost, probeSTUN},
		bans:    source.NewBans(),
		issuing: newSourceLimiter(icePerSecond, iceBurst), guesses: newSourceLimiter(guessesPerSecond, guessBurst),
	}
	a.conns = newCrowd(&cfg)
	a.edge = &edge{log: log.With("part", "edge")}
	token, err := a.secret(cfg.Admin.Token, adminTokenFile)
	if err != nil {
		return nil, err
	}
	a.admin = newAdmin(token)
	if a.proxies, err = parsePrefixes(cfg.Web.TrustedProxies); err != nil {
		return nil, err
	}
	where, err := relayAddresses(&cfg, nil, nil)
	if err != nil {
		return nil, err
	}
	a.addressing.Store(&where)
	if err := checkAlternate(&cfg, a.public().ip); err != nil {
		return nil, err
	}
	if a.certs, err = a.newCertificateSource(); err != nil {
		return nil, err
	}
	inForce, err := a.makeLive(&cfg)
	if err != nil {
		return nil, err
	}
	a.live.Store(inForce)
	if a.root, err = openWebRoot(cfg.Web.Root); err != nil {
		return nil, err
	}
	_, own := a.certs.(*selfSigned)
	if a.ui, err = webui.New(webui.Options{Version: Version(), HTTPSPort: a.httpsPort, Trust: own}); err != nil {
		return nil, err
	}
	options, err := a.turnOptions()
	if err != nil {
		return nil, err
	}
	if a.turn, err = turnsvc.New(options); err != nil {
		return nil, err
	}
	resumeKey, err := state.Secret(resumeKeyFile)
	if err != nil {
		return nil, err
	}
	if a.hub, err = signal.New(a.signalOptions(resumeKey)); err != nil {
		return nil, err
	}
	a.native = native.New(a.hub)
	return a, nil
}

// secret returns the configured one, or else the one kept in the state directory.
func (a *App) secret(configured Secret, name string) (Secret, error) {
	if configured != "" {
		return configured, nil
	}
	return a.state.Secret(name)
}

// certificateNames are what a self-signed certificate is made out to: every name and address that
// people may type to reach this box.
func (a *App) certificateNames() []string {
	names := []string{"localhost", "127.0.0.1", "::1", certificateName(a.cfg.PublicHost)}
	if host, err := os.Hostname(); err == nil {
		names = append(names, certificateName(host))
	}
	local, _ := localAddrs() // without them there are still those that relays have
	for _, ip := range local {
		names = append(names, ip.String())
	}
	for _, r := range *a.addressing.Load() {
		names = append(names, r.bind.ip.Unmap().String(), r.public.ip.Unmap().String())
	}
	slices.Sort(names)
	return slices.DeleteFunc(slices.Compact(names), func(name string) bool { return name == "" })
}

// certificateName is a host as a certificate has it. It is empty if none can: verifiers would
// refuse the certificate for all its other names, too.
func certificateName(host string) string {
	if ip, err := netip.ParseAddr(host); err == nil {
		return ip.Unmap().WithZone("").String()
	}
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	if !validHost(host) || slices.ContainsFunc(strings.Split(host, "."),
		func(label string) bool { return label == "" || len(label) > 63 }) {
		return ""
	}
	return host
}

func (a *App) signalOptions(resumeKey Secret) signal.Options {
	c := a.cfg.Signal
	o := signal.Options{
		RoomCapacity: c.RoomCapacity, Rooms: c.Rooms, RoomsPerSession: c.RoomsPerSession, Calls: c.Calls,
		Heartbeat: time.Duration(c.Heartbeat), MaxFrame: c.MaxFrame, Rate: c.Rate,
		Sessions: c.Sessions, SessionsPerSource: c.SessionsPerSource, Resume: time.Duration(c.Resume),
		ResumeKey:      []byte(resumeKey),
		AllowedOrigins: a.cfg.Web.AllowedOrigins, ICE: issuer{a}, Members: a.turn, Bans: a.bans,
		Claims: a.cfg.TURN.Peers == "signaled", Log: a.log.With("part", "signal"),
	}
	if a.cfg.Auth.Mode != "open" {
		o.Guard = guard{a}
	}
	return o
}

func (a *App) turnOptions() (turnsvc.Options, error) {
	o := turnsvc.Options{
		Realm: a.cfg.TURN.Realm, Relays: a.addressing.Load().relays(), AllowLoopback: a.cfg.Dev,
		Bans: a.bans, Transfer: a.readTransfer(), Log: a.log.With("part", "turn"),
	}
	if a.cfg.TURN.DTLS {
		o.DTLSCertificate = func(string) (*tls.Certificate, error) { return a.certs.inForce().pair, nil }
	}
	var err error
	if o.Live, err = turnLive(&a.cfg, a.live.Load().keys); err != nil {
		return o, err
	}
	o.MinPort, o.MaxPort, err = a.cfg.relayPorts()
	return o, err
}

// turnLive is the part of the TURN configuration that can change while the server runs.
func turnLive(cfg *Config, keys *cred.Keys) (l turnsvc.Live, err error) {
	c := &cfg.TURN
	l = turnsvc.Live{
		Users: map[string][]byte{}, Keys: keys, MinLifetime: time.Duration(c.MinLifetime),
		HubPeers: peersByName[c.Peers], StaticPeers: peersByName[c.StaticPeers],
		Limits: turnsvc.Limits{
			Allocations: c.Limits.Allocations, PerUser: c.Limits.PerUser, PerSource: c.Limits.PerSource,
			Permissions: c.Limits.Permissions, Channels: c.Limits.Channels,
			Connections: c.Limits.Connections, ConnectionsPerSource: c.Limits.ConnectionsPerSource,
			UnauthorizedPerSource: c.Limits.UnauthorizedPerSource,
			Bandwidth:             int64(c.Limits.Bandwidth), UserBandwidth: int64(c.Limits.UserBandwidth),
			TotalBandwidth: int64(c.Limits.TotalBandwidth), TotalPerMonth: int64(c.Limits.TotalPerMonth),
		},
	}
	if l.AllowPeers, err = parsePrefixes(c.AllowPeers); err != nil {
		return l, err
	}
	if l.DenyPeers, err = parsePrefixes(c.DenyPeers); err != nil {
		return l, err
	}
	for _, u := range c.Users {
		if l.Users[u.Name], err = u.key(c.Realm); err != nil {
			return l, err
		}
	}
	return l, nil
}

// Listen binds every socket, or none. It looks up the names that the configuration takes public
// addresses from.
func (a *App) Listen() error {
	if err := a.edge.bind(&a.cfg, a.tlsConfig()); err != nil {
		return err
	}
	if a.edge.corners != nil {
		if err := a.turn.EnableDiscovery(*a.edge.corners); err != nil {
			a.edge.close()
			return fmt.Errorf("stun.alternate: %w", err)
		}
	}
	if err := a.readdress(context.Background()); err != nil {
		a.log.Warn("a public address is not known yet", "err", err)
	}
	a.warnOfAddresses(*a.addressing.Load())
	if note := a.cfg.openMetrics(); note != "" {
		a.log.Warn(note)
	}
	if a.certs != nil {
		if err := a.certs.bound(); err != nil {
			a.edge.close()
			return err
		}
	}
	a.started = time.Now()
	a.ready.Store(true)
	return nil
}

// Shutdown gives HTTP requests and signaling sessions this long to end.
const shutdownTimeout = 5 * time.Second

// Run serves until ctx is done, then closes everything and returns nil; or until something fails
// that serving needs. It returns only when every goroutine that it started has ended.
func (a *App) Run(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	background, stop := context.WithCancel(context.Background()) // what must outlast the hub's farewell
	defer stop()

	g.Go(func() error { return a.turn.Run(background) })
	handler := a.fromClient(a.routes())
	var servers []*http.Server
	serve := func(l net.Listener, srv *http.Server) {
		servers = append(servers, srv)
		g.Go(func() error {
			if err := srv.Serve(l); !errors.Is(err, http.ErrServerClosed) {
				return fmt.Errorf("serve http on %s: %w", l.Addr(), err)
			}
			return nil
		})
	}
	var plain, secure, scrapers func(net.Conn)
	if a.edge.webTLS != nil {
		queue := newConnQueue(a.edge.webTLS.Addr())
		secure = queue.push
		serve(queue, a.httpServer(handler))
	}
	if a.edge.web != nil {
		queue := newConnQueue(a.edge.web.Addr())
		plain = queue.push
		serve(queue, a.httpServer(a.acmeHTTP(a.redirectToTLS(handler))))
	}
	if a.edge.metrics != nil {
		queue := newConnQueue(a.edge.metrics.Addr())
		scrapers = fewOf(queue.push)
		serve(queue, a.metricsServer())
	}
	g.Go(func() error {
		m := &mux{
			turn: a.turn, tls: a.edge.tlsConf, trusts: a.trusts, proxied: a.cfg.Web.ProxyProtocol,
			conns: a.conns,
		}
		a.edge.serve(background, m, plain, secure, scrapers)
		return nil
	})
	g.Go(func() error {
		a.followAddresses(ctx, addressInterval)
		return nil
	})
	g.Go(func() error {
		a.keepCertificate(ctx)
		return nil
	})
	g.Go(func() error {
		a.keepTransfer(background)
		return nil
	})
	g.Go(func() error {
		<-ctx.Done()
		a.ready.Store(false)
		a.shutdown(servers)
		stop()
		a.edge.close()
		return nil
	})
	return g.Wait()
}

// shutdown ends signaling, then HTTP.
func (a *App) shutdown(servers []*http.Server) {
	ctx, cancel := context.WithTimeout(context.Background(), shutdownTimeout)
	defer cancel()
	if err := a.hub.Close(ctx); err != nil {
		a.log.Warn("close signaling", "err", err)
	}
	for _, srv := range servers {
		if srv.Shutdown(ctx) != nil {
			srv.Close()
		}
	}
}

func (a *App) httpServer(handler http.Handler) *http.Server {
	return &http.Server{
		Handler:           withTLSState(handler),
		ReadHeaderTimeout: 10 * time.Second,
		ReadTimeout:       30 * time.Second, // of a whole request; a WebSocket has deadlines of its own
		WriteTimeout:      time.Minute,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    32 << 10,
		// of single connections, so a stranger's noise
		ErrorLog: slog.NewLogLogger(a.log.Handler(), slog.LevelDebug),
		ConnContext: func(ctx context.Context, c net.Conn) context.Context {
			if p, ok := c.(*edgeConn); ok {
				return context.WithValue(ctx, tlsStateKey{}, p.tlsState())
			}
			return ctx
		},
	}
}

type tlsStateKey struct{}

// withTLSState sets r.TLS on connections that were peeked at, which net/http does not know to be
// TLS.
func withTLSState(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if state, ok := r.Context().Value(tlsStateKey{}).(*tls.ConnectionState); ok && r.TLS == nil {
			r.TLS = state
		}
		next.ServeHTTP(w, r)
	})
}

// Drain refuses new sessions and allocations and waits until the running allocations have ended, or
// ctx is done.
func (a *App) Drain(ctx context.Context) {
	a.ready.Store(false)
	a.hub.Drain()
	a.turn.Drain()
	a.log.Info("draining", "allocations", a.turn.Allocations())
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	for {
		n := a.turn.Allocations()
		if n == 0 {
			a.log.Info("drained: every allocation has ended")
			return
		}
		select {
		case <-ctx.Done():
			a.log.Warn("drained no further: the time is over", "allocations", n)
			return
		case <-tick.C:
		}
	}
}

// Close gives back what Listen took, for an App that is not run.
func (a *App) Close() error {
	a.edge.close()
	return nil
}

// Status is the state of the appliance at one moment. Times are Unix milliseconds.
type Status struct {
	Version   string   `json:"version"`
	StartedAt int64    `json:"startedAt"`
	Ready     bool     `json:"ready"` // as /readyz says it: not while draining
	PublicIP  []string `json:"publicIP"`
	// Certificate is nil if TLS is off.
	Certificate *CertificateStatus `json:"certificate,omitempty"`
	Web         WebConnections     `json:"web"`
	TURN        turnsvc.Snapshot   `json:"turn"`
	Signal      signal.Snapshot    `json:"signal"`
}

// Status returns the state of the appliance.
func (a *App) Status() Status {
	s := a.status()
	s.TURN, s.Signal = a.turn.Snapshot(), a.hub.Snapshot()
	return s
}

// status is Status without what the components have to say.
func (a *App) status() Status {
	return Status{
		Version: Version(), StartedAt: a.started.UnixMilli(), Ready: a.ready.Load(),
		PublicIP:    a.addressing.Load().publicIPs(),
		Certificate: a.certificateStatus(), Web: a.conns.snapshot(),
	}
}

// version is set by the release build.
var version string

// Version is the release, or what the Go tool knows of the build.
func Version() string {
	if version != "" {
		return version
	}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" && len(s.Value) >= 12 {
			return "devel-" + s.Value[:12]
		}
	}
	return "devel"
}
