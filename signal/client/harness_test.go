package client_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"net"
	"net/http"
	"sync"
	"testing"
	"time"

	"signalbox/internal/testkit"
	"signalbox/signal"
	"signalbox/signal/client"
	"signalbox/signal/native"
)

// patience bounds every wait in these tests. It is never waited for unless something is broken.
const patience = time.Minute

// TestMain fails when a goroutine of this package outlives its tests.
func TestMain(m *testing.M) { testkit.Main(m, patience, "signalbox/signal", "net/http.(*persistConn)") }

func deadline(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	t.Cleanup(cancel)
	return ctx
}

// box is a hub behind a real HTTP server on loopback. It can be restarted.
type box struct {
	t      testing.TB
	opts   signal.Options
	addr   string
	wrap   func(http.Handler) http.Handler
	hub    *signal.Hub
	server *http.Server
	served chan struct{}
}

// hubOptions are those of most tests.
func hubOptions() signal.Options {
	return signal.Options{Calls: true, Resume: time.Minute, ResumeKey: []byte("a key that is kept somewhere")}
}

func start(t testing.TB, opts signal.Options) *box { return startBehind(t, opts, nil) }

// startBehind is start with something between the clients and the hub.
func startBehind(t testing.TB, opts signal.Options, wrap func(http.Handler) http.Handler) *box {
	t.Helper()
	b := &box{t: t, opts: opts, addr: testkit.FreeAddr(t), wrap: wrap}
	b.start()
	t.Cleanup(b.stop)
	return b
}

func (b *box) start() {
	b.t.Helper()
	hub, err := signal.New(b.opts)
	if err != nil {
		b.t.Fatal(err)
	}
	l, err := net.Listen("tcp", b.addr)
	if err != nil {
		b.t.Fatal(err)
	}
	mux, dialect := http.NewServeMux(), native.New(hub)
	mux.Handle("GET /signal", dialect)
	mux.HandleFunc("GET /signal/events", dialect.Events)
	mux.HandleFunc("POST /signal/send", dialect.Send)
	var handler http.Handler = mux
	if b.wrap != nil {
		handler = b.wrap(mux)
	}
	b.hub, b.addr, b.server, b.served = hub, l.Addr().String(), &http.Server{Handler: handler}, make(chan struct{})
	go func() {
		defer close(b.served)
		if err := b.server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			b.t.Errorf("serve: %v", err)
		}
	}()
}

func (b *box) stop() {
	if b.server == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := b.hub.Close(ctx); err != nil {
		b.t.Errorf("closing the hub: %v", err)
	}
	b.server.Close()
	<-b.served
	b.server = nil
}

// restart is a new process's worth of state at the same address.
func (b *box) restart() {
	b.t.Helper()
	b.stop()
	b.start()
}

func (b *box) url() string { return "http://" + b.addr }

// dial opens a session that comes back quickly.
func dial(t testing.TB, url string, opts client.Options) *client.Session {
	t.Helper()
	if opts.Backoff == nil {
		opts.Backoff = quickly
	}
	s, err := client.Dial(deadline(t), url, opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

func quickly(attempt int) time.Duration {
	return rand.N(min(time.Duration(attempt+1)*time.Millisecond, 20*time.Millisecond))
}

func join(t testing.TB, s *client.Session, room string) client.Joined {
	t.Helper()
	joined, err := s.Join(deadline(t), room)
	if err != nil {
		t.Fatal(err)
	}
	return joined
}

// expect reads up to the next event of that type.
func expect[E client.Event](t testing.TB, s *client.Session) E {
	t.Helper()
	for ctx := deadline(t); ; {
		e, err := s.Next(ctx)
		if err != nil {
			t.Fatalf("waiting for %T: %v", *new(E), err)
		}
		if e, ok := e.(E); ok {
			return e
		}
	}
}

// ended waits for the end of the session.
func ended(t testing.TB, s *client.Session) error {
	t.Helper()
	for ctx := deadline(t); ; {
		if _, err := s.Next(ctx); errors.Is(err, client.ErrClosed) {
			return s.Err()
		} else if err != nil {
			t.Fatal(err)
		}
	}
}

// carriers runs a test over each of them.
func carriers(t *testing.T, test func(*testing.T, client.Carrier)) {
	t.Parallel()
	for _, c := range []client.Carrier{client.WebSocket, client.SSE} {
		t.Run(string(c), func(t *testing.T) {
			t.Parallel()
			test(t, c)
		})
	}
}

// proxy is a network between a client and a box: it carries TCP connections, until it cuts them
// all.
type proxy struct {
	t    testing.TB
	to   string
	l    net.Listener
	done sync.WaitGroup

	mu     sync.Mutex
	pairs  map[*pair]bool
	fallow []net.Conn // ends of cut connections whose other side hasn't been told
	every  int        // bytes between cuts, on average; 0: no cuts
	left   int        // bytes up to the next cut
	cuts   int
	most   int // cuts
}

// pair is one connection: the client's end, and the box's.
type pair struct{ client, box net.Conn }

func newProxy(t testing.TB, b *box) *proxy {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{t: t, to: b.addr, l: l, pairs: make(map[*pair]bool)}
	p.done.Go(p.accept)
	t.Cleanup(func() {
		l.Close()
		p.mu.Lock()
		p.cut(0)
		for _, c := range p.fallow {
			c.Close()
		}
		p.mu.Unlock()
		p.done.Wait()
	})
	return p
}

func (p *proxy) url() string { return "http://" + p.l.Addr().String() }

// cutOften begins to cut after random numbers of bytes, which are in the middle of something, as
// often as that.
func (p *proxy) cutOften(every, most int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.every, p.most = every, most
	p.left = 1 + rand.IntN(2*every)
}

func (p *proxy) cutNow() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.cut(0)
}

// stall lets the connections of now be, but carries nothing for them any more.
func (p *proxy) stall() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for pair := range p.pairs {
		p.fallow = append(p.fallow, pair.client, pair.box)
		delete(p.pairs, pair)
	}
}

func (p *proxy) count() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.cuts
}

// cut ends all connections: 0 is in order, 1 by a reset, 2 by a reset of which the box doesn't
// hear. mu is held.
func (p *proxy) cut(how int) {
	for pair := range p.pairs {
		ends := []net.Conn{pair.client, pair.box}
		if how == 2 {
			ends, p.fallow = ends[:1], append(p.fallow, pair.box)
		}
		for _, c := range ends {
			if how != 0 {
				c.(*net.TCPConn).SetLinger(0)
			}
			c.Close()
		}
		delete(p.pairs, pair)
	}
}

func (p *proxy) accept() {
	for {
		c, err := p.l.Accept()
		if err != nil {
			return
		}
		b, err := net.Dial("tcp", p.to)
		if err != nil {
			c.Close()
			continue
		}
		pair := &pair{c, b}
		p.mu.Lock()
		p.pairs[pair] = true
		p.mu.Unlock()
		p.done.Go(func() { p.carry(pair, b, c) })
		p.done.Go(func() { p.carry(pair, c, b) })
	}
}

func (p *proxy) carry(pair *pair, to, from net.Conn) {
	buffer := make([]byte, 8<<10)
	for {
		n, err := from.Read(buffer)
		if n = p.spend(pair, to, buffer[:n]); err != nil || n == 0 {
			p.mu.Lock()
			defer p.mu.Unlock()
			if p.pairs[pair] { // one end closed in order: so does the other
				delete(p.pairs, pair)
				pair.client.Close()
				pair.box.Close()
			}
			return
		}
	}
}

// spend writes what there is up to the next cut, and does that when it is due.
func (p *proxy) spend(pair *pair, to net.Conn, chunk []byte) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.pairs[pair] {
		return 0
	}
	due := p.every > 0 && p.cuts < p.most && len(chunk) >= p.left
	if due {
		chunk = chunk[:p.left]
	}
	p.left -= len(chunk)
	n, err := to.Write(chunk) // loopback, and the far end reads: it takes no time worth another lock
	if due {
		p.cuts++
		p.left = 1 + rand.IntN(2*p.every)
		p.cut(rand.IntN(3))
	}
	if err != nil {
		return 0
	}
	return n
}
