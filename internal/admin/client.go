package admin

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"github.com/pires/go-proxyproto"

	"signalbox/internal/source"
	"signalbox/internal/state"
	"signalbox/internal/status"
	"signalbox/internal/term"
	"signalbox/internal/usage"
)

// Client talks to the admin API of a running appliance.
type Client struct {
	base  string
	token state.Secret
	http  *http.Client
	dial  func(ctx context.Context, network, addr string) (net.Conn, error)
}

// adminTimeout bounds one request.
const adminTimeout = 10 * time.Second

// ClientOptions say where the appliance is, and how it lets one in.
type ClientOptions struct {
	URL   string      // of its web port; empty: HTTP or HTTPS of this machine
	TLS   *tls.Config // which certificates are accepted at URL; nil: those of the system's authorities
	Token state.Secret
	// HTTP and HTTPS are where it listens on this machine; the zero AddrPort is off.
	HTTP, HTTPS netip.AddrPort
	// Proxies: if this machine is one of them, it begins with a PROXY header.
	Proxies source.Proxies
}

// ErrNoPort says that an appliance can't be asked.
var ErrNoPort = errors.New("web.listen and web.tls_listen are off: there is no admin API to ask")

// NewClient finds the appliance. It connects to nothing yet.
func NewClient(o ClientOptions) (*Client, error) {
	c := &Client{
		base: strings.TrimSuffix(o.URL, "/"), token: o.Token, http: &http.Client{Timeout: adminTimeout},
		dial: (&net.Dialer{}).DialContext,
	}
	transport := &http.Transport{TLSClientConfig: o.TLS}
	c.http.Transport = transport
	if c.base != "" {
		transport.Proxy = http.ProxyFromEnvironment
		return c, nil
	}
	at, scheme := o.HTTP, "http"
	if !at.IsValid() {
		// The certificate is for the name that clients use; this connection does not leave the
		// machine.
		at, scheme = o.HTTPS, "https"
		transport.TLSClientConfig = &tls.Config{InsecureSkipVerify: true} //nolint:gosec // to this machine itself
	}
	if !at.IsValid() {
		return nil, ErrNoPort
	}
	if at.Addr().IsUnspecified() {
		at = netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), at.Port())
	}
	c.base = scheme + "://" + at.String()
	if o.Proxies.Trust(at.Addr()) {
		c.dial = dialAsProxy // the appliance takes this machine for a proxy
	}
	transport.DialContext = c.dial
	return c, nil
}

// URL is where the appliance is asked.
func (c *Client) URL() string { return c.base }

// Dial connects to the appliance as the client's requests do.
func (c *Client) Dial(ctx context.Context, network, addr string) (net.Conn, error) {
	return c.dial(ctx, network, addr)
}

// dialAsProxy begins with a PROXY header that says the truth: it is this machine that connects.
func dialAsProxy(ctx context.Context, network, addr string) (net.Conn, error) {
	conn, err := (&net.Dialer{}).DialContext(ctx, network, addr)
	if err != nil {
		return nil, err
	}
	if _, err := proxyproto.HeaderProxyFromAddrs(1, conn.LocalAddr(), conn.RemoteAddr()).WriteTo(conn); err != nil {
		conn.Close()
		return nil, err
	}
	return conn, nil
}

// Status asks for the state of the appliance.
func (c *Client) Status(ctx context.Context) (status.Status, error) {
	var s status.Status
	return s, c.do(ctx, http.MethodGet, "/api/admin/status", nil, &s)
}

// Kick ends sessions and allocations.
func (c *Client) Kick(ctx context.Context, k Kick) (Result, error) {
	var out Result
	return out, c.do(ctx, http.MethodPost, "/api/admin/kick", k, &out)
}

// Reload has the box read its configuration again.
func (c *Client) Reload(ctx context.Context) (Reloaded, error) {
	var out Reloaded
	return out, c.do(ctx, http.MethodPost, "/api/admin/reload", nil, &out)
}

// Close ends a room.
func (c *Client) Close(ctx context.Context, room string) (Closed, error) {
	var out Closed
	return out, c.do(ctx, http.MethodPost, "/api/admin/close", Close{room}, &out)
}

// Drain has the box end once its allocations have ended.
func (c *Client) Drain(ctx context.Context) (Draining, error) {
	var out Draining
	return out, c.do(ctx, http.MethodPost, "/api/admin/drain", nil, &out)
}

// Sessions asks for a page of the sessions; query may be nil.
func (c *Client) Sessions(ctx context.Context, query url.Values) (SessionList, error) {
	var out SessionList
	return out, c.do(ctx, http.MethodGet, "/api/admin/sessions?"+query.Encode(), nil, &out)
}

// Config asks for the configuration in force.
func (c *Client) Config(ctx context.Context) (Config, error) {
	var out Config
	return out, c.do(ctx, http.MethodGet, "/api/admin/config", nil, &out)
}

// Log asks for the last lines of the log.
func (c *Client) Log(ctx context.Context) ([]Line, error) {
	var out Log
	err := c.do(ctx, http.MethodGet, "/api/admin/log", nil, &out)
	return out.Lines, err
}

// Bans asks for the bans in force.
func (c *Client) Bans(ctx context.Context) ([]Ban, error) {
	var out Bans
	err := c.do(ctx, http.MethodGet, "/api/admin/bans", nil, &out)
	return out.Bans, err
}

// Unban lifts bans.
func (c *Client) Unban(ctx context.Context, u Unban) (Unbanned, error) {
	var out Unbanned
	return out, c.do(ctx, http.MethodPost, "/api/admin/unban", u, &out)
}

// Usage asks for what users have used, page by page, all that the query finds.
func (c *Client) Usage(ctx context.Context, q usage.Query) (all usage.Answer, err error) {
	q.Limit = maxUsageRows
	all.Rows = []usage.Listed{}
	for {
		var page usage.Answer
		if err := c.do(ctx, http.MethodGet, "/api/admin/usage?"+usageValues(q).Encode(), nil, &page); err != nil {
			return all, err
		}
		page.Rows = append(all.Rows, page.Rows...)
		if all = page; q.Offset+q.Limit >= page.Total {
			return all, nil
		}
		q.Offset += q.Limit
	}
}

func (c *Client) do(ctx context.Context, method, path string, in, out any) error {
	var body io.Reader
	if in != nil {
		text, err := json.Marshal(in)
		if err != nil {
			return err
		}
		body = bytes.NewReader(text)
	}
	req, err := http.NewRequestWithContext(ctx, method, c.base+path, body)
	if err != nil {
		return fmt.Errorf("ask signalbox: %w", err)
	}
	req.Header.Set("Authorization", "Bearer "+string(c.token))
	resp, err := c.http.Do(req)
	var refused *net.OpError
	switch {
	case errors.As(err, &refused):
		return fmt.Errorf("no signalbox answers at %s: is it running? If it has another config or state directory, "+
			"name them with -c and --state, or give --url (%w)", c.base, refused)
	case errors.As(err, new(*tls.CertificateVerificationError)):
		return fmt.Errorf("ask signalbox: %w: trust its certificate with --ca FILE (a self-signed box offers its own "+
			"at /ca.pem)", err)
	case err != nil:
		return fmt.Errorf("ask signalbox: %w", err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		var e struct{ Message string }
		_ = json.NewDecoder(io.LimitReader(resp.Body, 4096)).Decode(&e) // without a message the status says enough
		return fmt.Errorf("signalbox at %s answers %s: %s", c.base, term.Text(resp.Status), term.Text(e.Message))
	}
	if err := json.NewDecoder(resp.Body).Decode(out); err != nil {
		return fmt.Errorf("read the answer of %s: %w", c.base, err)
	}
	return nil
}
