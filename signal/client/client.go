package client

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// Carrier is what carries a session's frames.
type Carrier string

// The carriers of signalbox.v1.
const (
	Auto      Carrier = ""          // WebSocket, and SSE where that fails
	WebSocket Carrier = "websocket" //
	SSE       Carrier = "sse"       // server-sent events down, POSTs up
)

// Options configure a session. The zero value is usable.
type Options struct {
	Name string // for display; not unique
	User string // the unique handle behind "@user"

	// Token is called for each hello if the server asks for admission: a token may have expired
	// since the last one. StaticToken returns a Token that never changes.
	Token func(context.Context) (string, error)

	// Replaces is the ResumeToken of an earlier session, whose place and peer id the new one takes.
	Replaces string

	Carrier Carrier

	TLSConfig *tls.Config // nil: the system's certificate authorities
	Header    http.Header // goes with each HTTP request
	// DialContext makes TCP connections; nil uses net.Dialer.
	DialContext func(ctx context.Context, network, address string) (net.Conn, error)

	// Backoff returns how long to wait before reconnection attempt n, from 0, or from 1 if the
	// server has ended the connection with a code. nil: no wait at attempt 0, then one that grows
	// to 7 s and is random by a second.
	Backoff func(attempt int) time.Duration

	Log *slog.Logger // nil discards
}

// StaticToken is for Options.Token: a password, or a token that doesn't expire.
func StaticToken(token string) func(context.Context) (string, error) {
	return func(context.Context) (string, error) { return token, nil }
}

func backoff(attempt int) time.Duration {
	if attempt == 0 {
		return 0
	}
	n := time.Duration(min(attempt, 5))
	return min(n*n*300*time.Millisecond, 7*time.Second) + rand.N(time.Second)
}

// Dial opens a session. The address is the server's URL, or that of its /signal: http, https, ws or
// wss. ctx bounds the first connection. The error says why it failed; it is an *Error if the server
// has refused it. From then on the session reconnects by itself, until Close, or until the server
// ends it.
func Dial(ctx context.Context, address string, opts Options) (*Session, error) {
	s, err := newSession(address, opts)
	if err != nil {
		return nil, fmt.Errorf("signaling session: %w", err)
	}
	life, cancel := context.WithCancel(context.Background())
	s.over, s.cancel = life.Done(), cancel
	l, err := s.connect(ctx)
	if err != nil {
		cancel()
		s.dialer.close()
		return nil, fmt.Errorf("signaling session: %w", err)
	}
	go s.run(life, l)
	return s, nil
}

// endpoint is the /signal of a server, as it is for HTTP.
func endpoint(address string) (*url.URL, error) {
	u, err := url.Parse(address)
	if err != nil {
		return nil, fmt.Errorf("address: %w", err)
	}
	switch u.Scheme {
	case "ws":
		u.Scheme = "http"
	case "wss":
		u.Scheme = "https"
	case "http", "https":
	default:
		return nil, fmt.Errorf("address %q: it must start with https://, http://, wss:// or ws://", address)
	}
	if u.Host == "" {
		return nil, fmt.Errorf("address %q: the host is missing", address)
	}
	if path := strings.TrimRight(u.Path, "/"); strings.HasSuffix(path, "/signal") {
		u.Path = path
	} else {
		u.Path = path + "/signal"
	}
	u.RawPath, u.RawQuery, u.Fragment = "", "", ""
	return u, nil
}

// link is one connection, whatever carries it.
type link interface {
	// read is the next frame. One goroutine calls it.
	read() ([]byte, error)
	// write sends frames in order, and the number of the last frame that we got from the server.
	// One goroutine calls it. A link whose write failed closes itself, but gives its reader a
	// moment to read the server's reason.
	write(frames []outFrame, received uint64, timeout time.Duration) error
	// silence is how long nothing was heard.
	silence() time.Duration
	// quiet reports whether the server needs frames to know that we are there.
	quiet() bool
	// close ends the connection and whatever waits for it. Any goroutine may call it, more than
	// once.
	close()
}

// dialer makes links.
type dialer struct {
	url    *url.URL
	header http.Header
	dial   func(ctx context.Context, network, address string) (net.Conn, error)
	tls    *tls.Config
	http   *http.Transport // for SSE
}

func newDialer(u *url.URL, opts Options) *dialer {
	d := &dialer{url: u, header: opts.Header.Clone(), dial: opts.DialContext, tls: opts.TLSConfig}
	if d.dial == nil {
		d.dial = new(net.Dialer).DialContext
	}
	if d.header == nil {
		d.header = make(http.Header)
	}
	d.http = &http.Transport{
		Proxy:               http.ProxyFromEnvironment,
		DialContext:         d.dial,
		TLSClientConfig:     opts.TLSConfig,
		MaxIdleConnsPerHost: 1,
		IdleConnTimeout:     90 * time.Second,
	}
	return d
}

func (d *dialer) open(ctx context.Context, c Carrier) (link, error) {
	switch c {
	case WebSocket:
		return d.openWebSocket(ctx)
	case SSE:
		return d.openSSE(ctx)
	}
	return nil, errors.New("unknown carrier")
}

func (d *dialer) close() { d.http.CloseIdleConnections() }

const (
	openTimeout  = 4 * time.Second  // for a connection, if there is another carrier to try
	greetTimeout = 10 * time.Second // for a connection and its welcome
	writeTimeout = 15 * time.Second // for frames to leave
)
