package client

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/gorilla/websocket"
)

// wsLink is a WebSocket.
type wsLink struct {
	*pulse
	conn       *websocket.Conn
	unanswered error // why an answer to a ping could not be written; the reader's own
}

func (d *dialer) openWebSocket(ctx context.Context) (link, error) {
	u := *d.url
	u.Scheme = strings.Replace(u.Scheme, "http", "ws", 1)
	dialer := websocket.Dialer{
		Proxy:           http.ProxyFromEnvironment,
		NetDialContext:  d.dial,
		TLSClientConfig: d.tls,
		Subprotocols:    []string{protocol},
		ReadBufferSize:  4 << 10,
		WriteBufferSize: 4 << 10,
	}
	conn, response, err := dialer.DialContext(ctx, u.String(), d.header)
	if errors.Is(err, websocket.ErrBadHandshake) {
		return nil, unexpected(response)
	}
	if errors.Is(err, os.ErrDeadlineExceeded) { // ctx's, which the connection may notice first
		return nil, fmt.Errorf("%w: %w", context.DeadlineExceeded, err)
	}
	if err != nil {
		return nil, err
	}
	l := &wsLink{pulse: newPulse(), conn: conn}
	conn.SetReadLimit(maxIncoming)
	// The server takes the pong to a ping as proof that we have got what it sent before, so we
	// answer here, in the reader's turn. The package's own answer must leave within a second or it
	// ends the connection, which is little on a busy machine.
	conn.SetPingHandler(func(payload string) error {
		l.beat()
		err := conn.WriteControl(websocket.PongMessage, []byte(payload), time.Now().Add(writeTimeout))
		if err != nil && l.unanswered == nil {
			l.unanswered = err
			l.doomed()
		}
		return nil
	})
	conn.SetPongHandler(func(string) error {
		l.beat()
		return nil
	})
	return l, nil
}

func (l *wsLink) read() ([]byte, error) {
	kind, text, err := l.conn.ReadMessage()
	var closed *websocket.CloseError
	switch {
	case errors.As(err, &closed) && closed.Code != websocket.CloseAbnormalClosure:
		return nil, closedWith(closed.Code, closed.Text)
	case errors.Is(err, net.ErrClosed) && l.unanswered != nil: // by doomed
		return nil, l.unanswered
	case err != nil:
		return nil, err
	case kind != websocket.TextMessage:
		return nil, errors.New("binary frame of the server")
	}
	l.beat()
	return text, nil
}

func (l *wsLink) write(frames []outFrame, received uint64, timeout time.Duration) (err error) {
	defer func() {
		if err != nil {
			l.doomed()
		}
	}()
	l.conn.SetWriteDeadline(time.Now().Add(timeout))
	for i, f := range frames {
		if i == 0 {
			f.Received = received
		}
		text, err := encode(f)
		if err != nil {
			return err
		}
		if err := l.conn.WriteMessage(websocket.TextMessage, text); err != nil {
			return err
		}
	}
	return nil
}

// doomed closes a connection on which nothing can be written, once there was time to read why.
func (l *wsLink) doomed() { time.AfterFunc(byeTime, l.close) }

// quiet is false: the server pings, and we answer.
func (l *wsLink) quiet() bool { return false }

func (l *wsLink) close() { l.conn.NetConn().Close() }

// unexpected is the error for an unexpected HTTP answer. It quotes the answer.
func unexpected(response *http.Response) error {
	text, _ := io.ReadAll(io.LimitReader(response.Body, 256))
	if to, err := response.Location(); err == nil {
		return fmt.Errorf("the server answered %s: use %s", response.Status,
			(&url.URL{Scheme: to.Scheme, Host: to.Host}).String())
	}
	if text = bytes.TrimSpace(text); len(text) > 0 &&
		strings.HasPrefix(response.Header.Get("Content-Type"), "text/plain") {
		return fmt.Errorf("the server answered %s: %q", response.Status, text)
	}
	return fmt.Errorf("the server answered %s", response.Status)
}
