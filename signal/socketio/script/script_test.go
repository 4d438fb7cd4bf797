package script

import (
	"bytes"
	"compress/gzip"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// budget is how many bytes the client may have, shrunk and compressed. npm's has 14 kB.
const budget = 6000

// The client is small, is what pages and modules can load, and can be replaced by the operator's.
func TestScripts(t *testing.T) {
	t.Parallel()
	var packed bytes.Buffer
	z, _ := gzip.NewWriterLevel(&packed, gzip.BestCompression)
	z.Write([]byte(Text("socket.io.min.js"))) //nolint:errcheck // to memory
	z.Close()
	if packed.Len() > budget {
		t.Errorf("%d bytes", packed.Len())
	}
	t.Logf("%d bytes", packed.Len())
	node, err := exec.LookPath("node")
	if err != nil {
		t.Skip("this test lacks node")
	}
	dir := t.TempDir()
	for _, name := range Names() {
		file := filepath.Join(dir, strings.ReplaceAll(name, "esm.min.js", "esm.min.mjs"))
		if err := os.WriteFile(file, []byte(Text(name)), 0o600); err != nil {
			t.Fatal(err)
		}
		load := "const io = require(" + quoted(file) + ");"
		if strings.HasSuffix(file, "mjs") {
			load = "import d, { io, Manager } from " + quoted(file) + "; if (d !== io || !Manager) throw 1;"
		}
		kind := "--input-type=" + map[bool]string{true: "module", false: "commonjs"}[strings.HasSuffix(file, "mjs")]
		out, err := exec.Command(node, kind, "-e", load+"console.log(io.protocol, typeof io.connect)").CombinedOutput()
		if err != nil || string(out) != "5 function\n" {
			t.Errorf("%s: %v %s", name, err, out)
		}
	}
}

// The operator's folder goes before what is built in.
func TestOperatorsFolder(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "socket.io.js"), []byte("theirs"), 0o600); err != nil {
		t.Fatal(err)
	}
	w := httptest.NewRecorder()
	Handler(dir, "socket.io.js").ServeHTTP(w, httptest.NewRequest("GET", "/socket.io/socket.io.js", nil))
	if w.Code != 200 || w.Body.String() != "theirs" {
		t.Errorf("got %d", w.Code)
	}
}

func quoted(s string) string { return `"` + s + `"` }
