package webui

import (
	"embed"
	"fmt"
	"io/fs"
	"net/http"
)

//go:embed pages sdk static
var content embed.FS

// Options are the facts that the pages need to know of the process that serves them.
type Options struct {
	// Version is shown at the foot of every page.
	Version string
	// HTTPSPort tells the port of the TLS listener, which is known only after it is bound: it is
	// asked on each request. 0, or a nil func, means that there is none. A page without a secure
	// context names that port.
	HTTPSPort func() int
	// Trust makes the pages link to /trust, where the box's own certificate authority is: only such
	// a box has that page.
	Trust bool
}

// UI serves the pages and the SDK. Its handlers are safe for concurrent use and answer GET and HEAD
// only.
type UI struct {
	assets  *assets
	sdk     *asset
	index   *page
	call    *page
	check   *page
	admin   *page
	example *page
	trust   *page
}

// New parses the pages and prepares the assets: hashed, and compressed where that pays. It touches
// nothing outside the process.
func New(opts Options) (*UI, error) {
	static, err := fs.Sub(content, "static")
	if err != nil {
		return nil, fmt.Errorf("static files: %w", err)
	}
	modules, err := fs.Sub(content, "sdk")
	if err != nil {
		return nil, fmt.Errorf("the SDK's modules: %w", err)
	}
	assets, err := loadAssets(static, modules)
	if err != nil {
		return nil, err
	}
	ui := &UI{assets: assets, sdk: assets.files[sdkName]}
	for name, p := range map[string]**page{"index": &ui.index, "call": &ui.call, "check": &ui.check, "admin": &ui.admin,
		"example": &ui.example, "trust": &ui.trust} {
		if *p, err = loadPage(name, assets.prefix(), opts); err != nil {
			return nil, err
		}
	}
	return ui, nil
}

// Index is the start page.
func (ui *UI) Index() http.Handler { return ui.index }

// Call is the page of one room; the room's name is the last segment of the path, which the page
// reads by itself.
func (ui *UI) Call() http.Handler { return ui.call }

// Check is the verification page.
func (ui *UI) Check() http.Handler { return ui.check }

// Admin is the status page. It holds no data: those come from the admin API, with a token.
func (ui *UI) Admin() http.Handler { return ui.admin }

// Example is the smallest application on the SDK.
func (ui *UI) Example() http.Handler { return ui.example }

// Trust tells how to make a device trust the box's own certificate authority. It needs what the
// caller serves at /ca.crt, /ca.pem, /api/trust and /trust/qr.svg.
func (ui *UI) Trust() http.Handler { return ui.trust }

// Assets serves what the pages refer to; it is to be mounted at /assets/, with that prefix left in
// the request's path.
func (ui *UI) Assets() http.Handler { return ui.assets }

// SDK is the browser module, to be mounted at /signalbox.js. Whether other origins may import it
// (CORS) is the caller's matter.
func (ui *UI) SDK() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		// Applications import it by a name that never changes, so browsers must ask each time.
		ui.sdk.serve(w, r, cacheRevalidate)
	})
}
