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
const budget = 6 << 10

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

// Over polling, whoever says something and leaves says it first: two posts at once would end the
// session before. What is promised an answer hears that there will be none.
func TestLastWordsComeInOrder(t *testing.T) {
	t.Parallel()
	node, err := exec.LookPath("node")
	if err != nil {
		t.Fatal("this test lacks node")
	}
	file := filepath.Join(t.TempDir(), "socket.io.js")
	if err := os.WriteFile(file, []byte(Text("socket.io.js")), 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command(node, "-e", `
		const posts = [];
		let gets = 0;
		globalThis.XMLHttpRequest = class {
			open(method) { this.method = method; this.readyState = 1; }
			setRequestHeader() {}
			abort() {}
			done(text) {
				Object.assign(this, { readyState: 4, status: 200, responseText: text });
				this.onreadystatechange();
			}
			send(body) {
				const answer = (text) => setTimeout(() => this.done(text));
				if (this.method === "POST") {
					posts.push({ body, xhr: this });
					if (body === "40") answer("ok");
				} else if (gets++ === 0) answer('0{"sid":"s","upgrades":[],"pingInterval":9e4,"pingTimeout":1}');
				else if (gets === 2) answer('40{"sid":"x"}');
			}
		};
		const io = require(`+quoted(file)+`);
		const socket = io("http://box.example", { transports: ["polling"], reconnection: false });
		socket.on("connect", () => setTimeout(() => {
			try { socket.emit("file", new Blob(["x"])); } catch (error) { console.log(error.name); }
			posts.length = 0;
			socket.emit("bye");
			socket.emitWithAck("still").catch(() => console.log("no answer"));
			socket.disconnect();
			console.log(posts.map((p) => p.body).join("|"));
			posts[0].xhr.done("ok");
			console.log(posts[1].body.split("\x1e").join("|"));
			setTimeout(() => process.exit(0));
		}));`).CombinedOutput()
	const want = "TypeError\n42[\"bye\"]\n420[\"still\"]|41|1\nno answer\n"
	if err != nil || string(out) != want {
		t.Errorf("%v %s, not %s", err, out, want)
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
