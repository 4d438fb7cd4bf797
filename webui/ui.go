package webui

import (
	"embed"
	"fmt"
	"io/fs"
	"maps"
	"net/http"
	"net/url"
	"path"
	"slices"
	"strings"
	"sync"
)

//go:embed docs npm pages sdk static
var content embed.FS

// Options are the facts that the pages need to know of the process that serves them.
type Options struct {
	// Version is shown at the foot of every page.
	Version string
	// HTTPSPort returns the port of the TLS listener. It is called on each request, since the port
	// is known only after the listener is bound. 0, or a nil func, means that there is none. A page
	// without a secure context names that port.
	HTTPSPort func() int
	// Origin returns the origin under which other devices reach the box, such as
	// https://call.example.org: a page that is open as localhost gives away links to it. It is
	// called on each request, too. Empty, or a nil func: nobody else reaches the box.
	Origin func() string
	// Asks reports whether the box asks for a password or a token; nil: it doesn't. It is called on
	// each request.
	Asks func() bool
	// Calls says that people can be called by name, which the start page then offers.
	Calls bool
	// Trust says that the box is its own certificate authority. Only then it has the page /trust,
	// and links to it.
	Trust bool
}

// Lobby is the room in which start pages see whom they can call by name, and wait to be called. It
// should take more members than a call.
const Lobby = "names/lobby"

// UI serves the pages and the SDK. Its handlers are safe for concurrent use and answer GET and HEAD
// only.
type UI struct {
	assets  *assets
	pages   map[string]http.Handler // by pattern
	missing *page
}

// New parses the pages, joins the SDK, and prepares the assets: hashed, and compressed where that
// pays. It touches nothing outside the process.
func New(opts Options) (*UI, error) { return load(content, ownAssets, pageTable(), opts) }

// ownAssets are the same for all boxes of a process.
var ownAssets = sync.OnceValues(func() (*assets, error) { return loadAssets(content) })

func load(files fs.FS, assetsOf func() (*assets, error), table []pageRow, opts Options) (*UI, error) {
	assets, err := assetsOf()
	if err != nil {
		return nil, err
	}
	ui := &UI{assets: assets, pages: make(map[string]http.Handler)}
	docs, err := loadDocs(files)
	if err != nil {
		return nil, fmt.Errorf("the SDK's documentation: %w", err)
	}
	known := facts{Version: opts.Version, Assets: assets.prefix(), Trust: opts.Trust, Calls: opts.Calls, Docs: docs}
	if ui.missing, err = loadPage(files, "missing", known, opts.where); err != nil {
		return nil, err
	}
	for _, row := range table {
		loaded, err := loadPage(files, row.name, known, opts.where)
		if err != nil {
			return nil, err
		}
		if row.trust && !opts.Trust {
			continue
		}
		ui.pages[row.pattern] = loaded
		if slashed := row.slashed(); slashed != "" {
			ui.pages[slashed] = http.HandlerFunc(withoutSlash)
		}
		for _, pattern := range row.toStart {
			ui.pages[pattern] = http.RedirectHandler("/", http.StatusFound)
		}
	}
	return ui, nil
}

// where is asked for each request.
func (opts Options) where() (at place) {
	if opts.HTTPSPort != nil {
		at.HTTPSPort = opts.HTTPSPort()
	}
	if opts.Origin != nil {
		at.Origin = opts.Origin()
	}
	if opts.Asks != nil {
		at.Asks = opts.Asks()
	}
	return at
}

// withoutSlash leads to the same path without the slash at its end. What is escaped stays so: it
// may be a part of a room's name.
func withoutSlash(w http.ResponseWriter, r *http.Request) {
	to := url.URL{RawQuery: r.URL.RawQuery, Path: strings.TrimSuffix(r.URL.Path, "/")}
	to.RawPath = strings.TrimSuffix(r.URL.EscapedPath(), "/")
	http.Redirect(w, r, to.String(), http.StatusMovedPermanently)
}

// Pages returns the pages of this box, each by the http.ServeMux pattern to mount it at. They hold
// no data: those come over the signaling connection and from the JSON API, which the caller serves.
func (ui *UI) Pages() map[string]http.Handler { return maps.Clone(ui.pages) }

// Assets serves the files that the pages refer to. Mount it at /assets/, and leave that prefix in
// the request's path.
func (ui *UI) Assets() http.Handler { return ui.assets }

// SDK serves the browser modules, to be mounted at /signalbox.js, /signalbox-data.js,
// /signalbox-media.js and /signalbox-stats.js. Whether other origins may import them (CORS) is the
// caller's matter.
func (ui *UI) SDK() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		name := path.Base(r.URL.Path)
		if !slices.Contains(sdkNames(), name) {
			plainHeaders(w.Header())
			http.Error(w, "no such module", http.StatusNotFound)
			return
		}
		// Applications import it by a name that never changes, so browsers must ask each time.
		ui.assets.files[name].serve(w, r, cacheRevalidate)
	})
}
