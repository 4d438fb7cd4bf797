package signal

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
)

// originRule decides which web pages may talk to the hub. Browsers send Origin and let no page
// forge it. Other programs can send what they like, so the rule only protects users of browsers
// from foreign pages.
type originRule struct {
	any     bool
	origins map[string]bool        // in canonical form
	own     func(host string) bool // see Options.OwnHost
}

// CheckOrigins says what is wrong with Options.AllowedOrigins.
func CheckOrigins(allowed []string) error {
	_, err := newOriginRule(allowed, nil)
	return err
}

func newOriginRule(allowed []string, own func(host string) bool) (originRule, error) {
	if own == nil {
		own = func(string) bool { return true }
	}
	rule := originRule{origins: make(map[string]bool, len(allowed)), own: own}
	for _, entry := range allowed {
		if entry == "*" {
			rule.any = true
			continue
		}
		origin, ok := parseOrigin(entry)
		// There are no patterns: one would match nothing, unnoticed.
		if !ok || strings.Contains(origin.host, "*") {
			return originRule{}, fmt.Errorf("allowed origin %q: %s", entry, meant(entry))
		}
		rule.origins[origin.scheme+"://"+origin.host] = true
	}
	return rule, nil
}

// meant says what an entry that is no origin should be.
func meant(entry string) string {
	u, err := url.Parse(entry)
	if err == nil && u.Scheme == "" {
		u, err = url.Parse("https://" + entry)
	}
	if err == nil && u.Host != "" && !strings.Contains(u.Host, "*") {
		return fmt.Sprintf("an origin is a scheme and a host, and maybe a port: write %q", u.Scheme+"://"+u.Host)
	}
	return "want a scheme and a host, as in https://example.org, or *"
}

func (rule originRule) allows(r *http.Request) bool {
	headers := r.Header["Origin"]
	switch {
	case len(headers) == 0:
		return true
	case len(headers) > 1:
		return false // no browser does that: which of them would count?
	case rule.any:
		return true
	}
	origin, ok := parseOrigin(headers[0])
	// Not ok is "null", among others: a sandboxed frame or a file, which is nobody's page.
	return ok && rule.takes(origin, r)
}

// takes reports whether pages of an origin may make a request.
func (rule originRule) takes(origin webOrigin, r *http.Request) bool {
	// The scheme isn't compared with ours: behind a proxy that ends TLS we don't know it.
	return rule.origins[origin.scheme+"://"+origin.host] ||
		origin.host == canonicalHost(origin.scheme, r.Host) && rule.own(r.Host)
}

// refuses reports whether a request comes from a browser for a page that may not talk to the hub. A
// page's GET has no Origin if it is of the origin that it asks, which a name made to lead here (DNS
// rebinding) makes it, or if nobody is to read the answer, as an image's. Then its Referer says
// whose page it is, or if it keeps that to itself, the Host.
func (rule originRule) refuses(r *http.Request) bool {
	if len(r.Header["Origin"]) > 0 || rule.any {
		return !rule.allows(r)
	}
	switch r.Header.Get("Sec-Fetch-Site") {
	case "cross-site", "same-site":
		return true // which of the other sites or hosts it is, nobody says
	}
	if !ofBrowser(r) {
		return false
	}
	if page, err := url.Parse(r.Referer()); err == nil && page.Hostname() != "" {
		scheme := strings.ToLower(page.Scheme)
		return !rule.takes(webOrigin{scheme: scheme, host: canonicalHost(scheme, page.Host)}, r)
	}
	return !rule.own(r.Host)
}

// pageOf names the page that a request comes from, as far as it says.
func pageOf(r *http.Request) string {
	const most = 200
	page := r.Header.Get("Origin")
	if from, err := url.Parse(r.Referer()); page == "" && err == nil && from.Host != "" {
		page = from.Scheme + "://" + from.Host
	}
	return page[:min(len(page), most)]
}

// ofBrowser reports whether a browser has sent a request. Sec-Fetch-Site, which other programs
// don't send, goes only to https and to loopback; what browsers call themselves goes everywhere.
func ofBrowser(r *http.Request) bool {
	return r.Header.Get("Sec-Fetch-Site") != "" || strings.HasPrefix(r.UserAgent(), "Mozilla/")
}

// webOrigin is the triple of RFC 6454 §4; host has the port unless it is the scheme's own.
type webOrigin struct{ scheme, host string }

func parseOrigin(s string) (webOrigin, bool) {
	u, err := url.Parse(s)
	if err != nil || u.Scheme == "" || u.Hostname() == "" || u.User != nil || u.Opaque != "" ||
		u.Path != "" || u.RawQuery != "" || u.ForceQuery || u.Fragment != "" {
		return webOrigin{}, false
	}
	scheme := strings.ToLower(u.Scheme)
	return webOrigin{scheme: scheme, host: canonicalHost(scheme, u.Host)}, true
}

// canonicalHost lowers the case and drops the port that the scheme implies: "Example.org:443" and
// "example.org" are one host for https.
func canonicalHost(scheme, host string) string {
	host = strings.ToLower(host)
	switch scheme {
	case "http":
		return strings.TrimSuffix(host, ":80")
	case "https":
		return strings.TrimSuffix(host, ":443")
	}
	return host
}
