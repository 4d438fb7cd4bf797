package webui

import (
	"bytes"
	"fmt"
	"html/template"
	"io/fs"
	"net/http"
	"regexp"
	"strings"
	"sync/atomic"
)

// page is one HTML document. It differs only by the https port, which rarely or never changes: the
// last rendering is kept.
type page struct {
	template *template.Template
	name     string
	facts    facts
	port     func() int
	rendered atomic.Pointer[rendering]
}

// facts is all that a template may know. Nothing else that Go decides changes a page.
type facts struct {
	Version   string
	HTTPSPort int    // 0: no TLS listener
	Assets    string // path prefix, without a slash at its end
	Trust     bool   // whether there is /trust to link to
	Docs      *docs  // of the SDK
}

type rendering struct {
	httpsPort int
	body      *asset
}

// loadPage reads pages/<name>.html together with the frame and the icons that all pages share. It
// renders the page once, so that a broken template fails at the start and not at the first visitor.
// A nil port means none.
func loadPage(files fs.FS, name string, known facts, port func() int) (*page, error) {
	parsed, err := template.ParseFS(files, "pages/frame.html", "pages/icons.html", "pages/"+name+".html")
	if err != nil {
		return nil, fmt.Errorf("page %s: %w", name, err)
	}
	if port == nil {
		port = func() int { return 0 }
	}
	p := &page{template: parsed, name: name, facts: known, port: port}
	if _, err := p.render(0); err != nil {
		return nil, err
	}
	return p, nil
}

func (p *page) render(httpsPort int) (*rendering, error) {
	if last := p.rendered.Load(); last != nil && last.httpsPort == httpsPort {
		return last, nil
	}
	known := p.facts
	known.HTTPSPort = httpsPort
	var body bytes.Buffer
	if err := p.template.ExecuteTemplate(&body, p.name+".html", known); err != nil {
		return nil, fmt.Errorf("page %s: %w", p.name, err)
	}
	file, err := newAsset(p.name+".html", body.Bytes())
	if err != nil {
		return nil, fmt.Errorf("page %s: %w", p.name, err)
	}
	fresh := &rendering{httpsPort: httpsPort, body: file}
	p.rendered.Store(fresh)
	return fresh, nil
}

func (p *page) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	now, err := p.render(p.port())
	if err != nil {
		http.Error(w, "the server could not render this page", http.StatusInternalServerError)
		return
	}
	header := w.Header()
	header.Set("Content-Security-Policy", contentSecurityPolicy(r.Host))
	header.Set("Permissions-Policy", "camera=(self), microphone=(self), display-capture=(self), geolocation=(), "+
		"payment=(), usb=()")
	header.Set("X-Frame-Options", "DENY") // for browsers that don't know frame-ancestors
	now.body.serve(w, r, cacheRevalidate)
}

// plainHost is what a Host header may look like to be repeated in a policy: a name, an IPv4 address
// or a bracketed IPv6 address, with an optional port.
var plainHost = regexp.MustCompile(`^(?:[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?$`)

// contentSecurityPolicy allows what the box itself serves, images within a document or a style
// (data:), and nothing else: no inline script or style, no frame, no other host. The WebSocket's
// origin is named because browsers before CSP level 3 don't count it as 'self'.
func contentSecurityPolicy(host string) string {
	connect := "connect-src 'self'"
	if plainHost.MatchString(host) {
		connect += " ws://" + host + " wss://" + host
	}
	return strings.Join([]string{
		"default-src 'self'",
		connect,
		"img-src 'self' data:",
		"object-src 'none'",
		"base-uri 'none'",
		"form-action 'self'",
		"frame-ancestors 'none'",
		"require-trusted-types-for 'script'",
		"trusted-types 'none'",
	}, "; ")
}
