package webui

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"path"
	"strconv"
	"strings"
	"time"
)

const (
	assetsRoot = "/assets/"

	cacheRevalidate = "no-cache"
	cacheForever    = "public, max-age=31536000, immutable"
)

// sdkNames are the modules of the SDK, as applications import them.
func sdkNames() []string {
	return []string{"signalbox.js", "signalbox-data.js", "signalbox-media.js", "signalbox-stats.js"}
}

// assets are the files of static/, unchanged, and the SDK, joined from its parts. They are
// immutable once loaded.
//
// Pages refer to /assets/v-<hash of all files>/js/..., so that a script's relative imports stay
// within one version and all of them can be cached for good. The same files without that segment,
// or with an older one (a page that was open during an upgrade), are the current ones and are
// revalidated. So is the SDK, which scripts import from /signalbox.js, /signalbox-data.js,
// /signalbox-media.js and /signalbox-stats.js as applications do.
type assets struct {
	files map[string]*asset
	hash  string
}

// asset is one file in the representations that a client may be given.
type asset struct {
	contentType string
	plain       representation
	gzip        representation // empty where it would save nothing
}

type representation struct {
	body []byte
	etag string // strong: each representation has its own (RFC 9110 §8.8.3)
}

// contentType is a table of our own, since that of package mime depends on files of the host.
func contentType(name string) (string, error) {
	switch path.Ext(name) {
	case ".html":
		return "text/html; charset=utf-8", nil
	case ".js":
		return "text/javascript; charset=utf-8", nil
	case ".ts":
		return "text/plain; charset=utf-8", nil
	case ".css":
		return "text/css; charset=utf-8", nil
	case ".svg":
		return "image/svg+xml", nil
	}
	return "", fmt.Errorf("static file %s: its extension has no known content type", name)
}

// loadAssets prepares the static files, and with them the SDK, which is joined from its parts.
func loadAssets(content fs.FS) (*assets, error) {
	files, err := fs.Sub(content, "static")
	if err != nil {
		return nil, fmt.Errorf("static files: %w", err)
	}
	sdk, err := fs.Sub(content, "sdk")
	if err != nil {
		return nil, fmt.Errorf("the SDK's modules: %w", err)
	}
	a := &assets{files: make(map[string]*asset)}
	compress := newCompressor()
	tree := sha256.New()
	add := func(name string, body []byte) (err error) {
		if a.files[name], err = newAsset(name, body, compress); err != nil {
			return err
		}
		fmt.Fprintf(tree, "%s\x00%s\x00", name, a.files[name].plain.etag)
		return nil
	}
	// WalkDir goes in lexical order, so the same tree has the same hash in every build.
	err = fs.WalkDir(files, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		body, err := fs.ReadFile(files, name)
		if err != nil {
			return err
		}
		return add(name, body)
	})
	if err != nil {
		return nil, fmt.Errorf("load static files: %w", err)
	}
	joined, err := join(sdk, sdkNames()...)
	if err != nil {
		return nil, fmt.Errorf("join the SDK: %w", err)
	}
	for _, name := range sdkNames() {
		packed, err := pack(string(joined[name]))
		if err != nil {
			return nil, err
		}
		if err := add(name, packed); err != nil {
			return nil, fmt.Errorf("load the SDK: %w", err)
		}
	}
	a.hash = hex.EncodeToString(tree.Sum(nil)[:6])
	return a, nil
}

// prefix is the path under which browsers may cache this version of the tree for ever, without a
// slash at its end.
func (a *assets) prefix() string { return assetsRoot + "v-" + a.hash }

func (a *assets) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	name := strings.TrimPrefix(r.URL.Path, assetsRoot)
	cache := cacheRevalidate
	if version, rest, ok := strings.Cut(name, "/"); ok && strings.HasPrefix(version, "v-") {
		name = rest
		if version == "v-"+a.hash {
			cache = cacheForever
		}
	}
	file := a.files[name]
	if file == nil {
		plainHeaders(w.Header())
		http.Error(w, "no such file", http.StatusNotFound)
		return
	}
	w.Header().Set("Cross-Origin-Resource-Policy", "same-origin")
	file.serve(w, r, cache)
}

// newCompressor returns a function that compresses one text after the other.
func newCompressor() func(text []byte) []byte {
	zw, err := gzip.NewWriterLevel(io.Discard, gzip.BestCompression)
	if err != nil {
		panic(err) // it knows the level
	}
	return func(text []byte) []byte {
		var packed bytes.Buffer
		zw.Reset(&packed)
		zw.Write(text) //nolint:errcheck // a buffer takes everything
		zw.Close()
		return packed.Bytes()
	}
}

func newAsset(name string, body []byte, compress func([]byte) []byte) (*asset, error) {
	ctype, err := contentType(name)
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(body)
	tag := base64.RawURLEncoding.EncodeToString(sum[:12])
	file := &asset{contentType: ctype, plain: representation{body: body, etag: `"` + tag + `"`}}
	if packed := compress(body); len(packed) < len(body) {
		file.gzip = representation{body: packed, etag: `"` + tag + `-gz"`}
	}
	return file, nil
}

// serve answers GET and HEAD, and 304 where the client already holds what it would be sent.
func (file *asset) serve(w http.ResponseWriter, r *http.Request, cache string) {
	header := w.Header()
	plainHeaders(header)
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		header.Set("Allow", "GET, HEAD")
		http.Error(w, "use GET or HEAD", http.StatusMethodNotAllowed)
		return
	}
	header.Set("Content-Type", file.contentType)
	header.Set("Cache-Control", cache)
	chosen := file.plain
	if len(file.gzip.body) > 0 {
		header.Add("Vary", "Accept-Encoding")
		if acceptsGzip(r.Header.Values("Accept-Encoding")) {
			chosen = file.gzip
			header.Set("Content-Encoding", "gzip")
		}
	}
	header.Set("ETag", chosen.etag)
	// ServeContent knows conditional and range requests; the zero time leaves Last-Modified out.
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(chosen.body))
}

// acceptsGzip reads Accept-Encoding (RFC 9110 §12.5.3): gzip counts unless its weight is zero.
func acceptsGzip(values []string) bool {
	for _, coding := range strings.Split(strings.Join(values, ","), ",") {
		name, params, _ := strings.Cut(coding, ";")
		if !strings.EqualFold(strings.TrimSpace(name), "gzip") {
			continue
		}
		weight, found := strings.CutPrefix(strings.ReplaceAll(strings.ToLower(params), " ", ""), "q=")
		if !found {
			return true
		}
		q, err := strconv.ParseFloat(weight, 64)
		return err == nil && q > 0
	}
	return false
}

func plainHeaders(header http.Header) {
	header.Set("X-Content-Type-Options", "nosniff")
	header.Set("Referrer-Policy", "no-referrer")
}
