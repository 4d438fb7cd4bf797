package webui

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"rsc.io/qr"
)

// The pages draw the codes that the encoder of /trust draws, module by module, in every size.
func TestQR(t *testing.T) {
	t.Parallel()
	node, err := exec.LookPath("node")
	if err != nil {
		lack(t, "node")
	}
	script, err := content.ReadFile("static/js/qr.js")
	if err != nil {
		t.Fatal(err)
	}
	script = append(script, `
for (const text of JSON.parse(process.argv[2])) {
	console.log(qr(text)?.map((row) => row.map((dark) => dark ? '#' : '.').join('')).join('/') ?? 'none');
}`...)
	file := filepath.Join(t.TempDir(), "qr.mjs")
	if err := os.WriteFile(file, script, 0o600); err != nil {
		t.Fatal(err)
	}
	texts := []string{"https://203.0.113.10:8443/call/%E8%8C%B6", "h" + strings.Repeat("x", 2331)} // too long
	for n := 10; n < 2331; n += 43 {
		texts = append(texts, "h"+strings.Repeat("x", n))
	}
	list, err := json.Marshal(texts)
	if err != nil {
		t.Fatal(err)
	}
	output, err := exec.Command(node, file, string(list)).Output()
	if err != nil {
		t.Fatal(err)
	}
	for i, got := range strings.Fields(string(output)) {
		if want := drawn(texts[i]); got != want {
			t.Errorf("a text of %d bytes is drawn as\n%s\nnot as\n%s", len(texts[i]),
				strings.ReplaceAll(got, "/", "\n"), strings.ReplaceAll(want, "/", "\n"))
		}
	}
}

func drawn(text string) string {
	code, err := qr.Encode(text, qr.M)
	if err != nil {
		return "none"
	}
	rows := make([]string, code.Size)
	for y := range rows {
		for x := range code.Size {
			if code.Black(x, y) {
				rows[y] += "#"
			} else {
				rows[y] += "."
			}
		}
	}
	return strings.Join(rows, "/")
}
