package client_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"signalbox/signal"
	"signalbox/signal/client"
)

// numbered is a signal of the cut test: the n-th of one of its streams.
type numbered struct{ Stream, N int }

// Ten thousand signals each way, and fifty cuts in the middle of them: nothing is lost, nothing
// comes twice, and the order stays.
func TestNothingIsLostInFiftyCuts(t *testing.T) {
	carriers(t, func(t *testing.T, c client.Carrier) {
		const (
			streams = 16
			each    = 10_000 / streams
			cuts    = 50
		)
		b := start(t, hubOptions())
		p := newProxy(t, b)
		alice := dial(t, p.url(), client.Options{Name: "alice", Carrier: c})
		bob := dial(t, p.url(), client.Options{Name: "bob", Carrier: c})
		join(t, alice, "tea")
		join(t, bob, "tea")
		began := time.Now()
		p.cutOften(24<<10, cuts)

		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
		defer cancel()
		var work sync.WaitGroup
		var resumed atomic.Int64
		for _, way := range []struct{ from, to *client.Session }{{alice, bob}, {bob, alice}} {
			for stream := range streams {
				work.Go(func() {
					for n := range each {
						if err := signalWhenRead(ctx, way.from, way.to.PeerID(), numbered{stream, n}); err != nil {
							t.Errorf("signal %d of stream %d: %v", n, stream, err)
							cancel()
							return
						}
					}
				})
			}
			work.Go(func() {
				next := make([]int, streams)
				for missing := streams * each; missing > 0; {
					e, err := way.to.Next(ctx)
					if err != nil {
						t.Errorf("%d signals are missing: %v", missing, err)
						return
					}
					switch e := e.(type) {
					case client.SignalEvent:
						var got numbered
						if err := json.Unmarshal(e.Data, &got); err != nil {
							t.Error(err)
							return
						}
						if got.N != next[got.Stream] {
							t.Errorf("stream %d goes on with %d, want %d", got.Stream, got.N, next[got.Stream])
							cancel()
							return
						}
						next[got.Stream]++
						missing--
					case client.Resumed:
						resumed.Add(1)
					case client.Restarted, client.PeerLeft:
						t.Errorf("%T: the session did not outlive its connection", e)
					}
				}
			})
		}
		work.Wait()
		if n := p.count(); n != cuts {
			t.Errorf("%d cuts, want %d", n, cuts)
		}
		if resumed.Load() < cuts/2 { // some cuts meet a connection that isn't greeted yet
			t.Errorf("%d times resumed", resumed.Load())
		}
		t.Logf("%d cuts, %d times resumed, %v", p.count(), resumed.Load(), time.Since(began).Round(time.Millisecond))

		// What would have come twice comes before this.
		for _, way := range []struct{ from, to *client.Session }{{alice, bob}, {bob, alice}} {
			if err := way.from.Signal(ctx, way.to.PeerID(), "tea", "the end"); err != nil {
				t.Fatal(err)
			}
			if e := expect[client.SignalEvent](t, way.to); string(e.Data) != `"the end"` {
				t.Errorf("%s came after the last one", e.Data)
			}
		}
	})
}

// signalWhenRead sends a signal, again and again while the other end has not read what was sent
// before, since it is cut off at the moment.
func signalWhenRead(ctx context.Context, from *client.Session, to string, data any) error {
	for {
		err := from.Signal(ctx, to, "tea", data)
		if !client.IsCode(err, client.CodeRateLimited) {
			return err
		}
		select {
		case <-time.After(10 * time.Millisecond):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// Frames of the largest size are confirmed by their bytes, not their number: the hub keeps no more
// than a mebibyte.
func TestLargeSignalsFlow(t *testing.T) {
	carriers(t, func(t *testing.T, c client.Carrier) {
		b := start(t, hubOptions())
		alice, bob := dial(t, b.url(), client.Options{Carrier: c}), dial(t, b.url(), client.Options{Carrier: c})
		join(t, alice, "tea")
		join(t, bob, "tea")
		large := strings.Repeat("x", 60<<10)
		for i := range 64 {
			if err := alice.Signal(deadline(t), bob.PeerID(), "tea", large); err != nil {
				t.Fatal(err)
			}
			if e := expect[client.SignalEvent](t, bob); len(e.Data) != len(large)+2 {
				t.Fatalf("signal %d has %d bytes", i, len(e.Data))
			}
		}
	})
}

func TestPeersDontNoticeACut(t *testing.T) {
	carriers(t, func(t *testing.T, c client.Carrier) {
		b := start(t, hubOptions())
		p := newProxy(t, b)
		alice := dial(t, p.url(), client.Options{Carrier: c})
		bob := dial(t, b.url(), client.Options{})
		join(t, bob, "tea")
		join(t, alice, "tea")
		id := alice.PeerID()
		p.cutNow()
		if e := expect[client.Disconnected](t, alice); e.Err == nil {
			t.Error("no reason is given")
		}
		expect[client.Resumed](t, alice)
		if err := alice.Broadcast(deadline(t), "tea", "still here"); err != nil {
			t.Fatal(err)
		}
		expect[client.PeerJoined](t, bob)
		e, err := bob.Next(deadline(t))
		if got, ok := e.(client.BroadcastEvent); !ok || got.From != id || alice.PeerID() != id {
			t.Errorf("got %+v and %v", e, err)
		}
	})
}

// A connection can die without a word: nothing arrives, and nobody says so.
func TestDeadConnectionIsGivenUp(t *testing.T) {
	carriers(t, func(t *testing.T, c client.Carrier) {
		opts := hubOptions()
		opts.Heartbeat = time.Second
		b := start(t, opts)
		p := newProxy(t, b)
		s := dial(t, p.url(), client.Options{Carrier: c})
		p.stall()
		stalled := time.Now()
		expect[client.Disconnected](t, s)
		if took := time.Since(stalled); took > 20*time.Second {
			t.Errorf("noticed after %v", took)
		}
		expect[client.Resumed](t, s)
	})
}

// A silent session is kept alive by its heartbeat, on both sides.
func TestIdleSessionLives(t *testing.T) {
	carriers(t, func(t *testing.T, c client.Carrier) {
		opts := hubOptions()
		opts.Heartbeat = 2 * time.Second // who is silent for 4.8 is dead
		s := dial(t, start(t, opts).url(), client.Options{Carrier: c})
		ctx, cancel := context.WithTimeout(context.Background(), 6*time.Second)
		defer cancel()
		if e, err := s.Next(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %+v and %v", e, err)
		}
	})
}

func TestRestartedBoxKnowsItsClients(t *testing.T) {
	carriers(t, func(t *testing.T, c client.Carrier) {
		b := start(t, hubOptions())
		var sessions []*client.Session
		for _, user := range []string{"alice", "bob"} {
			s := dial(t, b.url(), client.Options{User: user, Carrier: c})
			join(t, s, "tea")
			join(t, s, "coffee")
			sessions = append(sessions, s)
		}
		ids := []string{sessions[0].PeerID(), sessions[1].PeerID()}
		b.restart()
		for i, s := range sessions {
			if e := expect[client.Restarted](t, s); e.PeerID != ids[i] || e.Previous != ids[i] || s.PeerID() != ids[i] {
				t.Errorf("got %+v, want the peer id %s", e, ids[i])
			}
			for _, room := range []string{"tea", "coffee"} {
				if e := expect[client.Rejoined](t, s); e.Room != room {
					t.Errorf("joined %q, want %q", e.Room, room)
				}
			}
		}
		if err := sessions[0].Signal(deadline(t), ids[1], "coffee", "hi"); err != nil {
			t.Fatal(err)
		}
		if e := expect[client.SignalEvent](t, sessions[1]); e.From != ids[0] || e.FromUser != "alice" ||
			string(e.Data) != `"hi"` {
			t.Errorf("got %+v", e)
		}
	})
}

// A session can outlive more than its connection and less than a restart: what is asked for
// meanwhile waits.
func TestRequestsWaitForTheConnection(t *testing.T) {
	carriers(t, func(t *testing.T, c client.Carrier) {
		b := start(t, hubOptions())
		s := dial(t, b.url(), client.Options{Carrier: c})
		b.stop()
		expect[client.Disconnected](t, s)
		if got := s.State(); got != client.Reconnecting {
			t.Errorf("the session is %s", got)
		}
		ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
		defer cancel()
		if _, err := s.Join(ctx, "never"); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v", err)
		}
		joined := make(chan error, 1)
		go func() {
			_, err := s.Join(deadline(t), "tea")
			joined <- err
		}()
		b.start()
		if err := <-joined; err != nil {
			t.Error(err)
		}
		if rooms := b.hub.Snapshot().Rooms; len(rooms) != 1 { // the other one was given up before it was sent
			t.Errorf("rooms %v", rooms)
		}
	})
}

func TestExpiredSessionStartsAnew(t *testing.T) {
	carriers(t, func(t *testing.T, c client.Carrier) {
		opts := hubOptions()
		opts.Resume = time.Second
		b := start(t, opts)
		bob := dial(t, b.url(), client.Options{})
		join(t, bob, "tea")
		p := newProxy(t, b)
		lost := make(chan struct{})
		alice := dial(t, p.url(), client.Options{Carrier: c, Backoff: func(int) time.Duration { <-lost; return 0 }})
		join(t, alice, "tea")
		id := alice.PeerID()
		p.cutNow()
		if e := expect[client.PeerLeft](t, bob); e.Reason != "lost" || e.Peer.ID != id {
			t.Errorf("got %+v", e)
		}
		close(lost)
		if e := expect[client.Restarted](t, alice); e.PeerID != id {
			t.Errorf("got %+v, want the peer id %s", e, id)
		}
		e := expect[client.Rejoined](t, alice)
		if e.Room != "tea" || len(e.Peers) != 1 || e.Peers[0].ID != bob.PeerID() || !e.Peers[0].Polite {
			t.Errorf("got %+v", e)
		}
	})
}

// The seat may be taken when a session comes back.
func TestRoomThatCannotBeJoinedAgainIsClosed(t *testing.T) {
	t.Parallel()
	opts := hubOptions()
	opts.RoomCapacity = 1
	b := start(t, opts)
	p := newProxy(t, b)
	gate := make(chan struct{})
	alice := dial(t, p.url(), client.Options{Backoff: func(int) time.Duration { <-gate; return 0 }})
	join(t, alice, "tea")
	b.stop()
	expect[client.Disconnected](t, alice)
	b.start()
	join(t, dial(t, b.url(), client.Options{}), "tea")
	close(gate)
	if e := expect[client.RoomClosed](t, alice); e.Room != "tea" || !client.IsCode(e.Err, client.CodeRoomFull) {
		t.Errorf("got %+v", e)
	}
	if err := alice.Leave(deadline(t), "tea"); !client.IsCode(err, client.CodeNotInRoom) {
		t.Errorf("got %v", err)
	}
}

func TestReplacedSessionStaysAway(t *testing.T) {
	carriers(t, func(t *testing.T, c client.Carrier) {
		b := start(t, hubOptions())
		old := dial(t, b.url(), client.Options{User: "alice", Carrier: c})
		join(t, old, "tea")
		id := old.PeerID()
		fresh := dial(t, b.url(), client.Options{User: "alice", Carrier: c, Replaces: old.ResumeToken()})
		if fresh.PeerID() != id {
			t.Errorf("peer id %s, want %s", fresh.PeerID(), id)
		}
		if err := ended(t, old); !client.IsCode(err, client.CodeReplaced) {
			t.Errorf("the old session ended with %v", err)
		}
		join(t, fresh, "tea")
		if err := old.Broadcast(deadline(t), "tea", 1); !errors.Is(err, client.ErrClosed) ||
			!client.IsCode(err, client.CodeReplaced) {
			t.Errorf("got %v", err)
		}
		if n := b.hub.Snapshot().Sessions; n != 1 {
			t.Errorf("%d sessions", n)
		}
	})
}

func TestKickedSessionStaysAway(t *testing.T) {
	carriers(t, func(t *testing.T, c client.Carrier) {
		b := start(t, hubOptions())
		s := dial(t, b.url(), client.Options{Carrier: c})
		// Requests are under way: over SSE their POSTs are refused before the stream says why.
		var work sync.WaitGroup
		for range 8 {
			work.Go(func() {
				for {
					if _, err := s.Ping(deadline(t)); err != nil {
						return
					}
				}
			})
		}
		b.hub.Kick(func(k signal.Kicked) bool { return k.ID == s.PeerID() })
		if err := ended(t, s); !client.IsCode(err, client.CodeKicked) {
			t.Errorf("ended with %v", err)
		}
		work.Wait()
		if s.State() != client.Closed {
			t.Errorf("the session is %s", s.State())
		}
	})
}

// Where WebSockets don't get through, and what then breaks, too.
func TestAutoFindsACarrier(t *testing.T) {
	t.Parallel()
	var blocked atomic.Bool
	blocked.Store(true)
	b := startBehind(t, hubOptions(), func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if events := strings.HasPrefix(r.URL.Path, "/signal/"); events != blocked.Load() {
				http.Error(w, "not through here", http.StatusBadGateway)
				return
			}
			next.ServeHTTP(w, r)
		})
	})
	p := newProxy(t, b)
	s := dial(t, p.url(), client.Options{})
	if s.Carrier() != client.SSE {
		t.Errorf("carried by %s", s.Carrier())
	}
	blocked.Store(false)
	p.cutNow()
	expect[client.Resumed](t, s) // a session may change its carrier
	if s.Carrier() != client.WebSocket {
		t.Errorf("carried by %s", s.Carrier())
	}
	if b.hub.Snapshot().Sessions != 1 {
		t.Errorf("%d sessions", b.hub.Snapshot().Sessions)
	}
}

// A token is asked for anew by each hello.
func TestEachHelloHasItsToken(t *testing.T) {
	t.Parallel()
	opts := hubOptions()
	guard := &tokens{}
	opts.Guard = guard
	b := start(t, opts)
	var asked atomic.Int64
	s := dial(t, b.url(), client.Options{Token: func(context.Context) (string, error) {
		return fmt.Sprintf("token %d", asked.Add(1)), nil
	}})
	join(t, s, "tea")
	if _, err := s.JoinWithToken(deadline(t), "coffee", "for coffee"); err != nil {
		t.Fatal(err)
	}
	b.restart()
	expect[client.Restarted](t, s)
	expect[client.Rejoined](t, s)
	expect[client.Rejoined](t, s)
	if got, want := guard.all(), []string{"token 1", "for coffee", "token 2", "for coffee"}; !slices.Equal(got, want) {
		t.Errorf("tokens %q, want %q", got, want)
	}

	guard.closed.Store(true)
	b.restart()
	if err := ended(t, s); !client.IsCode(err, client.CodeUnauthorized) {
		t.Errorf("ended with %v", err)
	}
	if _, err := client.Dial(deadline(t), b.url(), client.Options{}); !client.IsCode(err, client.CodeUnauthorized) {
		t.Errorf("got %v", err)
	}
}

// tokens is a guard that takes notes.
type tokens struct {
	closed atomic.Bool

	mu   sync.Mutex
	seen []string
}

func (g *tokens) Admit(token string, _ netip.Addr) (signal.Pass, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.seen = append(g.seen, token)
	if g.closed.Load() {
		return signal.Pass{}, signal.ErrUnauthorized
	}
	return signal.Pass{}, nil
}

func (g *tokens) all() []string {
	g.mu.Lock()
	defer g.mu.Unlock()
	return slices.Clone(g.seen)
}
