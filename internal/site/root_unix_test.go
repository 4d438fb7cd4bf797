//go:build unix

package site

import (
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"
)

// oddDir is a directory with a file, and with all that is none.
func oddDir(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for _, sub := range []string{"pipes", "links"} {
		if err := os.Mkdir(dir+"/"+sub, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(dir+"/file.txt", []byte("a file"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"/pipe", "/pipes/index.html"} {
		if err := syscall.Mkfifo(dir+name, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for name, to := range map[string]string{"/link": "pipe", "/links/index.html": "../file.txt",
		"/null": "/dev/null"} {
		if err := os.Symlink(to, dir+name); err != nil {
			t.Fatal(err)
		}
	}
	if l, err := net.Listen("unix", dir+"/socket"); err == nil {
		t.Cleanup(func() { l.Close() })
	}
	return dir
}

// Whatever lies in web.root, only regular files are served, only to GET and HEAD, and nobody waits.
func TestAttackF10RootServesRegularFilesOnly(t *testing.T) {
	t.Parallel()
	dir := oddDir(t)
	root, err := OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer root.root.Close()
	ask := func(method, path string) *httptest.ResponseRecorder {
		t.Helper()
		w, done := httptest.NewRecorder(), make(chan struct{})
		go func() {
			defer close(done)
			root.ServeHTTP(w, httptest.NewRequest(method, path, nil))
		}()
		select {
		case <-done:
		case <-time.After(time.Minute):
			t.Fatalf("%s %s waits", method, path)
		}
		return w
	}
	for path, want := range map[string]int{
		// to /pipes/
		"/file.txt": 200, "/links/": 200, "/pipe": 404, "/link": 404, "/pipes/": 404, "/pipes/index.html": 301,
		"/socket": 404, "/null": 404, "/": 404, "/none": 404,
	} {
		for _, method := range []string{http.MethodGet, http.MethodHead} {
			// A link out of the directory is refused as a fault of the file system's.
			if got := ask(method, path).Code; got != want && (path != "/null" || got == 200) {
				t.Errorf("%s %s: %d, want %d", method, path, got, want)
			}
		}
		for _, method := range []string{http.MethodPost, http.MethodPut, http.MethodDelete, http.MethodOptions, "X"} {
			w := ask(method, path)
			if w.Code != http.StatusMethodNotAllowed || w.Header().Get("Allow") != "GET, HEAD" ||
				strings.Contains(w.Body.String(), "a file") {
				t.Errorf("%s %s: %d, Allow %q", method, path, w.Code, w.Header().Get("Allow"))
			}
		}
	}
	// The pipe may have come after the look.
	if f, err := (regular{root.root}).Open("pipe"); err == nil {
		f.Close()
		t.Error("a pipe is opened")
	}
	if root.has("pipe") || root.has("pipes") || !root.has("file.txt") {
		t.Error("what is no regular file is had")
	}
}
