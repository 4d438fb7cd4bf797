package bench

import (
	"context"
	"crypto/tls"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"
)

// talk are the options of a short run against a hub.
func talk(d Dialect, addr string) TalkOptions {
	return TalkOptions{
		Server: &url.URL{Scheme: "ws", Host: addr, Path: d.Path()}, Dialect: d, TLS: &tls.Config{},
		Pairs: 3, Size: 200, Rate: 100, Window: 4,
		WarmUp: 150 * time.Millisecond, Duration: 400 * time.Millisecond,
	}
}

func TestTalkIsHeard(t *testing.T) {
	t.Parallel()
	at := startBox(t, true, "auth.mode=password", "auth.password=open sesame")
	for _, d := range []Dialect{Native, SocketIO} {
		for name, change := range map[string]func(*TalkOptions){
			"rate": func(o *TalkOptions) { o.Idle = 2 },
			"full": func(o *TalkOptions) { o.Rate = 0 },
			"long": func(o *TalkOptions) { o.Pairs, o.Rate, o.Size = 1, 20, MaxSaid },
			"tls":  func(o *TalkOptions) { o.Server.Scheme, o.Server.Host = "wss", at.WebTLS },
		} {
			if name == "full" && d == SocketIO {
				continue // it may be faster than the rate of a session, which is said without a word
			}
			t.Run(string(d)+", "+name, func(t *testing.T) {
				t.Parallel()
				o := talk(d, at.Web)
				o.Token, o.TLS = "open sesame", &tls.Config{InsecureSkipVerify: true} //nolint:gosec // the box's own
				change(&o)
				r, err := RunTalk(deadline(t), o)
				if o.Rate == 0 && err != nil && strings.Contains(err.Error(), "signal.rate") {
					return
				}
				if err != nil {
					t.Fatal(err)
				}
				if w := r.Ways[0]; w.Received == 0 || w.Lost > 0 || w.P50 <= 0 || w.Max < w.P99 {
					t.Errorf("it has measured %+v", w)
				}
				if want := 2*o.Pairs + o.Idle; r.SetUp.Opened != want {
					t.Errorf("%d sessions are open, want %d", r.SetUp.Opened, want)
				}
			})
		}
	}
}

// Whatever a hub refuses, and however its dialect says so, the key or the flag is named.
func TestTalkRefusalsSayWhatToDo(t *testing.T) {
	t.Parallel()
	closed := startBox(t, true, "auth.mode=password", "auth.password=open sesame").Web
	small := startBox(t, true, "signal.sessions_per_source=4").Web
	paced := startBox(t, true, "signal.rate=10").Web // so that the busiest machine is faster
	open := startBox(t, true).Web
	for _, d := range []Dialect{Native, SocketIO} {
		for name, c := range map[string]struct {
			addr, want string
			change     func(*TalkOptions)
		}{
			"token":       {closed, "--token", func(*TalkOptions) {}},
			"sessions":    {small, "signal.sessions_per_source", func(*TalkOptions) {}},
			"rate":        {paced, "signal.rate", func(o *TalkOptions) { o.Rate, o.Window, o.Pairs = 0, MaxWindow, 1 }},
			"path":        {open, "--dialect", func(o *TalkOptions) { o.Server.Path = "/nowhere" }},
			"certificate": {open, "--server", func(o *TalkOptions) { o.Server.Scheme = "wss" }},
		} {
			t.Run(string(d)+", "+name, func(t *testing.T) {
				t.Parallel()
				o := talk(d, c.addr)
				o.Duration = time.Second
				c.change(&o)
				if _, err := RunTalk(deadline(t), o); err == nil || !strings.Contains(err.Error(), c.want) {
					t.Errorf("it says %v, want %s", err, c.want)
				}
			})
		}
	}
}

// Socket.IO has no word for a message that comes too fast: the box drops it, and ends the session
// if there are many.
func TestTalkSaysWhyMessagesAreLost(t *testing.T) {
	t.Parallel()
	o := talk(SocketIO, startBox(t, true, "signal.rate=10").Web) // so that the busiest machine is faster
	o.Pairs, o.Rate, o.Duration = 1, 2000, time.Second
	r, err := RunTalk(deadline(t), o)
	var said string
	if err != nil {
		said = err.Error()
	} else {
		said = strings.Join(r.Warnings, "\n")
	}
	if !strings.Contains(said, "signal.rate") {
		t.Errorf("it says %q", said)
	}
}

// A hub that ends sessions in the middle of what they say: that nothing can be said any more is
// noticed at once, and is not why.
func TestTalkHearsWhyItEnded(t *testing.T) {
	t.Parallel()
	o := talk(Native, startHub(t, func(conn *websocket.Conn) {
		conn.ReadMessage()
		over := websocket.FormatCloseMessage(websocket.ClosePolicyViolation, "enough")
		conn.WriteControl(websocket.CloseMessage, over, time.Now().Add(patience))
		io.Copy(io.Discard, conn.NetConn())
	}))
	o.Rate, o.Window, o.Pairs = 0, MaxWindow, 2
	if _, err := RunTalk(deadline(t), o); err == nil || !strings.Contains(err.Error(), "enough") {
		t.Errorf("it says %v", err)
	}
}

// A hub that reads nothing any more, with more under way than buffers take.
func TestTalkEndsWhereNobodyReads(t *testing.T) {
	t.Parallel()
	over := make(chan struct{})
	o := talk(Native, startHub(t, func(*websocket.Conn) { <-over }))
	t.Cleanup(func() { close(over) }) // before the hub's own
	o.Rate, o.Window, o.Pairs, o.Size = 0, MaxWindow, 2, MaxSaid
	ended := make(chan error, 1)
	go func() {
		_, err := RunTalk(context.Background(), o)
		ended <- err
	}()
	select {
	case err := <-ended:
		if err == nil || !strings.Contains(err.Error(), "no message arrives") {
			t.Errorf("it says %v", err)
		}
	case <-time.After(patience):
		t.Error("it waits for the hub")
	}
}

// startHub runs a hub that lets sessions into their rooms, and then does something else.
func startHub(t *testing.T, then func(*websocket.Conn)) (addr string) {
	t.Helper()
	hub := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		conn, err := new(websocket.Upgrader).Upgrade(w, r, nil)
		if err != nil {
			t.Error(err)
			return
		}
		defer conn.Close()
		for _, answer := range []string{"welcome", "joined"} {
			if _, _, err := conn.ReadMessage(); err != nil {
				return
			}
			conn.WriteJSON(map[string]string{"type": answer})
		}
		then(conn)
	}))
	t.Cleanup(hub.Close)
	return strings.TrimPrefix(hub.URL, "http://")
}
