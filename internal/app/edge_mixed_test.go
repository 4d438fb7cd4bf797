package app

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"signalbox/internal/edge"

	"github.com/gorilla/websocket"
	"github.com/pion/stun/v3"
)

// allocateOn gets an allocation over a stream, as the static user of newApp, and gives it back.
func allocateOn(conn net.Conn) error {
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		return err
	}
	udp := stun.RawAttribute{Type: stun.AttrRequestedTransport, Value: []byte{17, 0, 0, 0}}
	allocate := stun.NewType(stun.MethodAllocate, stun.ClassRequest)
	challenge, err := roundTrip(conn, allocate, udp)
	if err != nil {
		return err
	}
	var realm stun.Realm
	var nonce stun.Nonce
	if err := errors.Join(realm.GetFrom(challenge), nonce.GetFrom(challenge)); err != nil {
		return fmt.Errorf("%v: %w", challenge, err)
	}
	key := stun.NewLongTermIntegrity("u", string(realm), "p")
	login := []stun.Setter{stun.NewUsername("u"), realm, nonce, key}
	answer, err := roundTrip(conn, append([]stun.Setter{allocate, udp}, login...)...)
	if err != nil {
		return err
	}
	if answer.Type.Class != stun.ClassSuccessResponse {
		return fmt.Errorf("allocate: %v", answer)
	}
	zero := stun.RawAttribute{Type: stun.AttrLifetime, Value: make([]byte, 4)}
	answer, err = roundTrip(conn, append([]stun.Setter{stun.NewType(stun.MethodRefresh, stun.ClassRequest), zero},
		login...)...)
	if err == nil && answer.Type.Class != stun.ClassSuccessResponse {
		err = fmt.Errorf("refresh: %v", answer)
	}
	return err
}

func roundTrip(conn net.Conn, setters ...stun.Setter) (*stun.Message, error) {
	request, err := stun.Build(append([]stun.Setter{stun.TransactionID}, setters...)...)
	if err != nil {
		return nil, err
	}
	if _, err := conn.Write(request.Raw); err != nil {
		return nil, err
	}
	answer := &stun.Message{Raw: make([]byte, 20)}
	if _, err := io.ReadFull(conn, answer.Raw); err != nil {
		return nil, err
	}
	rest := make([]byte, int(answer.Raw[2])<<8|int(answer.Raw[3]))
	if _, err := io.ReadFull(conn, rest); err != nil {
		return nil, err
	}
	answer.Raw = append(answer.Raw, rest...)
	return answer, answer.Decode()
}

// fetch asks for a small page over one kind of HTTP.
func fetch(url string, major int, protocols ...string) error {
	client := insecure(protocols...)
	client.Timeout = patience
	resp, err := client.Get(url + "/healthz")
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if body, err := io.ReadAll(resp.Body); err != nil || string(body) != "ok\n" || resp.ProtoMajor != major {
		return fmt.Errorf("%s %q, %w", resp.Proto, body, err)
	}
	return nil
}

// greet has a session over a WebSocket.
func greet(url string) error {
	dialer := websocket.Dialer{HandshakeTimeout: patience, TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}
	ws, _, err := dialer.Dial(url+"/signal", nil)
	if err != nil {
		return err
	}
	defer ws.Close()
	if err := ws.WriteMessage(websocket.TextMessage, []byte(`{"type":"hello"}`)); err != nil {
		return err
	}
	if err := ws.SetReadDeadline(time.Now().Add(patience)); err != nil {
		return err
	}
	if _, text, err := ws.ReadMessage(); err != nil || !strings.Contains(string(text), `"welcome"`) {
		return fmt.Errorf("%s, %w", text, err)
	}
	return nil
}

// gate lets a few shake hands at once. The box gives each edge.OpenTimeout for it, in which a slow
// machine is not done with hundreds.
type gate chan struct{}

func (g gate) pass(f func() error) error {
	g <- struct{}{}
	defer func() { <-g }()
	return f()
}

// with dials, and hands the connection to f.
func (g gate) with(addr string, conf *tls.Config, f func(net.Conn) error) error {
	if conf == nil {
		conn, err := net.Dial("tcp", addr)
		if err != nil {
			return err
		}
		defer conn.Close()
		return f(conn)
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	var secure net.Conn
	if err := g.pass(func() (err error) {
		secure, err = (&tls.Dialer{Config: conf}).DialContext(ctx, "tcp", addr)
		return err
	}); err != nil {
		return err
	}
	defer secure.Close()
	return f(secure)
}

// reaped says something, or nothing, a byte at a time if slow, and waits for the other side to
// close.
func reaped(slow bool, text string) func(net.Conn) error {
	return func(conn net.Conn) error {
		limit := time.Now().Add(edge.OpenTimeout + patience)
		if err := conn.SetDeadline(limit); err != nil {
			return err
		}
		if slow {
			go func() {
				for i := range len(text) {
					if _, err := conn.Write([]byte(text[i : i+1])); err != nil {
						return
					}
					time.Sleep(500 * time.Millisecond)
				}
			}()
		} else if _, err := io.WriteString(conn, text); err != nil {
			return err
		}
		_, err := io.Copy(io.Discard, conn)
		var timeout net.Error
		if errors.As(err, &timeout) && timeout.Timeout() {
			return errors.New("it is kept open")
		}
		return nil // closed, in one way or another
	}
}

// Everything at once on the two web ports: they serve every client that behaves, in whatever
// protocol, and drop all others.
func TestTwoPortsServeEverything(t *testing.T) {
	t.Parallel()
	// all of them are one user, of more than 128 allocations if nobody is quick
	app := startApp(t, "turn.limits.per_user=0")
	plain, secure := app.Addrs().Web, app.Addrs().WebTLS
	anonymous := &tls.Config{InsecureSkipVerify: true} // no ALPN, and for an address no SNI: as browsers speak TURN
	named := &tls.Config{InsecureSkipVerify: true, ServerName: "localhost", NextProtos: []string{"stun.turn"}}
	hello := "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + strings.Repeat("x", 60) // a ClientHello's beginning
	g := make(gate, 16)
	kinds := map[string]func() error{
		"https 1.1": func() error {
			return g.pass(func() error {
				return fetch("https://"+secure, 1,
					"http/1.1")
			})
		},
		"https 2": func() error {
			return g.pass(func() error {
				return fetch("https://"+secure,
					2)
			})
		},
		"http":                       func() error { return fetch("http://"+plain, 1) },
		"wss":                        func() error { return g.pass(func() error { return greet("wss://" + secure) }) },
		"ws":                         func() error { return greet("ws://" + plain) },
		"turns with ALPN and SNI":    func() error { return g.with(secure, named, allocateOn) },
		"turns without":              func() error { return g.with(secure, anonymous, allocateOn) },
		"turn":                       func() error { return g.with(plain, nil, allocateOn) },
		"silent":                     func() error { return g.with(plain, nil, reaped(false, "")) },
		"silent for TLS":             func() error { return g.with(secure, nil, reaped(false, "")) },
		"silent after the handshake": func() error { return g.with(secure, anonymous, reaped(false, "")) },
		"half a handshake":           func() error { return g.with(secure, nil, reaped(false, hello)) },
		"a slow handshake":           func() error { return g.with(secure, nil, reaped(true, hello)) },
		"a slow request": func() error {
			return g.with(plain, nil,
				reaped(true, "GET /"+strings.Repeat("x", 60)))
		},
		"garbage for TLS": func() error { return g.with(secure, nil, reaped(false, "\x80\xff\x00garbage")) },
		"garbage": func() error {
			return g.with(plain, nil,
				reaped(false, "\xff\x80\x00garbage\r\n\r\n"))
		},
		"garbage for TURN": func() error {
			return g.with(plain, nil, reaped(false, "\x00\x03\xff\xff\xff\xff\xff\xffgarbagegarbagegarbage"))
		},
		"garbage for TURN over TLS": func() error {
			return g.with(secure, anonymous,
				reaped(false, "\x3f"+strings.Repeat("\xff", 100)))
		},
		"http for TLS": func() error {
			return g.with(secure, nil,
				reaped(false, "GET / HTTP/1.1\r\nHost: x\r\n\r\n"))
		},
	}
	const each = 55 // of 19 kinds: more than a thousand
	var wg sync.WaitGroup
	for name, do := range kinds {
		for range each {
			wg.Go(func() {
				if err := do(); err != nil {
					t.Errorf("%s: %v", name, err)
				}
			})
		}
	}
	wg.Wait()
	eventually(t, "everybody is gone", func() bool {
		s := app.Status()
		return len(s.TURN.Allocations) == 0 && s.Signal.Connections == 0
	})
}

// balancer forwards connections to an address, as a TCP balancer that sends the PROXY protocol:
// each client is another one.
func balancer(t *testing.T, to string) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	t.Cleanup(func() {
		l.Close()
		wg.Wait()
	})
	wg.Go(func() {
		for n := 0; ; n++ {
			client, err := l.Accept()
			if err != nil {
				return
			}
			wg.Go(func() {
				defer client.Close()
				server, err := net.Dial("tcp", to)
				if err != nil {
					t.Error(err)
					return
				}
				defer server.Close()
				fmt.Fprintf(server, "PROXY TCP4 192.0.2.%d 192.0.2.1 %d 443\r\n", 1+n%250, 1024+n)
				go func() {
					defer client.Close()
					io.Copy(client, server)
				}()
				io.Copy(server, client)
			})
		}
	})
	return l.Addr().String()
}

// Behind a balancer, clients are who the balancer says; all of them are counted, and given back.
func TestTwoPortsBehindABalancer(t *testing.T) {
	t.Parallel()
	app := startApp(t, "web.trusted_proxies=127.0.0.1", "web.proxy_protocol=true")
	plain, secure := balancer(t, app.Addrs().Web), balancer(t, app.Addrs().WebTLS)
	alpn := func(names ...string) *tls.Config { return &tls.Config{InsecureSkipVerify: true, NextProtos: names} }
	g := make(gate, 16)
	var wg sync.WaitGroup
	for name, do := range map[string]func() error{
		"https 2":           func() error { return g.pass(func() error { return fetch("https://"+secure, 2) }) },
		"http":              func() error { return fetch("http://"+plain, 1) },
		"wss":               func() error { return g.pass(func() error { return greet("wss://" + secure) }) },
		"turns":             func() error { return g.with(secure, alpn(), allocateOn) },
		"turns by its ALPN": func() error { return g.with(secure, alpn("stun.turn"), allocateOn) },
		"stuns by its ALPN": func() error { return g.with(secure, alpn("stun.nat-discovery"), allocateOn) },
		"turns and http":    func() error { return g.with(secure, alpn("http/1.1", "stun.turn"), allocateOn) },
		"turn":              func() error { return g.with(plain, nil, allocateOn) },
		"nobody's challenge": func() error {
			return refused(g.with(secure, alpn("acme-tls/1"),
				reaped(false, "x")))
		},
		"an unknown protocol":     func() error { return refused(g.with(secure, alpn("gopher"), reaped(false, "x"))) },
		"silent":                  func() error { return g.with(secure, nil, reaped(false, "")) },
		"garbage after the hello": func() error { return g.with(secure, alpn(), reaped(false, "\xff\x00")) },
	} {
		for range 20 {
			wg.Go(func() {
				if err := do(); err != nil {
					t.Errorf("%s: %v", name, err)
				}
			})
		}
	}
	wg.Wait()
	eventually(t, "nobody is counted any more", func() bool { return app.Status().Web.Open == 0 })
	if n := app.Status().Web.Refused; n != 0 {
		t.Errorf("%d were refused", n)
	}
}

// refused takes a handshake that fails, or a connection that is closed, for what is wanted.
func refused(err error) error {
	if err == nil || strings.Contains(err.Error(), "no application protocol") {
		return nil
	}
	return err
}
