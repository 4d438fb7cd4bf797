package client_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"signalbox/signal/client"
)

const (
	welcome = `{"type":"welcome","peerId":"p","name":"","resumeToken":"t","resumeSeconds":60,"heartbeatSeconds":25,` +
		`"iceServers":[],"iceExpiresAt":0}`
	resumed = `{"type":"resumed","peerId":"p","received":0,"iceServers":[],"iceExpiresAt":0,"rooms":[]}`
	expired = `{"type":"error","code":"resume-expired","message":"too late"}`
)

// wire is one connection to a server that says what the test has it say: what a hub would not.
type wire struct {
	t    *testing.T
	conn *websocket.Conn
}

// frame is what a client has sent.
type frame struct {
	Type, ID, Token, Replaces, Room string
	Seq                             uint64
	Data                            json.RawMessage
}

// script serves one connection after the other with the next of the parts; there is no other than
// those. Each part has the connection until it returns.
func script(t *testing.T, parts ...func(*wire)) (url string) {
	t.Helper()
	next := make(chan func(*wire), len(parts))
	for _, part := range parts {
		next <- part
	}
	close(next)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		part, more := <-next
		if !more {
			t.Error("one connection more than expected")
			http.Error(w, "no more", http.StatusNotFound)
			return
		}
		conn, err := new(websocket.Upgrader).Upgrade(w, r, nil)
		if err != nil {
			t.Error(err)
			return
		}
		defer conn.Close()
		part(&wire{t, conn})
	}))
	t.Cleanup(func() {
		server.Close()
		if n := len(next); n > 0 {
			t.Errorf("%d connections less than expected", n)
		}
	})
	return server.URL
}

func (w *wire) say(frames ...string) {
	for _, f := range frames {
		if err := w.conn.WriteMessage(websocket.TextMessage, []byte(f)); err != nil {
			w.t.Error(err)
		}
	}
}

// hear is the client's next frame, which has to be of that type.
func (w *wire) hear(kind string) (f frame) {
	w.conn.SetReadDeadline(time.Now().Add(patience))
	_, text, err := w.conn.ReadMessage()
	if err == nil {
		err = json.Unmarshal(text, &f)
	}
	if err != nil || f.Type != kind {
		w.t.Errorf("got %q and %v, want a %s", text, err, kind)
	}
	return f
}

func (w *wire) greet() {
	w.hear("hello")
	w.say(welcome)
}

func (w *wire) ack(f frame) { w.say(`{"type":"ack","id":"` + f.ID + `"}`) }

// rest is the end of a script: the client says goodbye.
func (w *wire) rest() { w.hear("bye") }

func broadcasts(t *testing.T, s *client.Session, want ...string) {
	t.Helper()
	for _, data := range want {
		if e := expect[client.BroadcastEvent](t, s); string(e.Data) != data {
			t.Errorf("got %s, want %s", e.Data, data)
		}
	}
}

// A frame that comes twice is seen once. One that is missing is asked for, by coming back.
func TestOrderOfTheServersFrames(t *testing.T) {
	t.Parallel()
	s := dial(t, script(t, func(w *wire) {
		w.greet()
		w.say(`{"type":"broadcast","data":1,"seq":1}`, `{"type":"broadcast","data":1,"seq":1}`,
			`{"type":"something newer","seq":2}`,
			`{"type":"broadcast","data":3,"seq":3}`, `{"type":"broadcast","data":5,"seq":5}`)
		w.conn.ReadMessage() // until the client has gone
	}, func(w *wire) {
		if f := w.hear("resume"); f.Seq != 3 || f.Token != "t" {
			t.Errorf("got %+v", f)
		}
		w.say(resumed, `{"type":"broadcast","data":3,"seq":3}`, `{"type":"broadcast","data":4,"seq":4}`,
			`{"type":"broadcast","data":5,"seq":5}`)
		w.rest()
	}), client.Options{Carrier: client.WebSocket})
	broadcasts(t, s, "1", "3", "4", "5")
	s.Close()
}

// What was not answered is sent again, as it was and in its order, before anything new.
func TestUnansweredRequestsAreSentAgain(t *testing.T) {
	t.Parallel()
	sent := make(chan frame, 3)
	s := dial(t, script(t, func(w *wire) {
		w.greet()
		w.ack(w.hear("leave"))
		for range 3 {
			sent <- w.hear("broadcast")
		}
	}, func(w *wire) {
		w.hear("resume")
		w.say(resumed)
		for range 3 {
			f, again := <-sent, w.hear("broadcast")
			if again.Seq != f.Seq || again.ID != f.ID || string(again.Data) != string(f.Data) || f.Seq < 2 {
				t.Errorf("got %+v, at first %+v", again, f)
			}
			w.ack(again)
		}
		w.rest()
	}), client.Options{Carrier: client.WebSocket})
	if err := s.Leave(deadline(t), "tea"); err != nil {
		t.Error(err)
	}
	answers := make(chan error, 3)
	for i := range 3 {
		go func() { answers <- s.Broadcast(deadline(t), "tea", i) }()
	}
	for range 3 {
		if err := <-answers; err != nil {
			t.Error(err)
		}
	}
	s.Close()
}

// When the server has forgotten the session, nobody knows whether a signal was passed on; what does
// no harm twice is sent again, with numbers that begin anew.
func TestRequestsOfAForgottenSession(t *testing.T) {
	t.Parallel()
	heard := make(chan struct{})
	s := dial(t, script(t, func(w *wire) {
		w.greet()
		join := w.hear("join")
		w.say(`{"type":"joined","room":"tea","peers":[],"capacity":0,"seq":1}`)
		w.ack(join)
		w.hear("signal")
		heard <- struct{}{}
		w.hear("ping")
	}, func(w *wire) {
		w.hear("resume")
		w.say(expired)
		if f := w.hear("hello"); f.Replaces != "t" {
			t.Errorf("got %+v", f)
		}
		w.say(welcome)
		join := w.hear("join")
		if join.Seq != 1 || join.Room != "tea" || join.Token != "key" {
			t.Errorf("got %+v", join)
		}
		w.say(`{"type":"joined","room":"tea","peers":[{"id":"q","name":"Q","polite":true}],"capacity":2,"seq":1}`)
		w.ack(join)
		ping := w.hear("ping")
		if ping.Seq != 2 {
			t.Errorf("got %+v", ping)
		}
		w.ack(ping)
		w.rest()
	}), client.Options{Carrier: client.WebSocket})
	if _, err := s.JoinWithToken(deadline(t), "tea", "key"); err != nil {
		t.Fatal(err)
	}
	lost := make(chan error, 1)
	go func() { lost <- s.Signal(deadline(t), "q", "tea", 1) }()
	<-heard
	if _, err := s.Ping(deadline(t)); err != nil {
		t.Error(err)
	}
	if err := <-lost; !client.IsCode(err, client.CodeLost) {
		t.Errorf("got %v", err)
	}
	expect[client.Restarted](t, s)
	if e := expect[client.Rejoined](t, s); e.Room != "tea" || e.Capacity != 2 || len(e.Peers) != 1 ||
		e.Peers[0].ID != "q" {
		t.Errorf("got %+v", e)
	}
	s.Close()
}

// A server that talks nonsense loses its connection, not more.
func TestNonsenseOfAServer(t *testing.T) {
	t.Parallel()
	for what, talk := range map[string]func(*wire){
		"no JSON":        func(w *wire) { w.say("hello") },
		"another type":   func(w *wire) { w.say(`{"type":"signal","data":1,"seq":"x"}`) },
		"a list":         func(w *wire) { w.say(`[]`) },
		"a huge frame":   func(w *wire) { w.conn.WriteMessage(websocket.TextMessage, make([]byte, 2<<20)) },
		"a binary frame": func(w *wire) { w.conn.WriteMessage(websocket.BinaryMessage, []byte(`{"type":"pong"}`)) },
		"broken framing": func(w *wire) { w.conn.NetConn().Write([]byte{0xff, 0xff, 0xff}) },
		"a code of others": func(w *wire) {
			w.conn.WriteMessage(websocket.CloseMessage, websocket.FormatCloseMessage(websocket.CloseGoingAway, "bye"))
		},
		"the code of a failure": func(w *wire) {
			w.conn.WriteMessage(websocket.CloseMessage, websocket.FormatCloseMessage(4000, "sorry"))
		},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			s := dial(t, script(t, func(w *wire) {
				w.greet()
				talk(w)
				w.conn.ReadMessage() // until the client has gone
			}, func(w *wire) {
				w.hear("resume")
				w.say(resumed)
				w.rest()
			}), client.Options{Carrier: client.WebSocket})
			if e := expect[client.Disconnected](t, s); e.Err == nil {
				t.Error("no reason is given")
			}
			expect[client.Resumed](t, s)
			s.Close()
		})
	}
}

// Where the answer to a ping can't be written any more, what the server says next is why; and if it
// says nothing, that the answer could not be written.
func TestUnansweredPings(t *testing.T) {
	t.Parallel()
	for _, code := range []int{4001, 0} {
		t.Run(fmt.Sprint(code), func(t *testing.T) {
			t.Parallel()
			var muted atomic.Bool
			opts := client.Options{Carrier: client.WebSocket,
				DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
					c, err := new(net.Dialer).DialContext(ctx, network, address)
					return mutedConn{c, &muted}, err
				}}
			s := dial(t, script(t, func(w *wire) {
				w.greet()
				muted.Store(true)
				w.conn.WriteMessage(websocket.PingMessage, nil)
				if code != 0 {
					w.conn.WriteMessage(websocket.CloseMessage, websocket.FormatCloseMessage(code, ""))
				}
				w.conn.ReadMessage() // until the client has gone
				muted.Store(false)
			}, func(w *wire) {
				w.hear("resume")
				w.say(resumed)
				w.rest()
			}), opts)
			e := expect[client.Disconnected](t, s)
			if said := client.IsCode(e.Err, client.CodeShuttingDown); said != (code != 0) {
				t.Errorf("the reason is %v", e.Err)
			}
			if code == 0 && !errors.Is(e.Err, errMuted) {
				t.Errorf("the reason is %v", e.Err)
			}
			expect[client.Resumed](t, s)
			s.Close()
		})
	}
}

// mutedConn is a connection on which nothing can be written while muted holds.
type mutedConn struct {
	net.Conn
	muted *atomic.Bool
}

var errMuted = errors.New("muted")

func (c mutedConn) Write(b []byte) (int, error) {
	if c.muted.Load() {
		return 0, errMuted
	}
	return c.Conn.Write(b)
}

// A server that ends a connection with a code, as when it restarts, is not knocked at by all its
// clients at once.
func TestHub12APauseFollowsACloseCode(t *testing.T) {
	t.Parallel()
	for code, want := range map[int]int{4001: 1, 4003: 1, 1006: 0} {
		t.Run(fmt.Sprint(code), func(t *testing.T) {
			t.Parallel()
			first := make(chan int, 10)
			s := dial(t, script(t, func(w *wire) {
				w.greet()
				if code != 1006 {
					w.conn.WriteMessage(websocket.CloseMessage, websocket.FormatCloseMessage(code, ""))
				}
			}, func(w *wire) {
				w.hear("resume")
				w.say(resumed)
				w.rest()
			}), client.Options{Carrier: client.WebSocket, Backoff: func(attempt int) time.Duration {
				first <- attempt
				return 0
			}})
			if got := <-first; got != want {
				t.Errorf("attempt %d comes first, want %d", got, want)
			}
			expect[client.Resumed](t, s)
			s.Close()
		})
	}
}

// Those who are told not to come back don't, although the telling gets cut.
func TestFinalWords(t *testing.T) {
	t.Parallel()
	kicked := `{"type":"error","code":"kicked","message":"out with you"}`
	for what, talk := range map[string]func(*wire){
		"in order": func(w *wire) {
			w.say(kicked)
			w.conn.WriteMessage(websocket.CloseMessage, websocket.FormatCloseMessage(4504, "kicked"))
		},
		"without a close code": func(w *wire) { w.say(kicked) },
		"without a frame": func(w *wire) {
			w.conn.WriteMessage(websocket.CloseMessage, websocket.FormatCloseMessage(4504, "out with you"))
		},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			s := dial(t, script(t, func(w *wire) {
				w.greet()
				talk(w)
			}), client.Options{Carrier: client.WebSocket})
			if err := ended(t, s); !client.IsCode(err, client.CodeKicked) ||
				!strings.Contains(err.Error(), "out with you") {
				t.Errorf("ended with %v", err)
			}
			if _, err := s.Ping(deadline(t)); !errors.Is(err, client.ErrClosed) {
				t.Errorf("got %v", err)
			}
		})
	}
	t.Run("a code from the future", func(t *testing.T) {
		t.Parallel()
		s := dial(t, script(t, func(w *wire) {
			w.greet()
			w.conn.WriteMessage(websocket.CloseMessage, websocket.FormatCloseMessage(4999, "never again"))
		}), client.Options{Carrier: client.WebSocket})
		if err := ended(t, s); err == nil || !strings.Contains(err.Error(), "never again") {
			t.Errorf("ended with %v", err)
		}
	})
}
