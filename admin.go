package signalbox

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
	"strings"
	"time"

	"github.com/pires/go-proxyproto"
)

// Admin talks to the admin API of a running appliance.
type Admin struct {
	base  string
	token string
	http  *http.Client
}

// adminTimeout bounds one request.
const adminTimeout = 10 * time.Second

// NewAdmin finds the appliance that runs with this configuration and state directory; url, if not
// empty, says where else it is. It connects to nothing yet.
func NewAdmin(c Config, state *State, url string) (*Admin, error) {
	token := string(c.Admin.Token)
	if token == "" {
		kept, err := state.existingSecret(adminTokenFile)
		if err != nil {
			return nil, err
		}
		token = string(kept)
	}
	a := &Admin{base: strings.TrimSuffix(url, "/"), token: token, http: &http.Client{Timeout: adminTimeout}}
	if a.base != "" {
		return a, nil
	}
	listen, scheme := c.Web.Listen, "http"
	transport := &http.Transport{DialContext: (&net.Dialer{}).DialContext}
	a.http.Transport = transport
	if listen == "" {
		// The certificate is for the name that clients use; this connection does not leave the
		// machine.
		listen, scheme = c.Web.TLSListen, "https"
		transport.TLSClientConfig = &tls.Config{InsecureSkipVerify: true} //nolint:gosec // to this machine itself
	}
	addr, err := listenAddr(listen)
	if err != nil {
		return nil, errors.New("web.listen and web.tls_listen are off: there is no admin API to ask")
	}
	if addr.Addr().IsUnspecified() {
		addr = netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), addr.Port())
	}
	a.base = scheme + "://" + addr.String()
	if proxies, err := parsePrefixes(c.Web.TrustedProxies); err == nil && c.Web.ProxyProtocol &&
		containsAddr(proxies, addr.Addr()) {
		transport.DialContext = dialAsProxy // the appliance takes this machine for a proxy
	}
	return a, nil
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
func (a *Admin) Status(ctx context.Context) (Status, error) {
	var s Status
	return s, a.do(ctx, http.MethodGet, "/api/admin/status", nil, &s)
}

// Kick ends sessions and allocations.
func (a *Admin) Kick(ctx context.Context, k Kick) (KickResult, error) {
	var out KickResult
	return out, a.do(ctx, http.MethodPost, "/api/admin/kick", k, &out)
}

func (a *Admin) do(ctx context.Context, method, path string, in, out any) error {
	var body io.Reader
	if in != nil {
		text, err := json.Marshal(in)
		if err != nil {
			return err
		}
		body = bytes.NewReader(text)
	}
	req, err := http.NewRequestWithContext(ctx, method, a.base+path, body)
	if err != nil {
		return fmt.Errorf("ask signalbox: %w", err)
	}
	req.Header.Set("Authorization", "Bearer "+a.token)
	resp, err := a.http.Do(req)
	var refused *net.OpError
	switch {
	case errors.As(err, &refused):
		return fmt.Errorf("no signalbox answers at %s: is it running? With another config or state directory, name "+
			"them with -c and --state, or say --url (%w)", a.base, refused)
	case err != nil:
		return fmt.Errorf("ask signalbox: %w", err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		var e struct{ Message string }
		_ = json.NewDecoder(io.LimitReader(resp.Body, 4096)).Decode(&e) // without a message the status says enough
		return fmt.Errorf("signalbox at %s answers %s: %s", a.base, resp.Status, e.Message)
	}
	if err := json.NewDecoder(resp.Body).Decode(out); err != nil {
		return fmt.Errorf("read the answer of %s: %w", a.base, err)
	}
	return nil
}
