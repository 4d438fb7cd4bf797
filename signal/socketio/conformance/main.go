// Command conformance serves what the published test suites of Engine.IO (versions 3 and 4) and
// Socket.IO (version 5) expect, on the code that the appliance serves: echoes, at
// http://127.0.0.1:3000/engine.io/ and /socket.io/.
//
//	go run ./signal/socketio/conformance
//
// Another address may be given as the argument; with port 0 a free port is taken, and printed.
package main

import (
	"bytes"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"time"

	"signalbox/signal"
	"signalbox/signal/socketio"
	"signalbox/signal/socketio/engineio"
)

const (
	maxPayload = 1_000_000 // as the suites expect
	greetAfter = 10 * time.Millisecond
)

// timings are how long the server waits for a client.
type timings struct{ pingInterval, pingTimeout, connect time.Duration }

// published are what the suites expect.
var published = timings{300 * time.Millisecond, 200 * time.Millisecond, time.Second}

func main() {
	address := "127.0.0.1:3000"
	if len(os.Args) > 1 {
		address = os.Args[1]
	}
	if err := serve(address, published); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func serve(address string, wait timings) error {
	hub, err := signal.New(signal.Options{
		MaxFrame: maxPayload, AllowedOrigins: []string{"*"}, Log: slog.New(slog.NewTextHandler(os.Stderr, nil)),
	})
	if err != nil {
		return err
	}
	mux := http.NewServeMux()
	mux.Handle("/engine.io/", engineio.New(hub, engineio.Options{
		PingInterval: wait.pingInterval, PingTimeout: wait.pingTimeout, Connect: wait.connect,
		Open: func(r engineio.Request) engineio.Conversation { return echo{r.Version} },
	}))
	mux.Handle("/socket.io/", socketio.New(hub, socketio.Options{
		PingInterval: wait.pingInterval, PingTimeout: wait.pingTimeout, Connect: wait.connect,
		Handler: func() socketio.Handler { return handler{} },
	}))
	l, err := net.Listen("tcp", address)
	if err != nil {
		return err
	}
	fmt.Println(l.Addr())
	return http.Serve(l, mux)
}

// echo sends every message of Engine.IO back.
type echo struct{ version int }

func (echo) Terms() signal.Terms { return signal.Terms{Name: "engine.io"} }

func (echo) Opened(s *signal.Session) {
	if err := s.Hello(signal.Hello{}); err != nil {
		s.Refuse(err)
	}
}

func (e echo) Message(s *signal.Session, m signal.Frame, over error) {
	switch {
	case over != nil:
		s.Refuse(over)
	case m.Binary:
		s.Reply(engineio.Binary(e.version, bytes.Clone(m.Body)))
	default:
		s.Reply(engineio.Text(m.Body))
	}
}

func (echo) Encode(dst []signal.Frame, _ signal.Event) []signal.Frame { return dst }
func (echo) Encoding(signal.Event) any                                { return nil }
func (echo) Ended(*signal.Session)                                    {}

// handler is what Socket.IO's suite expects of a server.
type handler struct{}

func (handler) Serves(namespace string) bool { return namespace == "/custom" }

// Connected greets the client a moment after the answer: the suite loses what comes with that.
func (handler) Connected(s *socketio.Socket, namespace string, auth []byte) {
	greeting := fmt.Appendf(nil, `["auth",%s]`, auth)
	time.AfterFunc(greetAfter, func() { s.Do(func() { s.Emit(namespace, greeting) }) })
}

func (handler) Event(s *socketio.Socket, p *socketio.Packet) {
	arguments := bytes.Join(p.Args, []byte{','})
	switch p.Event {
	case "message":
		s.Emit(p.Namespace, fmt.Appendf(nil, `["message-back",%s]`, arguments), p.Binary...)
	case "message-with-ack":
		s.Answer(p, fmt.Appendf(nil, `[%s]`, arguments), p.Binary...)
	}
}

func (handler) Encode(_ *socketio.Socket, dst []signal.Frame, _ signal.Event) []signal.Frame {
	return dst
}

func (handler) Encoding(*socketio.Socket, signal.Event) any { return nil }
