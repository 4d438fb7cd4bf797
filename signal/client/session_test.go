package client_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"signalbox/signal"
	"signalbox/signal/client"
	"signalbox/signal/native"
)

func TestRoomHasItsEvents(t *testing.T) {
	carriers(t, func(t *testing.T, c client.Carrier) {
		b := start(t, hubOptions())
		alice := dial(t, b.url(), client.Options{Name: "Alice", User: "alice", Carrier: c})
		bob := dial(t, b.url(), client.Options{Name: "Bob", Carrier: c})
		if alice.Name() != "Alice" || alice.User() != "alice" || alice.Carrier() != c || alice.State() != client.Open {
			t.Errorf("%s, %s, %s, %s", alice.Name(), alice.User(), alice.Carrier(), alice.State())
		}
		meet(t, alice, bob)
		data := json.RawMessage(`{"<&>":1.50,"none":null}`)
		if err := bob.Signal(deadline(t), alice.PeerID(), "tea", data); err != nil {
			t.Fatal(err)
		}
		if e := expect[client.SignalEvent](t, alice); e.From != bob.PeerID() || e.FromName != "Bob" ||
			e.Room != "tea" || string(e.Data) != string(data) {
			t.Errorf("got %+v", e)
		}
		if err := bob.Broadcast(deadline(t), "tea", nil); err != nil {
			t.Fatal(err)
		}
		if e := expect[client.BroadcastEvent](t, alice); e.From != bob.PeerID() || e.Room != "tea" ||
			string(e.Data) != "null" {
			t.Errorf("got %+v", e)
		}
		if err := bob.Leave(deadline(t), "tea"); err != nil {
			t.Fatal(err)
		}
		if e := expect[client.PeerLeft](t, alice); e.Room != "tea" || e.Peer.ID != bob.PeerID() || e.Reason != "left" {
			t.Errorf("got %+v", e)
		}
		if err := bob.Leave(deadline(t), "tea"); !client.IsCode(err, client.CodeNotInRoom) {
			t.Errorf("got %v", err)
		}
	})
}

// meet joins both, one after the other, and checks what they are told.
func meet(t *testing.T, alice, bob *client.Session) {
	t.Helper()
	if room := join(t, alice, "tea"); room.Room != "tea" || len(room.Peers) != 0 {
		t.Errorf("got %+v", room)
	}
	room := join(t, bob, "tea")
	if want := (client.Peer{ID: alice.PeerID(), Name: "Alice", User: "alice",
		Polite: true}); len(room.Peers) != 1 || room.Peers[0] != want {
		t.Errorf("got %+v, want %+v", room, want)
	}
	if e := expect[client.PeerJoined](t, alice); e.Room != "tea" ||
		e.Peer != (client.Peer{ID: bob.PeerID(), Name: "Bob"}) {
		t.Errorf("got %+v", e)
	}
}

// Close says goodbye: nobody waits for the session to come back.
func TestCloseIsSeenAtOnce(t *testing.T) {
	carriers(t, func(t *testing.T, c client.Carrier) {
		b := start(t, hubOptions())
		alice, bob := dial(t, b.url(), client.Options{}), dial(t, b.url(), client.Options{Carrier: c})
		join(t, alice, "tea")
		join(t, bob, "tea")
		bob.Close()
		if e := expect[client.PeerLeft](t, alice); e.Reason != "left" {
			t.Errorf("got %+v", e)
		}
		for range bob.Events() {
		}
		if err := bob.Err(); err != nil {
			t.Errorf("closed with %v", err)
		}
		if _, err := bob.Ping(deadline(t)); !errors.Is(err, client.ErrClosed) {
			t.Errorf("got %v", err)
		}
		bob.Close()
	})
}

// Close does not wait for a connection that takes nothing.
func TestCloseIsQuick(t *testing.T) {
	carriers(t, func(t *testing.T, c client.Carrier) {
		p := newProxy(t, start(t, hubOptions()))
		s := dial(t, p.url(), client.Options{Carrier: c})
		p.stall()
		began := time.Now()
		s.Close()
		if took := time.Since(began); took > 10*time.Second {
			t.Errorf("took %v", took)
		}
	})
}

func TestCallsByUserName(t *testing.T) {
	t.Parallel()
	b := start(t, hubOptions())
	alice := dial(t, b.url(), client.Options{User: "alice"})
	bob := dial(t, b.url(), client.Options{User: "bob"})
	if err := alice.Signal(deadline(t), "@bob", "", "ring"); err != nil {
		t.Fatal(err)
	}
	e := expect[client.SignalEvent](t, bob)
	if e.FromUser != "alice" || e.Room != "" || e.Polite == nil || !*e.Polite {
		t.Errorf("got %+v", e)
	}
	if err := bob.Signal(deadline(t), e.From, "", "yes"); err != nil {
		t.Fatal(err)
	}
	if e := expect[client.SignalEvent](t, alice); e.From != bob.PeerID() || e.Polite == nil || *e.Polite {
		t.Errorf("got %+v", e)
	}
	if err := alice.HangUp(deadline(t), bob.PeerID()); err != nil {
		t.Fatal(err)
	}
	if e := expect[client.PeerLeft](t, bob); e.Room != "" || e.Peer.ID != alice.PeerID() || e.Reason != "left" {
		t.Errorf("got %+v", e)
	}
	if err := bob.Signal(deadline(t), e.From, "", "more"); !client.IsCode(err, client.CodeNoSuchPeer) {
		t.Errorf("after the end of the call, got %v", err)
	}
	if err := bob.Signal(deadline(t), "@alice", "", "ring"); err != nil {
		t.Fatal(err)
	}
	expect[client.SignalEvent](t, alice)
	if err := alice.Signal(deadline(t), "@nobody", "", "ring"); !client.IsCode(err, client.CodeNoSuchPeer) {
		t.Errorf("got %v", err)
	}
	bob.Close()
	if e := expect[client.PeerLeft](t, alice); e.Room != "" || e.Peer.User != "bob" {
		t.Errorf("got %+v", e)
	}
}

func TestRefusalsHaveTheirCodes(t *testing.T) {
	carriers(t, func(t *testing.T, c client.Carrier) {
		opts := hubOptions()
		opts.RoomCapacity = 1
		b := start(t, opts)
		s := dial(t, b.url(), client.Options{User: "alice", Carrier: c})
		join(t, s, "tea")
		other := dial(t, b.url(), client.Options{Carrier: c})
		_, err := other.Join(deadline(t), "tea")
		var refusal *client.Error
		if !errors.As(err, &refusal) || refusal.Code != client.CodeRoomFull || refusal.Message == "" {
			t.Errorf("got %v", err)
		}
		if err := other.Broadcast(deadline(t), "tea", 1); !client.IsCode(err, client.CodeNotInRoom) {
			t.Errorf("got %v", err)
		}
		// More than the server takes would end the session there: it is refused here.
		if err := other.Broadcast(deadline(t), "tea", strings.Repeat("x", 64<<10)); !client.IsCode(err,
			client.CodeTooLarge) {
			t.Errorf("got %v", err)
		}
		if err := other.Broadcast(deadline(t), "tea", func() {}); err == nil {
			t.Error("a function was sent")
		}
		_, err = client.Dial(deadline(t), b.url(), client.Options{User: "alice", Carrier: c})
		if !client.IsCode(err, client.CodeUserTaken) {
			t.Errorf("got %v", err)
		}
	})
}

type fixedICE struct{ issued atomic.Int64 }

func (f *fixedICE) ICEServers(r signal.ICERequest) ([]signal.ICEServer, time.Time) {
	return []signal.ICEServer{{
		URLs: []string{"turn:box.example.org"}, Username: fmt.Sprint(f.issued.Add(1)), Credential: "secret",
	}}, time.UnixMilli(4102444800000)
}

func TestICEServers(t *testing.T) {
	carriers(t, func(t *testing.T, c client.Carrier) {
		opts := hubOptions()
		opts.ICE = &fixedICE{}
		p := newProxy(t, start(t, opts))
		s := dial(t, p.url(), client.Options{Carrier: c})
		is := func(servers []client.ICEServer, username string) {
			t.Helper()
			if len(servers) != 1 || servers[0].Username != username || servers[0].Credential != "secret" ||
				servers[0].URLs[0] != "turn:box.example.org" {
				t.Errorf("got %+v, want those of the user %s", servers, username)
			}
		}
		is(s.ICEServers(), "1")
		if got := s.ICEExpires().UnixMilli(); got != 4102444800000 {
			t.Errorf("expire at %d", got)
		}
		servers, err := s.RefreshICE(deadline(t))
		if err != nil {
			t.Fatal(err)
		}
		is(servers, "2")
		is(expect[client.ICEUpdated](t, s).Servers, "2")
		p.cutNow()
		expect[client.Resumed](t, s)
		is(s.ICEServers(), "3")
	})
}

func TestPingMeasures(t *testing.T) {
	carriers(t, func(t *testing.T, c client.Carrier) {
		s := dial(t, start(t, hubOptions()).url(), client.Options{Carrier: c})
		if rtt, err := s.Ping(deadline(t)); err != nil || rtt <= 0 || rtt > patience {
			t.Errorf("got %v and %v", rtt, err)
		}
	})
}

// A session whose application doesn't read ends by itself, and says so; nothing is dropped in
// silence. Requests go on until then.
func TestSlowConsumerEnds(t *testing.T) {
	carriers(t, func(t *testing.T, c client.Carrier) {
		b := start(t, hubOptions())
		alice, bob := dial(t, b.url(), client.Options{}), dial(t, b.url(), client.Options{Carrier: c})
		join(t, bob, "tea")
		join(t, alice, "tea")
		sent := 0
		for ctx := deadline(t); bob.State() != client.Closed && ctx.Err() == nil; sent++ {
			if err := alice.Broadcast(ctx, "tea", sent); err != nil {
				t.Fatal(err)
			}
			if sent == 2000 {
				if _, err := bob.Ping(ctx); err != nil {
					t.Errorf("with a full queue: %v", err)
				}
			}
		}
		if e := expect[client.PeerLeft](t, alice); e.Reason != "left" {
			t.Errorf("got %+v", e)
		}
		var got int
		for e := range bob.Events() {
			if e, ok := e.(client.BroadcastEvent); ok {
				if string(e.Data) != fmt.Sprint(got) {
					t.Fatalf("got %s, want %d", e.Data, got)
				}
				got++
			}
		}
		if err := bob.Err(); !errors.Is(err, client.ErrSlowConsumer) || got < 4000 || got > 4096 {
			t.Errorf("ended with %v after %d of %d events", err, got, sent)
		}
	})
}

func TestContextsEnd(t *testing.T) {
	t.Parallel()
	// A server that takes connections and says nothing.
	wait := http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	silent := httptest.NewServer(wait)
	defer silent.Close()
	for _, c := range []client.Carrier{client.Auto, client.WebSocket, client.SSE} {
		ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
		_, err := client.Dial(ctx, silent.URL, client.Options{Carrier: c})
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("dial over %q: %v", c, err)
		}
		cancel()
	}

	p := newProxy(t, start(t, hubOptions()))
	s := dial(t, p.url(), client.Options{})
	over, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := s.Ping(over); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	if _, err := s.Next(over); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	p.stall() // now nothing is answered
	for what, request := range map[string]func(context.Context) error{
		"join":      func(ctx context.Context) error { _, err := s.Join(ctx, "tea"); return err },
		"leave":     func(ctx context.Context) error { return s.Leave(ctx, "tea") },
		"signal":    func(ctx context.Context) error { return s.Signal(ctx, "x", "", 1) },
		"broadcast": func(ctx context.Context) error { return s.Broadcast(ctx, "tea", 1) },
		"ice":       func(ctx context.Context) error { _, err := s.RefreshICE(ctx); return err },
		"ping":      func(ctx context.Context) error { _, err := s.Ping(ctx); return err },
		"next":      func(ctx context.Context) error { _, err := s.Next(ctx); return err },
	} {
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Millisecond)
		if err := request(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%s: %v", what, err)
		}
		cancel()
	}
}

// More requests than may be under way wait for their turn, and none is forgotten.
func TestManyRequestsAtOnce(t *testing.T) {
	carriers(t, func(t *testing.T, c client.Carrier) {
		s := dial(t, start(t, hubOptions()).url(), client.Options{Carrier: c})
		const many = 2000
		answers := make(chan error, many)
		for i := range many {
			go func() {
				_, err := s.Join(deadline(t), fmt.Sprint("room ", i%10))
				answers <- err
			}()
		}
		for range many {
			if err := <-answers; err != nil {
				t.Fatal(err)
			}
		}
	})
}

func TestAddressesOfAServer(t *testing.T) {
	t.Parallel()
	b := start(t, hubOptions())
	for _, address := range []string{"http://" + b.addr, "ws://" + b.addr + "/", "http://" + b.addr + "/signal",
		"ws://" + b.addr + "/signal/?x#y"} {
		for _, c := range []client.Carrier{client.WebSocket, client.SSE} {
			s, err := client.Dial(deadline(t), address, client.Options{Carrier: c})
			if err != nil {
				t.Errorf("%s: %v", address, err)
				continue
			}
			s.Close()
		}
	}
	for _, address := range []string{"", b.addr, "ftp://" + b.addr, "http://", "://", "http:///signal"} {
		if s, err := client.Dial(deadline(t), address, client.Options{}); err == nil {
			s.Close()
			t.Errorf("%q is an address", address)
		}
	}
	if s, err := client.Dial(deadline(t), b.url(), client.Options{Carrier: "pigeon"}); err == nil {
		s.Close()
		t.Error("pigeons carry frames")
	}
}

// What answers instead of a hub is told in its own words, and a server that has moved with its new
// address.
func TestAnswersOfOthersAreTold(t *testing.T) {
	t.Parallel()
	other := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, "/moved") {
			http.Redirect(w, r, "https://box.example.org/signal", http.StatusPermanentRedirect)
			return
		}
		http.Error(w, "nobody here", http.StatusNotFound)
	}))
	defer other.Close()
	for path, word := range map[string]string{"": "nobody here", "/moved": "https://box.example.org"} {
		for _, c := range []client.Carrier{client.WebSocket, client.SSE} {
			s, err := client.Dial(deadline(t), other.URL+path, client.Options{Carrier: c})
			if err == nil {
				s.Close()
			}
			if err == nil || !strings.Contains(err.Error(), word) {
				t.Errorf("%s over %s: %v", path, c, err)
			}
		}
	}
}

// Over TLS, and over connections of the application's own making.
func TestSessionOverTLS(t *testing.T) {
	carriers(t, func(t *testing.T, c client.Carrier) {
		hub, err := signal.New(hubOptions())
		if err != nil {
			t.Fatal(err)
		}
		mux, dialect := http.NewServeMux(), native.New(hub)
		mux.Handle("GET /signal", dialect)
		mux.HandleFunc("GET /signal/events", dialect.Events)
		mux.HandleFunc("POST /signal/send", dialect.Send)
		server := httptest.NewTLSServer(mux)
		t.Cleanup(func() {
			if err := hub.Close(deadline(t)); err != nil {
				t.Error(err)
			}
			server.Close()
		})
		var dials atomic.Int64
		server.Config.ErrorLog = log.New(io.Discard, "", 0) // for the client that trusts nobody
		roots := x509.NewCertPool()
		roots.AddCert(server.Certificate())
		s := dial(t, "https://box.test", client.Options{
			Carrier:   c,
			TLSConfig: &tls.Config{RootCAs: roots, ServerName: "example.com"},
			DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
				dials.Add(1)
				return new(net.Dialer).DialContext(ctx, network, server.Listener.Addr().String())
			},
		})
		join(t, s, "tea")
		if dials.Load() == 0 {
			t.Error("nothing was dialed")
		}
		if other, err := client.Dial(deadline(t), server.URL, client.Options{Carrier: c}); err == nil {
			other.Close()
			t.Error("a certificate of nobody is good")
		}
	})
}

// Who is taken out of a room hears it, and its session goes on.
func TestHub13KickFromOneRoom(t *testing.T) {
	carriers(t, func(t *testing.T, c client.Carrier) {
		b := start(t, hubOptions())
		alice := dial(t, b.url(), client.Options{Name: "Alice", Carrier: c})
		join(t, alice, "tea")
		if _, err := b.hub.Evict("tea", func(signal.Member) bool { return true }); err != nil {
			t.Fatal(err)
		}
		if e := expect[client.RoomClosed](t, alice); e.Room != "tea" || !client.IsCode(e.Err, client.CodeKicked) {
			t.Errorf("got %+v", e)
		}
		join(t, alice, "tea")
	})
}
