//go:build linux

package lab_test

import (
	"bytes"
	"compress/flate"
	"context"
	"crypto/rand"
	"crypto/tls"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/gorilla/websocket"
	"github.com/pion/stun/v3"

	"signalbox/scripts/lab"
)

// hostileKinds are the ways in which clients are hostile. Each is one round, which ends by itself.
var hostileKinds = []struct {
	name  string
	round func(*hostile)
}{
	{"half-read frames", (*hostile).halfFrames},
	{"slow posts", (*hostile).slowPosts},
	{"slow posts of a stream", (*hostile).slowPostsOfStreams},
	{"slow headers", (*hostile).slowHeaders},
	{"unsolicited pongs", (*hostile).pongs},
	{"empty continuations", (*hostile).emptyContinuations},
	{"deflate bombs", (*hostile).bombs},
	{"garbage hellos", (*hostile).garbageHellos},
	{"garbage tokens", (*hostile).garbageTokens},
	{"garbage keys", (*hostile).garbageKeys},
	{"rooms made and left", (*hostile).rooms},
	{"large signals to a slow reader", (*hostile).largeSignals},
	{"large signals to strangers", (*hostile).strangers},
	{"broadcasts at the rate", (*hostile).broadcasts},
	{"broadcasts nobody reads", (*hostile).unreadBroadcasts},
	{"parked streams", (*hostile).parkedStreams},
	{"ghosts", (*hostile).ghosts},
	{"resume storms", (*hostile).resumes},
	{"odd JSON", (*hostile).oddJSON},
	{"unauthenticated Allocates", (*hostile).allocates},
	{"guessed TURN passwords", (*hostile).guesses},
	{"half TURN messages", (*hostile).halfTURN},
	{"half TLS records", (*hostile).halfRecords},
	{"half TLS records of a session", (*hostile).halfRecordsOfSessions},
}

// hostile is one kind of hostile client at one address.
type hostile struct {
	ctx    context.Context // of the round, which ends with the siege
	in     *lab.Namespace
	server *lab.Server
	token  string // what admits
	victim string // a user who is called
	saw    func(what string)

	reading sync.WaitGroup
}

// besiege runs rounds until the siege is over.
func (h *hostile) besiege(round func(*hostile)) {
	for siege := h.ctx; siege.Err() == nil; {
		var end func()
		h.ctx, end = context.WithCancel(siege)
		round(h)
		h.reading.Wait()
		h.rest(time.Second)
		end()
	}
}

// rest pauses, and reports whether the siege goes on.
func (h *hostile) rest(d time.Duration) bool {
	select {
	case <-h.ctx.Done():
		return false
	case <-time.After(d):
		return true
	}
}

// dial connects to a port of the box. The connection is closed at the end of the round.
func (h *hostile) dial(network, port string) net.Conn {
	ctx, cancel := context.WithTimeout(h.ctx, 10*time.Second)
	defer cancel()
	conn, err := h.in.DialContext(ctx, network, net.JoinHostPort(h.server.Host(), port))
	if err != nil {
		h.failed(err)
		return nil
	}
	context.AfterFunc(h.ctx, func() { conn.Close() })
	conn.SetDeadline(time.Now().Add(time.Minute))
	return conn
}

// failed counts what the box has answered by ending a connection.
func (h *hostile) failed(err error) {
	var closed *websocket.CloseError
	switch {
	case h.ctx.Err() != nil:
	case errors.As(err, &closed):
		h.saw(fmt.Sprint("closed ", closed.Code, " ", closed.Text))
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		h.saw("ended")
	case errors.Is(err, net.ErrClosed):
	default:
		var timeout net.Error
		if errors.As(err, &timeout) && timeout.Timeout() {
			h.saw("timeout")
			return
		}
		h.saw("reset")
	}
}

// socket opens a WebSocket.
func (h *hostile) socket(secure, compressed bool) *websocket.Conn {
	dialer := websocket.Dialer{
		NetDialContext: h.in.DialContext, HandshakeTimeout: 10 * time.Second, EnableCompression: compressed,
		TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, // the lab's certificates are self-signed
	}
	url := "ws://" + h.server.Host() + ":8080/signal"
	if secure {
		url = "wss://" + h.server.Host() + ":8443/signal"
	}
	ws, resp, err := dialer.DialContext(h.ctx, url, nil)
	switch {
	case resp != nil && err != nil:
		h.saw(resp.Status)
		return nil
	case err != nil:
		h.failed(err)
		return nil
	}
	context.AfterFunc(h.ctx, func() { ws.Close() })
	ws.NetConn().SetDeadline(time.Now().Add(time.Minute))
	return ws
}

// enter opens a session. It is nil if the box refuses.
func (h *hostile) enter() *websocket.Conn { return h.enterOn(h.socket(false, false)) }

func (h *hostile) enterOn(ws *websocket.Conn) *websocket.Conn {
	if ws == nil || h.ask(ws, "welcome", map[string]any{"type": "hello", "token": h.token}) == nil {
		return nil
	}
	return ws
}

// hostileFrame is what these clients look at in the hub's frames.
type hostileFrame struct {
	Type, Code, PeerID, ResumeToken string
}

// ask sends a frame and waits for one of the kind that answers it.
func (h *hostile) ask(ws *websocket.Conn, kind string, frame map[string]any) *hostileFrame {
	if err := ws.WriteJSON(frame); err != nil {
		h.failed(err)
		ws.Close()
		return nil
	}
	for {
		f, err := h.read(ws)
		if err != nil {
			ws.Close()
			return nil
		}
		if f.Type == kind {
			return f
		}
		if f.Type == "error" {
			ws.Close()
			return nil
		}
	}
}

// read reads one frame, and counts refusals.
func (h *hostile) read(ws *websocket.Conn) (*hostileFrame, error) {
	_, text, err := ws.ReadMessage()
	if err != nil {
		h.failed(err)
		return nil, err
	}
	f := new(hostileFrame)
	if json.Unmarshal(text, f) == nil && f.Type == "error" {
		h.saw(f.Code)
	}
	return f, nil
}

// listen reads in the background up to the end of the connection.
func (h *hostile) listen(ws *websocket.Conn) {
	h.reading.Go(func() {
		for {
			if _, err := h.read(ws); err != nil {
				ws.Close()
				return
			}
		}
	})
}

// rawFrame is a WebSocket frame with a mask of zeros, which leaves the payload as it is (RFC 6455
// §5.3).
func rawFrame(first byte, payload []byte) []byte {
	return append(rawHeader(first, len(payload)), payload...)
}

func rawHeader(first byte, size int) []byte {
	b := []byte{first, 0x80 | byte(size)}
	switch {
	case size > 1<<16-1:
		b = binary.BigEndian.AppendUint64([]byte{first, 0x80 | 127}, uint64(size))
	case size > 125:
		b = binary.BigEndian.AppendUint16([]byte{first, 0x80 | 126}, uint16(size))
	}
	return append(b, 0, 0, 0, 0)
}

// flood writes the same again and again, as fast as it is taken, and closes the connection.
func (h *hostile) flood(ws *websocket.Conn, chunk []byte, most int) {
	h.listen(ws)
	conn := ws.NetConn()
	conn.SetDeadline(time.Now().Add(20 * time.Second))
	for sent := 0; sent < most; sent += len(chunk) {
		if _, err := conn.Write(chunk); err != nil {
			break
		}
	}
	conn.Close()
}

// halfFrames begins large messages that never end.
func (h *hostile) halfFrames() {
	for range 16 {
		if ws := h.enter(); ws != nil {
			ws.NetConn().Write(append(rawHeader(0x81, 60_000), make([]byte, 59_000)...)) //nolint:errcheck // read tells
			h.listen(ws)
		}
	}
}

// drip sends a request's start, then a byte a second, and counts the answer.
func (h *hostile) drip(n int, start string) {
	for range n {
		conn := h.dial("tcp", "8080")
		if conn == nil {
			continue
		}
		h.reading.Go(func() {
			defer conn.Close()
			io.WriteString(conn, start) //nolint:errcheck // the answer tells
			for range 25 {
				if _, err := conn.Write([]byte("x")); err != nil || !h.rest(time.Second) {
					break
				}
			}
			h.answer(conn)
		})
	}
}

// answer counts the first line of what the box answers.
func (h *hostile) answer(conn net.Conn) {
	b := make([]byte, 200)
	conn.SetReadDeadline(time.Now().Add(5 * time.Second))
	n, err := conn.Read(b)
	if err != nil {
		h.failed(err)
		return
	}
	line, _, _ := strings.Cut(string(b[:n]), "\r\n")
	h.saw(strings.TrimPrefix(line, "HTTP/1.1 "))
}

// post is the start of a request, up to its body.
func (h *hostile) post(size int) string {
	return fmt.Sprintf("POST /signal/send HTTP/1.1\r\nHost: %s:8080\r\nContent-Length: %d\r\n\r\n",
		h.server.Host(), size)
}

func (h *hostile) slowPosts() {
	h.drip(24, h.post(256<<10)+`{"frames":["`+strings.Repeat("x", 100_000))
}

func (h *hostile) slowHeaders() {
	h.drip(24, "GET / HTTP/1.1\r\nHost: "+h.server.Host()+":8080\r\nCookie: "+strings.Repeat("x", 3000))
}

func (h *hostile) pongs() {
	if ws := h.enter(); ws != nil {
		h.flood(ws, bytes.Repeat(rawFrame(0x8a, nil), 1000), 20<<20)
	}
}

func (h *hostile) emptyContinuations() {
	if ws := h.enter(); ws != nil {
		ws.NetConn().Write(rawFrame(0x01, []byte(`{`))) //nolint:errcheck // flood tells
		h.flood(ws, bytes.Repeat(rawFrame(0x00, nil), 1000), 20<<20)
	}
}

func (h *hostile) bombs() {
	ws := h.enterOn(h.socket(false, true))
	if ws == nil {
		return
	}
	var b bytes.Buffer
	deflater, _ := flate.NewWriter(&b, flate.BestCompression) // the level is valid
	io.WriteString(deflater, `{"type":"broadcast","room":"bombs","data":"`+strings.Repeat("x", 63_000)+`"}`)
	deflater.Flush()
	h.flood(ws, bytes.Repeat(rawFrame(0xc1, bytes.TrimSuffix(b.Bytes(), []byte("\x00\x00\xff\xff"))), 20), 1<<20)
}

func (h *hostile) garbageHellos() {
	noise := make([]byte, 500)
	rand.Read(noise)
	for _, frame := range [][]byte{
		rawFrame(0x82, noise), rawFrame(0x81, noise), rawFrame(0x81, []byte(`{"type":"hello"`)),
		rawFrame(0x81, []byte(`{"type":"hello","name":7}`)), rawFrame(0xf1, noise), rawFrame(0x83, noise),
		{0x81, 5, 'h', 'e', 'l', 'l', 'o'}, rawHeader(0x81, 1<<30), rawFrame(0x88, []byte{1}), noise,
		rawFrame(0x81, []byte(`{"type":"join","room":"x"}`)),
	} {
		if ws := h.socket(false, false); ws != nil {
			ws.NetConn().Write(frame) //nolint:errcheck // read tells
			h.listen(ws)
		}
		h.rest(200 * time.Millisecond)
	}
}

func (h *hostile) garbageTokens() {
	head, _, _ := strings.Cut(h.token, ".")
	for _, token := range []string{
		"x", strings.Repeat("x.", 3000), h.token[:len(h.token)-4] + "AAAA", head + "..", "..",
		"eyJhbGciOiJub25lIn0.eyJleHAiOjQwMDAwMDAwMDB9.",
	} {
		if ws := h.socket(false, false); ws != nil {
			h.ask(ws, "welcome", map[string]any{"type": "hello", "token": token})
			ws.Close()
		}
		h.rest(100 * time.Millisecond)
	}
}

// garbageKeys guesses the admin token, and credentials of /api/ice.
func (h *hostile) garbageKeys() {
	client := h.in.Client()
	defer client.CloseIdleConnections()
	for _, path := range []string{"/api/admin/status", "/api/ice", "/api/rooms", "/api/turn?api=x"} {
		req, err := http.NewRequestWithContext(h.ctx, http.MethodGet, h.server.HTTP+path, nil)
		if err != nil {
			return
		}
		req.Header.Set("Authorization", "Bearer a-wrong-key-of-some-length")
		resp, err := client.Do(req)
		if err != nil {
			h.failed(err)
			continue
		}
		io.Copy(io.Discard, io.LimitReader(resp.Body, 1<<20)) //nolint:errcheck // the status tells
		resp.Body.Close()
		h.saw(resp.Status)
		h.rest(100 * time.Millisecond)
	}
}

func (h *hostile) rooms() {
	ws := h.enter()
	if ws == nil {
		return
	}
	h.listen(ws)
	for n := range 1000 {
		room := fmt.Sprint("r", n, h.in.Name)
		ws.WriteJSON(map[string]any{"type": "join", "room": room}) //nolint:errcheck // read tells
		if ws.WriteJSON(map[string]any{"type": "leave", "room": room}) != nil || !h.rest(20*time.Millisecond) {
			break
		}
	}
	ws.Close()
}

// meet opens n sessions in a room of their own. Fewer than two are none.
func (h *hostile) meet(n int) (room string, sockets []*websocket.Conn, ids []string) {
	room = fmt.Sprintf("hostile-%x", time.Now().UnixNano())
	for range n {
		ws := h.socket(false, false)
		if ws == nil {
			continue
		}
		welcome := h.ask(ws, "welcome", map[string]any{"type": "hello", "token": h.token})
		if welcome == nil || h.ask(ws, "joined", map[string]any{"type": "join", "room": room}) == nil {
			continue
		}
		sockets, ids = append(sockets, ws), append(ids, welcome.PeerID)
	}
	if len(sockets) < 2 {
		for _, ws := range sockets {
			ws.Close()
		}
		return room, nil, nil
	}
	return room, sockets, ids
}

// part ends what meet has opened.
func part(sockets []*websocket.Conn) {
	for _, ws := range sockets {
		ws.Close()
	}
}

func (h *hostile) largeSignals() {
	room, sockets, ids := h.meet(2)
	if sockets == nil {
		return
	}
	defer part(sockets)
	h.reading.Go(func() { // 20 KB/s
		conn, b := sockets[1].NetConn(), make([]byte, 2000)
		for {
			if _, err := io.ReadFull(conn, b); err != nil || !h.rest(100*time.Millisecond) {
				return
			}
		}
	})
	h.listen(sockets[0])
	data := strings.Repeat("x", 60<<10)
	for range 500 {
		frame := map[string]any{"type": "signal", "to": ids[1], "room": room, "data": data}
		if err := sockets[0].WriteJSON(frame); err != nil || !h.rest(50*time.Millisecond) {
			return
		}
	}
}

func (h *hostile) strangers() {
	ws := h.enter()
	if ws == nil {
		return
	}
	h.listen(ws)
	for range 100 {
		frame := map[string]any{"type": "signal", "to": "@" + h.victim, "data": strings.Repeat("x", 15<<10)}
		if err := ws.WriteJSON(frame); err != nil || !h.rest(100*time.Millisecond) {
			break
		}
	}
	ws.Close()
}

// shout sends broadcasts at the rate that is allowed, and a little more.
func (h *hostile) shout(room string, from *websocket.Conn, size, times int) {
	h.listen(from)
	frame := map[string]any{"type": "broadcast", "room": room, "data": strings.Repeat("x", size)}
	for range times {
		if err := from.WriteJSON(frame); err != nil || !h.rest(9*time.Millisecond) {
			return
		}
	}
}

func (h *hostile) broadcasts() {
	room, sockets, _ := h.meet(8)
	if sockets == nil {
		return
	}
	defer part(sockets)
	for _, ws := range sockets[1:] {
		h.listen(ws)
	}
	h.shout(room, sockets[0], 200, 2000)
}

func (h *hostile) unreadBroadcasts() {
	room, sockets, _ := h.meet(8)
	if sockets == nil {
		return
	}
	defer part(sockets)
	h.shout(room, sockets[0], 30, 1000)
	h.shout(room, sockets[1], 20_000, 1000)
}

// stream opens a stream of events, and returns its key. It is nil if the box refuses.
func (h *hostile) stream() (conn net.Conn, key string) {
	if conn = h.dial("tcp", "8080"); conn == nil {
		return nil, ""
	}
	fmt.Fprintf(conn, "GET /signal/events HTTP/1.1\r\nHost: %s:8080\r\n\r\n", h.server.Host())
	var got []byte
	for b := make([]byte, 1000); !bytes.Contains(got, []byte("}\n\n")) && len(got) < 8000; {
		n, err := conn.Read(b)
		if err != nil {
			h.failed(err)
			conn.Close()
			return nil, ""
		}
		got = append(got, b[:n]...)
	}
	_, rest, ok := strings.Cut(string(got), `{"key":"`)
	if !ok {
		line, _, _ := strings.Cut(string(got), "\r\n")
		h.saw(line)
		conn.Close()
		return nil, ""
	}
	key, _, _ = strings.Cut(rest, `"`)
	return conn, key
}

// parkedStreams opens streams of events, says hello on them, and never reads on.
func (h *hostile) parkedStreams() {
	for range 24 {
		h.reading.Go(func() {
			conn, key := h.stream()
			if conn == nil {
				return
			}
			defer conn.Close()
			post := h.dial("tcp", "8080")
			if post == nil {
				return
			}
			defer post.Close()
			body := `{"key":"` + key + `","frames":[{"type":"hello","token":"` + h.token + `"},` +
				`{"type":"join","room":"parked"}]}`
			io.WriteString(post, h.post(len(body))+body) //nolint:errcheck // the answer tells
			h.answer(post)
			h.rest(30 * time.Second)
		})
	}
}

// slowPostsOfStreams sends most of a post of a stream that is there, and the rest slowly.
func (h *hostile) slowPostsOfStreams() {
	for range 8 {
		conn, key := h.stream()
		if conn == nil {
			continue
		}
		h.reading.Go(func() {
			defer conn.Close()
			h.drip(3, h.post(256<<10)+`{"key":"`+key+`","frames":["`+strings.Repeat("x", 250_000))
			h.rest(30 * time.Second)
		})
	}
}

func (h *hostile) ghosts() {
	for range 200 {
		if ws := h.enter(); ws != nil {
			ws.Close() // the TCP connection, without a word
		}
		if !h.rest(100 * time.Millisecond) {
			return
		}
	}
}

func (h *hostile) resumes() {
	ws := h.socket(false, false)
	if ws == nil {
		return
	}
	welcome := h.ask(ws, "welcome", map[string]any{"type": "hello", "token": h.token})
	if welcome == nil {
		return
	}
	tokens := []string{welcome.ResumeToken, welcome.ResumeToken[:len(welcome.ResumeToken)-4] + "AAAA"}
	for n := range 100 {
		ws.Close()
		if ws = h.socket(false, false); ws == nil {
			return
		}
		token := tokens[n%len(tokens)] // most are stale
		if f := h.ask(ws, "resumed", map[string]any{"type": "resume", "token": token, "seq": 0}); f != nil {
			tokens = append(tokens, f.ResumeToken)
		}
		h.rest(50 * time.Millisecond)
	}
	ws.Close()
}

func (h *hostile) oddJSON() {
	deep := strings.Repeat("[", 30_000) + strings.Repeat("]", 30_000)
	many := strings.TrimSuffix(strings.Repeat(`"k":1,`, 9000), ",")
	different := new(strings.Builder)
	for n := range 6000 {
		fmt.Fprintf(different, `"%d":0,`, n)
	}
	for _, text := range []string{
		`{"type":"broadcast","room":"x","data":` + deep + `}`, `{"type":"broadcast","room":"x","data":{` + many + `}}`,
		`{"type":"broadcast","room":"x","data":{` + different.String() + `"x":1}}`, `{"type":"ping","type":"bye"}`,
		`{"type":"broadcast","room":"x","data":"\ud800"}`, `{"type":"broadcast","room":"x","data":1e999999}`,
		deep, `{"id":` + deep + `}`, `{"type":"join","room":"` + strings.Repeat("e\\u0301", 9000) + `"}`,
	} {
		ws := h.enter()
		if ws == nil {
			continue
		}
		h.listen(ws)
		for range 50 {
			if ws.WriteMessage(websocket.TextMessage, []byte(text)) != nil || !h.rest(20*time.Millisecond) {
				break
			}
		}
		ws.Close()
	}
}

func anAllocate() []stun.Setter {
	return []stun.Setter{stun.TransactionID, stun.NewType(stun.MethodAllocate, stun.ClassRequest), requestedUDP}
}

// allocates asks for allocations without having been let in, from one socket after another.
func (h *hostile) allocates() {
	for range 20 {
		conn := h.dial("udp", "3478")
		if conn == nil {
			return
		}
		for range 50 {
			conn.Write(stun.MustBuild(anAllocate()...).Raw) //nolint:errcheck // UDP
			if !h.rest(5 * time.Millisecond) {
				break
			}
		}
		h.count401(conn)
	}
}

// count401 counts the answers that have come, and closes the socket.
func (h *hostile) count401(conn net.Conn) {
	defer conn.Close()
	for b := make([]byte, 1500); ; {
		conn.SetReadDeadline(time.Now().Add(5 * time.Millisecond))
		n, err := conn.Read(b)
		if err != nil {
			return
		}
		answer := &stun.Message{Raw: b[:n]}
		if answer.Decode() == nil {
			h.saw(fmt.Sprint("error ", int(errorCode(answer))))
		}
	}
}

func (h *hostile) guesses() {
	conn := h.dial("udp", "3478")
	if conn == nil {
		return
	}
	conn.Write(stun.MustBuild(anAllocate()...).Raw) //nolint:errcheck // UDP
	conn.SetReadDeadline(time.Now().Add(5 * time.Second))
	challenge := &stun.Message{Raw: make([]byte, 1500)}
	n, err := conn.Read(challenge.Raw)
	challenge.Raw = challenge.Raw[:max(n, 0)]
	var realm stun.Realm
	var nonce stun.Nonce
	if err != nil || challenge.Decode() != nil || challenge.Parse(&realm, &nonce) != nil {
		h.saw("no challenge")
		conn.Close()
		return
	}
	for n := range 1000 {
		guess := append(anAllocate(), stun.NewUsername("u"), realm, nonce,
			stun.NewLongTermIntegrity("u", realm.String(), fmt.Sprint(n)))
		conn.Write(stun.MustBuild(guess...).Raw) //nolint:errcheck // UDP
		if !h.rest(5 * time.Millisecond) {
			break
		}
	}
	h.count401(conn)
}

func (h *hostile) halfTURN() {
	for range 32 {
		if conn := h.dial("tcp", "3478"); conn != nil {
			start := []byte{0, 3, 0xff, 0xf0, 0x21, 0x12, 0xa4, 0x42}
			conn.Write(append(start, make([]byte, 500)...)) //nolint:errcheck // the end tells
			h.awaitEnd(conn)
		}
	}
}

// awaitEnd counts, in the background, how the box ends the connection.
func (h *hostile) awaitEnd(conn net.Conn) {
	h.reading.Go(func() {
		defer conn.Close()
		_, err := io.Copy(io.Discard, conn)
		if err == nil {
			err = io.EOF
		}
		h.failed(err)
	})
}

// halfRecord is the start of a TLS record of 16 KiB (RFC 8446 §5.1).
func halfRecord(kind byte) []byte {
	return append([]byte{kind, 3, 3, 0x40, 0}, make([]byte, 15<<10)...)
}

func (h *hostile) halfRecords() {
	for range 32 {
		if conn := h.dial("tcp", "8443"); conn != nil {
			conn.Write(halfRecord(22)) //nolint:errcheck // the end tells
			h.awaitEnd(conn)
		}
	}
}

// halfRecordsOfSessions has sessions over wss stop in the middle of a record.
func (h *hostile) halfRecordsOfSessions() {
	for range 8 {
		if ws := h.enterOn(h.socket(true, false)); ws != nil {
			conn := ws.NetConn().(*tls.Conn).NetConn()
			conn.SetDeadline(time.Now().Add(3 * time.Minute))
			conn.Write(halfRecord(23)) //nolint:errcheck // the end tells
			h.awaitEnd(conn)
		}
	}
}
