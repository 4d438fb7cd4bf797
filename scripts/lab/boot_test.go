//go:build linux

package lab_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"signalbox/scripts/lab"
)

// Three commands put a box on the air, under the real systemd; it reloads, comes back after a
// crash, is upgraded and removed without a trace. testdata/boot/check.sh has the steps.
func TestInstalledUnderSystemd(t *testing.T) {
	lab.Require(t, "systemd-nspawn", "unshare", "curl")
	t.Parallel()
	dir := t.TempDir()
	for _, made := range []string{"layers", "pkg/scripts", "pkg/man"} {
		if err := os.MkdirAll(filepath.Join(dir, made), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for to, from := range map[string]string{
		"pkg/signalbox": lab.Binary(t), "pkg/scripts/install.sh": "../install.sh",
		"pkg/scripts/signalbox.service": "../signalbox.service", "check.sh": "testdata/boot/check.sh",
		"pkg/man/signalbox-check.8.gz": "../../LICENSE", // any file
	} {
		copied := exec.CommandContext(t.Context(), "cp", from, filepath.Join(dir, to))
		if out, err := copied.CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
	}
	out, err := exec.CommandContext(t.Context(), "unshare", "-m", "sh", "testdata/boot/boot.sh", dir).CombinedOutput()
	if err != nil || !strings.HasSuffix(string(out), "all is well\n") {
		console, _ := os.ReadFile(filepath.Join(dir, "console")) // there may be none yet
		t.Fatalf("%v\n%s\nthe console ends:\n%s", err, out, console[max(0, len(console)-4000):])
	}
	t.Logf("%s", out)
}
