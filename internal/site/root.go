package site

import (
	"net/http"
	"os"
	"path"
	"strings"

	"signalbox/internal/fault"
)

// Root serves the operator's own files: only those below its directory, wherever links lead,
// without dot files and listings.
type Root struct {
	root  *os.Root
	files http.Handler
}

// OpenRoot returns nil for an empty name.
func OpenRoot(name string) (*Root, error) {
	if name == "" {
		return nil, nil
	}
	root, err := os.OpenRoot(name)
	if err != nil {
		return nil, fault.New("web.root", "%w: make the directory, or leave the key empty", err)
	}
	return &Root{root, http.FileServerFS(root.FS())}, nil
}

func (w *Root) has(name string) bool {
	info, err := w.root.Stat(name)
	return err == nil && !info.IsDir()
}

func (w *Root) ServeHTTP(rw http.ResponseWriter, r *http.Request) {
	name := strings.TrimPrefix(path.Clean("/"+r.URL.Path), "/")
	for _, part := range strings.Split(name, "/") {
		if strings.HasPrefix(part, ".") {
			http.NotFound(rw, r)
			return
		}
	}
	if info, err := w.root.Stat(path.Join(".", name)); err == nil && info.IsDir() &&
		!w.has(path.Join(name, "index.html")) {
		http.NotFound(rw, r)
		return
	}
	rw.Header().Set("X-Content-Type-Options", "nosniff")
	w.files.ServeHTTP(rw, r)
}
