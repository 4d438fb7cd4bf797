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

// page is one HTML document. It differs only by the reader's language, by where the box is reached
// and by whether it asks who comes, which rarely or never change: the last rendering in each
// language is kept.
type page struct {
	template *template.Template
	name     string
	facts    facts
	where    func() place
	rendered map[string]*atomic.Pointer[rendering] // by language
}

// facts is all that a template may know. Nothing else that Go decides changes a page.
type facts struct {
	place
	Version string
	Assets  string // path prefix, without a slash at its end
	Trust   bool   // whether there is /trust to link to
	Calls   bool   // whether people can be called by name
	Docs    *docs  // of the SDK
	// Modules are the URLs of what the page's scripts import, and Language is the one that its
	// reader is likely to choose: the browser is told to load them at once.
	Modules  []string
	Language string
	Texts    string // the file of those that the page alone has (static/js/lang/*/), if any
}

// place is where the box is reached, and how.
type place struct {
	HTTPSPort int    // 0: no TLS listener
	Origin    string // by others than this machine; empty: they don't reach it
	Asks      bool   // for a password or a token
}

type rendering struct {
	at   place
	body *asset
}

// loadPage reads pages/<name>.html together with the frame and the icons that all pages share. It
// renders the page once, so that a broken template fails at the start and not at the first visitor.
func loadPage(files fs.FS, name string, known facts, where func() place) (*page, error) {
	parsed, err := template.ParseFS(files, "pages/frame.html", "pages/icons.html", "pages/"+name+".html")
	if err != nil {
		return nil, fmt.Errorf("page %s: %w", name, err)
	}
	modules, err := preloads(files, "pages/"+name+".html")
	if err != nil {
		return nil, fmt.Errorf("page %s: %w", name, err)
	}
	for _, module := range modules {
		if !strings.HasPrefix(module, "/") {
			module = known.Assets + "/" + module
		}
		known.Modules = append(known.Modules, module)
	}
	if _, err := fs.Stat(files, "static/js/lang/"+languages()[0]+"/"+name+".js"); err == nil {
		known.Texts = name
	}
	p := &page{template: parsed, name: name, facts: known, where: where}
	p.rendered = make(map[string]*atomic.Pointer[rendering])
	for _, language := range languages() {
		p.rendered[language] = new(atomic.Pointer[rendering])
		if _, err := p.render(place{}, language); err != nil {
			return nil, err
		}
	}
	return p, nil
}

// render takes one of languages().
func (p *page) render(at place, language string) (*rendering, error) {
	if last := p.rendered[language].Load(); last != nil && last.at == at {
		return last, nil
	}
	known := p.facts
	known.place, known.Language = at, language
	var body bytes.Buffer
	if err := p.template.ExecuteTemplate(&body, p.name+".html", known); err != nil {
		return nil, fmt.Errorf("page %s: %w", p.name, err)
	}
	file, err := newAsset(p.name+".html", body.Bytes(), newCompressor())
	if err != nil {
		return nil, fmt.Errorf("page %s: %w", p.name, err)
	}
	fresh := &rendering{at: at, body: file}
	p.rendered[language].Store(fresh)
	return fresh, nil
}

func (p *page) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if now, err := p.headed(w, r); err == nil {
		now.body.serve(w, r, cacheRevalidate)
	}
}

// headed renders the page as it is now, and sets what browsers may do with it. It answers an error
// itself.
func (p *page) headed(w http.ResponseWriter, r *http.Request) (*rendering, error) {
	now, err := p.render(p.where(), languageOf(r))
	if err != nil {
		http.Error(w, "the server could not render this page", http.StatusInternalServerError)
		return nil, err
	}
	header := w.Header()
	header.Add("Vary", "Accept-Language")
	header.Set("Content-Security-Policy", contentSecurityPolicy(r.Host))
	header.Set("Permissions-Policy", "camera=(self), microphone=(self), display-capture=(self), geolocation=(), "+
		"payment=(), usb=()")
	header.Set("X-Frame-Options", "DENY") // for browsers that don't know frame-ancestors
	return now, nil
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
