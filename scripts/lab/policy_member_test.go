//go:build linux

package lab_test

import (
	"crypto/tls"
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"signalbox/scripts/lab"
)

// A member is a session with the hub, without a browser.
type member struct {
	iceServers         // of its welcome
	PeerID      string `json:"peerId"`
	ResumeToken string `json:"resumeToken"`

	t      *testing.T
	conn   *websocket.Conn
	frames chan []byte // closed when the connection is over
}

// hello opens a session from inside a namespace. It is kept for the rest of the
// test, unless it is closed.
func hello(t *testing.T, in *lab.Namespace, server *lab.Server, name string, header http.Header) *member {
	t.Helper()
	m := dialHub(t, in, server, header)
	m.write(map[string]any{"type": "hello", "name": name})
	m.expect("welcome", m)
	return m
}

// dialHub opens a connection on which there is no session yet.
func dialHub(t *testing.T, in *lab.Namespace, server *lab.Server, header http.Header) *member {
	t.Helper()
	dialer := websocket.Dialer{
		NetDialContext:  in.DialContext,
		TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, // the lab's certificates are self-signed
	}
	conn, resp, err := dialer.DialContext(t.Context(), strings.Replace(server.HTTP, "http", "ws", 1)+"/signal", header)
	if err != nil {
		t.Fatalf("dial /signal: %v (%v)", err, resp)
	}
	m := &member{t: t, conn: conn, frames: make(chan []byte, 1000)}
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer close(m.frames)
		for {
			_, frame, err := conn.ReadMessage() // it answers pings, too
			if err != nil {
				return
			}
			m.frames <- frame
		}
	}()
	t.Cleanup(func() {
		conn.Close()
		<-done
	})
	return m
}

func (m *member) write(frame map[string]any) {
	m.t.Helper()
	if err := m.conn.WriteJSON(frame); err != nil {
		m.t.Fatal(err)
	}
}

// expect waits for a frame of a type, past others, and decodes it.
func (m *member) expect(kind string, into any) {
	m.t.Helper()
	timeout := time.After(patience)
	for {
		select {
		case <-timeout:
			m.t.Fatalf("no %s within %v", kind, patience)
		case frame, open := <-m.frames:
			if !open {
				m.t.Fatalf("the connection ended before a frame %s", kind)
			}
			var head struct{ Type string }
			if err := json.Unmarshal(frame, &head); err != nil || head.Type == "error" {
				m.t.Fatalf("waiting for %s: got %s", kind, frame)
			}
			if head.Type != kind {
				continue
			}
			if err := json.Unmarshal(frame, into); err != nil {
				m.t.Fatalf("%s: %v", frame, err)
			}
			return
		}
	}
}

func (m *member) join(room string) {
	m.t.Helper()
	m.write(map[string]any{"type": "join", "room": room})
	m.expect("joined", &struct{}{})
}

func (m *member) leave(room string) {
	m.t.Helper()
	m.write(map[string]any{"type": "leave", "room": room})
	m.expect("left", &struct{}{})
}

// signal sends data to another member and waits until the hub has passed it on.
func (m *member) signal(to *member, room string, data any) {
	m.t.Helper()
	m.write(map[string]any{"type": "signal", "to": to.PeerID, "room": room, "data": data, "id": "s"})
	m.expect("ack", &struct{}{})
}

// vanish ends the connection without a word, as a closed tab does.
func (m *member) vanish() { m.conn.Close() }

// turn allocates with the session's credential, over "udp" or "tcp", from inside
// a namespace.
func (m *member) turn(in *lab.Namespace, server *lab.Server, network string) *turnClient {
	m.t.Helper()
	username, password := m.credential(m.t)
	return newTURNClient(m.t, in, server, network, username, password)
}
