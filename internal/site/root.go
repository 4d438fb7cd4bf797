package site

import (
	"io/fs"
	"net/http"
	"os"
	"path"
	"strings"

	"signalbox/internal/fault"
)

// Root serves the operator's own files: only those below its directory, wherever links lead,
// without dot files and listings. It serves regular files only: opening a named pipe would wait for
// a writer, and opening a device may do anything.
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
	return &Root{root, http.FileServerFS(regular{root})}, nil
}

func (w *Root) has(name string) bool {
	info, err := w.root.Stat(name)
	return err == nil && info.Mode().IsRegular()
}

func (w *Root) ServeHTTP(rw http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		rw.Header().Set("Allow", "GET, HEAD")
		http.Error(rw, "only GET and HEAD are answered here", http.StatusMethodNotAllowed)
		return
	}
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

// regular is a file system of regular files, and of directories that can't be listed.
type regular struct{ root *os.Root }

// Open looks before it opens, so that a device is not even touched, and again when it has, since
// another file may have come into the place. What it opens by mistake then does not wait.
func (r regular) Open(name string) (fs.File, error) {
	missing := &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
	served := func(info fs.FileInfo) bool { return info.Mode().IsRegular() || info.IsDir() }
	if info, err := r.root.Stat(name); err != nil || !served(info) {
		if err == nil {
			err = missing
		}
		return nil, err
	}
	f, err := r.root.OpenFile(name, os.O_RDONLY|doNotWait, 0)
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	switch {
	case err == nil && info.Mode().IsRegular():
		return f, nil
	case err == nil && info.IsDir():
		return struct{ fs.File }{f}, nil
	case err == nil:
		err = missing
	}
	f.Close()
	return nil, err
}
