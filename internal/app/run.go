package app

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"golang.org/x/sync/errgroup"

	"signalbox/internal/edge"
	"signalbox/internal/fault"
	"signalbox/internal/metrics"
	"signalbox/internal/netaddr"
	"signalbox/internal/publicip"
	"signalbox/internal/site"
	"signalbox/signal"
	"signalbox/turnsvc"
)

// Listen binds every socket, or none. It looks up the names that give public addresses.
func (a *App) Listen() (err error) {
	warnOf(&a.cfg, a.dir, a.log)
	if err := a.edge.Bind(); err != nil {
		return err
	}
	// Before what takes time: whoever comes now waits, and does not find nobody.
	a.present = notePresence(a.dir, a.Addrs(), a.local, a.log)
	defer func() {
		if err != nil {
			a.present.remove()
			a.edge.Close()
		}
	}()
	if corners := a.edge.Corners(); corners != nil {
		if err := a.turn.EnableDiscovery(*corners); err != nil {
			return fault.New("stun.alternate", "%w", err)
		}
	}
	if err := a.relays.Look(context.Background(), relayOn(a.turn)); err != nil {
		a.log.Warn("no public address known yet", "err", err)
	}
	a.relays.Warn()
	a.certs.UseSocket(a.edge.Socket())
	a.certs.Bound()
	a.started = time.Now()
	a.ready.Store(true)
	return nil
}

// addressInterval is how often this machine's addresses are looked at where the kernel tells of no
// changes, and former ones for whether they are still in use.
const addressInterval = 5 * time.Second

// relayOn returns a func that has new allocations relay on other addresses. Running ones keep
// theirs.
func relayOn(turn *turnsvc.Server) func(publicip.Relays) error {
	return func(relays publicip.Relays) error { return turn.SetRelays(relayAddresses(relays)) }
}

// shutdownTimeout is how long HTTP requests and signaling sessions have to end.
const shutdownTimeout = 5 * time.Second

// Run serves until ctx is done, then closes everything and returns nil. If a vital part fails, it
// returns that error. It returns only when every goroutine that it started has ended.
func (a *App) Run(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	background, stop := context.WithCancel(context.Background()) // what must outlast the hub's farewell
	defer stop()

	g.Go(func() error { return a.turn.Run(background) })
	web := &webServers{g: g}
	pages := site.New(a.siteOptions())
	numbers := metrics.Server(a.vitals, a.log.With("part", "metrics"))
	numbers.Handler = a.hosts.Only(numbers.Handler)
	to := edge.Handlers{
		HTTPS:    web.serve(a.edge.WebTLS(), edge.HTTPServer(pages.Secure(), a.log)),
		HTTP:     web.serve(a.edge.Web(), edge.HTTPServer(pages.Plain(), a.log)),
		Collider: web.serve(a.edge.Collider(), edge.HTTPServer(a.others.collider(&a.cfg), a.log)),
		Metrics:  edge.Few(metrics.MaxScrapers, web.serve(a.edge.Metrics(), numbers)),
	}
	for _, job := range []func(){
		func() {
			select {
			case <-a.turn.Ready():
				a.edge.Serve(background, a.turn, to)
			case <-background.Done():
			}
		},
		func() {
			netaddr.Follow(ctx, addressInterval, func() {
				for _, c := range a.moved {
					netaddr.Poke(c)
				}
			})
		},
		func() { a.relays.Follow(ctx, publicip.Interval, a.moved[1], relayOn(a.turn)) },
		func() { a.certs.Keep(ctx) },
		func() { a.hooks.Run(background) },
		func() { a.tester.Run(ctx) },
		func() { a.notices.Run(ctx) },
		func() { a.admin.Run(ctx) },
		func() { keepTransfers(background, a.dir, a.turn, a.unread, a.log) },
		func() { a.usage.Keep(background) },
		func() { a.guard.Keep(ctx, a.log.With("part", "admission")) },
		func() {
			<-ctx.Done()
			a.ready.Store(false)
			if err := web.shutdown(a.hub); err != nil {
				a.log.Warn("close signaling", "err", err)
			}
			stop()
			a.edge.Close()
		},
	} {
		g.Go(func() error {
			job()
			return nil
		})
	}
	defer a.present.remove()
	return g.Wait()
}

// webServers are the HTTP servers of the edge's ports.
type webServers struct {
	g       *errgroup.Group
	servers []*http.Server
}

// serve runs a server, and returns the func that takes its connections; nil if there is no
// listener.
func (w *webServers) serve(l net.Listener, srv *http.Server) func(net.Conn) {
	if l == nil {
		return nil
	}
	queue := edge.NewQueue(l.Addr())
	w.servers = append(w.servers, srv)
	w.g.Go(func() error {
		if err := srv.Serve(queue); !errors.Is(err, http.ErrServerClosed) {
			return fmt.Errorf("serve http on %s: %w", queue.Addr(), err)
		}
		return nil
	})
	return queue.Push
}

// shutdown ends signaling, so that clients hear why, and then HTTP.
func (w *webServers) shutdown(hub *signal.Hub) error {
	ctx, cancel := context.WithTimeout(context.Background(), shutdownTimeout)
	defer cancel()
	err := hub.Close(ctx)
	for _, srv := range w.servers {
		if srv.Shutdown(ctx) != nil {
			srv.Close()
		}
	}
	return err
}

// Drain refuses new sessions and allocations and waits until the running allocations have ended, or
// ctx is done.
func (a *App) Drain(ctx context.Context) {
	a.ready.Store(false)
	a.hub.Drain()
	drained := a.turn.Drain()
	a.log.Info("draining", "allocations", a.turn.Allocations())
	select {
	case <-drained:
		a.log.Info("drained: every allocation has ended")
	case <-ctx.Done():
		a.log.Warn("draining ended: drain.timeout is over", "allocations", a.turn.Allocations())
	}
}

// Close gives back what Listen took, for an App that is not run.
func (a *App) Close() error {
	a.present.remove()
	a.edge.Close()
	return nil
}
