package bench

import (
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/gorilla/websocket"
)

// Dialect is what a signaling server speaks.
type Dialect string

// The dialects that the generator speaks, too.
const (
	Native   Dialect = "native"   // signalbox.v1, as in signal/PROTOCOL.md
	SocketIO Dialect = "socketio" // Socket.IO 5 over a WebSocket, with the events vjoin and vdata
)

// Path is where servers of the dialect are.
func (d Dialect) Path() string {
	if d == SocketIO {
		return "/socket.io/"
	}
	return "/signal"
}

// talker is a session.
type talker struct {
	dialect Dialect
	conn    *websocket.Conn
	link    *finite
	writing sync.Mutex
	frame   []byte // a message, with
	mark    []byte // the place of its stamp, in hexadecimal
	read    bytes.Buffer
}

const markSize = 2 * stampSize

// marked is what comes before a stamp. No dialect changes it on the way.
var marked = []byte(`"bench":"`)

// refusedError is what a server says when it refuses something.
type refusedError struct{ code, message string }

func (e refusedError) Error() string {
	if e.message == "" {
		return "the server refuses: " + e.code
	}
	return fmt.Sprintf("the server refuses: %s (%s)", e.code, e.message)
}

// notSpoken is an answer to a handshake that is none.
type notSpoken struct {
	status string
	code   int
}

func (e notSpoken) Error() string { return "the server answers " + e.status }

// dial opens a session.
func (o *TalkOptions) dial(ctx context.Context) (*talker, error) {
	at := *o.Server
	if o.Dialect == SocketIO {
		at.RawQuery = url.Values{"EIO": {"4"}, "transport": {"websocket"}}.Encode()
	}
	const aroundMessage = 1 << 10
	t := &talker{dialect: o.Dialect}
	dialer := websocket.Dialer{Proxy: http.ProxyFromEnvironment, TLSClientConfig: o.TLS, NetDialContext: t.reach,
		WriteBufferSize: o.Size + aroundMessage, ReadBufferSize: 4 << 10}
	conn, response, err := dialer.DialContext(ctx, at.String(), nil)
	if errors.Is(err, websocket.ErrBadHandshake) {
		return nil, notSpoken{response.Status, response.StatusCode}
	}
	if errors.Is(err, io.EOF) {
		return nil, advised{err, "it ends the connection at once: check the port of --server, and whether it is " +
			"http or https"}
	}
	if err != nil {
		return nil, err
	}
	t.conn = conn
	return t, t.greet(ctx, o.Token)
}

// greet begins the session.
func (t *talker) greet(ctx context.Context, token string) error {
	if t.dialect == Native {
		hello := map[string]string{"type": "hello", "name": "bench"}
		if token != "" {
			hello["token"] = token
		}
		text, _ := json.Marshal(hello) // texts always have JSON
		return t.ask(ctx, text, `{"type":"welcome"`)
	}
	text := []byte("40")
	if token != "" {
		auth, _ := json.Marshal(map[string]string{"token": token})
		text = append(text, auth...)
	}
	if err := t.await(ctx, "0{"); err != nil {
		return err
	}
	return t.ask(ctx, text, "40{")
}

// join enters a room, in which it is to say messages of that size.
func (t *talker) join(ctx context.Context, room string, size int) error {
	pad := strings.Repeat("x", size-len(`{"bench":"","pad":""}`)-markSize)
	data := `{"bench":"` + strings.Repeat("0", markSize) + `","pad":"` + pad + `"}`
	if t.dialect == Native {
		t.frame = []byte(`{"type":"broadcast","room":"` + room + `","data":` + data + `}`)
	} else {
		t.frame = []byte(`42["vdata","` + room + `",` + data + `]`)
	}
	at := bytes.Index(t.frame, marked) + len(marked)
	t.mark = t.frame[at : at+markSize]
	if t.dialect == Native {
		return t.ask(ctx, []byte(`{"type":"join","room":"`+room+`"}`), `{"type":"joined"`)
	}
	return t.ask(ctx, []byte(`42["vjoin","`+room+`","bench"]`), `42["vjoined"`)
}

// ask says something, and waits for the answer that begins so.
func (t *talker) ask(ctx context.Context, text []byte, answer string) error {
	t.write(text)
	return t.await(ctx, answer)
}

func (t *talker) await(ctx context.Context, answer string) error {
	defer context.AfterFunc(ctx, t.interrupt)()
	for {
		text, err := t.next()
		if err != nil {
			return errors.Join(context.Cause(ctx), err)
		}
		if bytes.HasPrefix(text, []byte(answer)) {
			return nil
		}
	}
}

// next is the next frame that is not about the connection itself, until the one after.
func (t *talker) next() ([]byte, error) {
	for {
		_, from, err := t.conn.NextReader()
		if err != nil {
			return nil, err
		}
		t.read.Reset()
		if _, err := t.read.ReadFrom(io.LimitReader(from, 2*MaxSaid)); err != nil {
			return nil, err
		}
		text := t.read.Bytes()
		switch {
		case t.dialect == Native && bytes.HasPrefix(text, []byte(`{"type":"error"`)):
			var said struct{ Code, Message string }
			json.Unmarshal(text, &said) //nolint:errcheck // what it doesn't say is empty
			return nil, refusedError{said.Code, said.Message}
		case t.dialect == SocketIO && string(text) == "2":
			t.write([]byte("3"))
			continue
		case t.dialect == SocketIO && bytes.HasPrefix(text, []byte("44")):
			var said struct{ Message string }
			json.Unmarshal(text[2:], &said) //nolint:errcheck // likewise
			return nil, refusedError{code: said.Message}
		}
		return text, nil
	}
}

// listen passes on the stamps of what it hears, until it hears nothing more.
func (t *talker) listen(heard func(mark []byte)) error {
	var mark [stampSize]byte
	for {
		text, err := t.next()
		if err != nil {
			return err
		}
		at := bytes.Index(text, marked)
		if at < 0 {
			continue // who comes and goes
		}
		text = text[at+len(marked):]
		if n, err := hex.Decode(mark[:], text[:min(len(text), markSize)]); err != nil || n < stampSize {
			continue // of somebody else
		}
		heard(mark[:])
	}
}

// say says its message, stamped.
func (t *talker) say(s stamp) {
	var mark [stampSize]byte
	s.put(mark[:])
	t.writing.Lock()
	defer t.writing.Unlock()
	hex.Encode(t.mark, mark[:])
	t.conn.WriteMessage(websocket.TextMessage, t.frame) //nolint:errcheck // as in write
}

// write has no error: where nothing can be written, next fails, too, and only it knows why. What a
// server says at the end is read after the first write that fails.
func (t *talker) write(text []byte) {
	t.writing.Lock()
	defer t.writing.Unlock()
	t.conn.WriteMessage(websocket.TextMessage, text) //nolint:errcheck // see above
}

func (t *talker) reach(ctx context.Context, network, address string) (net.Conn, error) {
	conn, err := new(net.Dialer).DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	t.link = &finite{Conn: conn}
	return t.link, nil
}

// finite is a connection whose end nobody puts off: the package sets a deadline of its own for each
// write.
type finite struct {
	net.Conn
	mu  sync.Mutex
	end time.Time // of all reads and writes; zero: none
}

func (l *finite) SetWriteDeadline(at time.Time) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.end.IsZero() {
		at = l.end
	}
	return l.Conn.SetWriteDeadline(at)
}

// endAt ends what reads or writes at a time, now and later.
func (l *finite) endAt(at time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.end = at
	l.SetDeadline(at)
}

// interrupt ends what reads or writes.
func (t *talker) interrupt() { t.link.endAt(time.Unix(1, 0)) }

// close ends the session.
func (t *talker) close() {
	t.link.endAt(time.Now().Add(time.Second))
	over := websocket.FormatCloseMessage(websocket.CloseNormalClosure, "")
	t.conn.WriteControl(websocket.CloseMessage, over, time.Now().Add(time.Second)) //nolint:errcheck // it is over
	t.conn.Close()
}

// What to do when a hub wants less.
const (
	tooMuch = "signalbox: raise signal.rate (100 messages a second of one session, four times as many at once) and " +
		"signal.sessions_per_source (512) for this test, or ask for less"
	// Socket.IO has no word for a message that comes too fast.
	dropped = "the server has dropped them, maybe because of a limit. " + tooMuch
)

// explain adds what to do to an error.
func (o *TalkOptions) explain(err error) error {
	var refused refusedError
	var unspoken notSpoken
	var closed *websocket.CloseError
	var reset *net.OpError
	switch {
	case errors.As(err, &refused):
		return advised{err, refused.advice()}
	case errors.As(err, &unspoken):
		return advised{err, unspoken.advice(o)}
	case errors.As(err, &closed), errors.As(err, &reset) && reset.Op == "read" && !reset.Timeout():
		return advised{err, "the server ends the connection: its log may say why. " + tooMuch}
	}
	return explainConnecting(err, o.Server.Host, "--server", "--pairs or --idle")
}

func (e refusedError) advice() string {
	switch e.code {
	case "rate-limited":
		return tooMuch
	case "unauthorized":
		return "pass a --token that admits it: the password, or what `signalbox token` mints"
	}
	// Socket.IO has no codes.
	return "if it asks for a password or a token, pass a --token that admits it; else its log may say why"
}

func (e notSpoken) advice(o *TalkOptions) string {
	switch e.code {
	case http.StatusNotFound:
		return fmt.Sprintf("nothing at %s speaks %s: check --server and --dialect (signalbox: compat.socketio may be "+
			"off)", o.Server.Path, o.Dialect)
	case http.StatusServiceUnavailable, http.StatusTooManyRequests:
		return "it has no place: raise signal.sessions and signal.sessions_per_source (512), or lower --pairs and " +
			"--idle"
	case http.StatusForbidden:
		return "it does not let this machine in: it may be banned"
	}
	return "check --server"
}
