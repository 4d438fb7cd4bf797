package doctor

import (
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

	"signalbox/internal/trouble"
	"signalbox/internal/turnclient"
)

// Options tell Client which box to ask, and as whom.
type Options struct {
	URL *url.URL // http or https
	// Token returns the password or token with which a session enters the room; nil: none needed.
	Token func(room string) (string, error)
	// TLS has the trusted roots, and InsecureSkipVerify. If its ServerName is set, the certificate
	// must be for that name instead of the URL's.
	TLS *tls.Config
	// Dial connects HTTP and signaling; nil uses net.Dialer.
	Dial func(ctx context.Context, network, addr string) (net.Conn, error)
	// StandIn tells that the box serves a certificate of its own until it gets one from an ACME
	// directory: it is not judged.
	StandIn bool
	Timeout time.Duration // of one check
}

// maxSkew is the largest harmless difference of two clocks.
const maxSkew = 30 * time.Second

// inAll is how many times the Timeout of one check all checks of a box may take.
const inAll = 4

// Client checks a running box from here, as a caller would use it.
func (d *Doctor) Client(ctx context.Context, o Options) {
	d.asked = true
	whole, cancel := context.WithTimeoutCause(ctx, inAll*o.Timeout, errTooSlow)
	defer cancel()
	d.client(whole, o)
	if ctx.Err() == nil && whole.Err() != nil {
		d.add(failed(trouble.TooSlow, "", "after %s the rest was not tried", ms(inAll*o.Timeout)).named("time"))
	}
}

func (d *Doctor) client(ctx context.Context, o Options) {
	if o.Dial == nil {
		o.Dial = new(net.Dialer).DialContext
	}
	if d.check(ctx, "DNS", o.Timeout, func(ctx context.Context) Check { return lookUp(ctx, o.URL.Hostname()) }) != OK {
		return
	}
	front := &front{Options: o}
	defer front.close()
	if d.check(ctx, "web", o.Timeout, front.reach) != OK {
		return
	}
	d.reached = true
	d.check(ctx, "ready", o.Timeout, front.ready)
	d.check(ctx, "clock", o.Timeout, front.clock)
	trusted := true
	if front.base.Scheme == "https" {
		trusted = d.check(ctx, "certificate", o.Timeout, front.certificate) != Failed
	}
	o.URL = front.base
	known := scopeOfHost(ctx, o.URL.Hostname())
	if o.URL.Scheme == "http" && known > scopeHost {
		d.add(warning(trouble.NoHTTPS, "",
			"without https browsers give no camera and no microphone").named("certificate"))
	}
	if !trusted {
		if o.Token != nil {
			d.unsure = true
			d.check(ctx, "signaling", o.Timeout, func(context.Context) Check {
				return skipped("the certificate is not trusted, and doctor sends no token to strangers")
			})
			return
		}
		// Check the rest all the same: more than the certificate may be wrong.
		o.TLS = o.TLS.Clone()
		o.TLS.InsecureSkipVerify = true
	}
	d.signaling(ctx, o, known)
}

// lookUp resolves the host's name.
func lookUp(ctx context.Context, host string) Check {
	if _, err := netip.ParseAddr(host); err == nil {
		return ok("%s is an address", host)
	}
	start := time.Now()
	addrs, err := net.DefaultResolver.LookupNetIP(ctx, "ip", host)
	if err != nil || len(addrs) == 0 {
		var dns *net.DNSError
		if errors.As(err, &dns) && !dns.IsNotFound {
			return failed(trouble.DNSUnanswered, "", "%s can't be looked up: %v", host, reason(err))
		}
		return failed(trouble.DNSMissing, "", "the name %s does not resolve", host)
	}
	return ok("%s is %s, %s", host, joined(addrs), ms(time.Since(start)))
}

// scopeOfHost returns the widest scope of a host's addresses.
func scopeOfHost(ctx context.Context, host string) (widest scope) {
	addrs, err := net.DefaultResolver.LookupNetIP(ctx, "ip", host)
	if err != nil {
		return scopeInternet
	}
	for _, ip := range addrs {
		widest = max(widest, scopeOf(ip.Unmap()))
	}
	return widest
}

func joined(addrs []netip.Addr) string {
	const most = 4
	words := make([]string, 0, most)
	for i, ip := range addrs {
		if i == most {
			words = append(words, fmt.Sprintf("and %d more", len(addrs)-most))
			break
		}
		words = append(words, ip.Unmap().String())
	}
	return strings.Join(words, ", ")
}

// front is the web port of a box.
type front struct {
	Options
	base   *url.URL // behind redirects
	client *http.Client
	skew   time.Duration // of its clock against ours; 0 if its answer has no date
	dated  bool          // its answer has a date
	within time.Duration // the uncertainty of skew
}

func (f *front) close() {
	if f.client != nil {
		f.client.CloseIdleConnections()
	}
}

// reach asks for the version. It sends no secret, so it accepts any certificate; certificate checks
// that.
func (f *front) reach(ctx context.Context) Check {
	conf := f.TLS.Clone()
	conf.InsecureSkipVerify = true
	f.client = &http.Client{
		Transport:     &http.Transport{Proxy: http.ProxyFromEnvironment, DialContext: f.Dial, TLSClientConfig: conf},
		CheckRedirect: stay,
	}
	start := time.Now()
	resp, body, err := f.get(ctx, f.URL.JoinPath("version"))
	if err != nil {
		return f.unreachable(err)
	}
	took := time.Since(start)
	f.base = resp.Request.URL.JoinPath("..")
	f.base.RawQuery, f.base.Fragment, f.base.User = "", "", nil
	f.readDate(resp, took)
	var v struct{ Version string }
	if resp.StatusCode != http.StatusOK || json.Unmarshal(body, &v) != nil || v.Version == "" {
		switch to := resp.Header.Get("Location"); {
		case to != "" && resp.StatusCode/100 == 3:
			return failed(trouble.NotSignalbox, "name that URL if it is the box's", "%s redirects to %.200s", f.URL, to)
		case resp.StatusCode >= 500:
			return failed(trouble.Proxy, "a reverse proxy seems to find nothing behind it: check that signalbox runs "+
				"where the proxy looks for it", "%s answers %s", f.URL, resp.Status)
		}
		return failed(trouble.NotSignalbox, "check the URL; a reverse proxy must pass on every path",
			"%s answers %s, but not as a signalbox does", f.URL, resp.Status)
	}
	if f.base.Host != f.URL.Host || f.base.Scheme != f.URL.Scheme {
		return ok("signalbox %.64s in %s, redirected to %s", v.Version, ms(took), f.base)
	}
	return ok("signalbox %.64s in %s", v.Version, ms(took))
}

// stay follows only redirects to the same host that don't leave TLS. A stranger may have sent the
// redirect, and the token goes where it leads.
func stay(to *http.Request, via []*http.Request) error {
	from := via[len(via)-1].URL
	if len(via) >= 10 || to.URL.Hostname() != from.Hostname() || from.Scheme == "https" && to.URL.Scheme != "https" {
		return http.ErrUseLastResponse
	}
	return nil
}

func (f *front) get(ctx context.Context, u *url.URL) (*http.Response, []byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return nil, nil, err
	}
	resp, err := f.client.Do(req)
	if err != nil {
		return nil, nil, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, 16<<10))
	return resp, body, err
}

// readDate compares clocks. The header has whole seconds.
func (f *front) readDate(resp *http.Response, took time.Duration) {
	there, err := http.ParseTime(resp.Header.Get("Date"))
	if err != nil {
		return
	}
	f.skew, f.dated, f.within = there.Sub(time.Now().Add(-took/2)).Round(time.Second), true, took/2+time.Second
}

func (f *front) unreachable(err error) Check {
	port := f.URL.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[f.URL.Scheme]
	}
	var record tls.RecordHeaderError
	switch {
	case errors.As(err, &record), errors.Is(err, http.ErrSchemeMismatch):
		return failed(trouble.WrongScheme, "write http:// instead of https://, or give the port of web.tls_listen",
			"port %s does not speak TLS", port)
	case isRefused(err):
		return failed(trouble.NotRunning, "is signalbox running, and is "+port+" the port of web.listen or "+
			"web.tls_listen?",
			"nothing listens at %s", f.URL.Host)
	case turnclient.IsTimeout(err):
		return failed(trouble.PortClosed, "open the port: ufw allow "+port+"/tcp, and in the cloud provider's "+
			"firewall, too",
			"%s does not answer within %s", f.URL.Host, ms(f.Timeout))
	case errors.Is(err, io.EOF) || isReset(err):
		return failed(trouble.WrongScheme, "", "%s closes the connection",
			f.URL.Host)
	}
	return failed(trouble.Unreachable, "", "%s can't be reached: %v", f.URL.Host, reason(err))
}

// ready asks whether the box takes new callers.
func (f *front) ready(ctx context.Context) Check {
	resp, _, err := f.get(ctx, f.base.JoinPath("readyz"))
	switch {
	case err != nil:
		return failed(trouble.Unreachable, "run doctor again: the box may have just been stopped", "/readyz can't be "+
			"read: %v", reason(err))
	case resp.StatusCode == http.StatusServiceUnavailable:
		return failed(trouble.Draining, "",
			"the box is draining or stopping: it takes no new sessions")
	case resp.StatusCode != http.StatusOK:
		return warning(trouble.Proxy, "", "/readyz answers %s", resp.Status)
	}
	return ok("it takes new sessions")
}

func (f *front) clock(context.Context) Check {
	skew := f.skew.Abs()
	switch {
	case !f.dated:
		return skipped("the answers have no date")
	case skew > maxSkew+f.within:
		which := "ahead of"
		if f.skew < 0 {
			which = "behind"
		}
		return warning(trouble.ClockSkew, "", "the box's clock is %s %s this one", skew, which)
	}
	return ok("the box's clock and this one agree within %s", max(skew, time.Second+f.within).Round(time.Second))
}

// reason returns the innermost informative part of an error, in one line. The check itself says the
// rest in its own words.
func reason(err error) string {
	var op *net.OpError
	var bad *url.Error
	switch {
	case err == nil:
		return ""
	case errors.As(err, &op):
		err = op.Err
	case errors.As(err, &bad):
		err = bad.Err
	}
	text := strings.Join(strings.Fields(err.Error()), " ")
	if len(text) > 300 {
		text = text[:300] + "..."
	}
	return text
}
