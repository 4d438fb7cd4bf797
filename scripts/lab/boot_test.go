//go:build linux

package lab_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"signalbox/internal/testkit"
	"signalbox/scripts/lab"
)

// Three commands put a box on the air, under the real systemd; it reloads under a running relay,
// comes back after a crash, is upgraded and removed without a trace. testdata/boot/check.sh has the
// steps.
func TestInstalledUnderSystemd(t *testing.T) {
	lab.Require(t, "systemd-nspawn", "unshare", "curl")
	t.Parallel()
	boot(t, "testdata/boot/check.sh", map[string]string{
		"signalbox": lab.Binary(t), "scripts/install.sh": "../install.sh",
		"scripts/signalbox.service": "../signalbox.service",
		"man/signalbox-check.8.gz":  "../../LICENSE", // any file
	})
}

// Debian's package does the same, and keeps what there is over an upgrade: the steps are in
// testdata/boot/check_deb.sh.
func TestLongPackageUnderSystemd(t *testing.T) {
	testkit.Long(t)
	lab.Require(t, "systemd-nspawn", "unshare", "curl", "dpkg")
	files := map[string]string{}
	for _, version := range []string{"1.2.3", "1.2.4"} {
		dir := t.TempDir()
		made := exec.CommandContext(t.Context(), "../release.sh", "--only", "linux/"+runtime.GOARCH, "--out", dir,
			version)
		if out, err := made.CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		name := "signalbox_" + version + "_" + runtime.GOARCH + ".deb"
		files[version+".deb"] = filepath.Join(dir, name)
	}
	boot(t, "testdata/boot/check_deb.sh", files)
}

// boot runs a script in a machine of its own that runs systemd, with these files at /pkg.
func boot(t *testing.T, script string, files map[string]string) {
	t.Helper()
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "layers"), 0o755); err != nil {
		t.Fatal(err)
	}
	copied := func(from, to string) {
		if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
			t.Fatal(err)
		}
		if out, err := exec.CommandContext(t.Context(), "cp", from, to).CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
	}
	copied(script, filepath.Join(dir, "check.sh"))
	for to, from := range files {
		copied(from, filepath.Join(dir, "pkg", to))
	}
	out, err := exec.CommandContext(t.Context(), "unshare", "-m", "sh", "testdata/boot/boot.sh", dir).CombinedOutput()
	if err != nil || !strings.HasSuffix(string(out), "all is well\n") {
		console, _ := os.ReadFile(filepath.Join(dir, "console")) // there may be none yet
		t.Fatalf("%v\n%s\nthe console ends:\n%s", err, out, console[max(0, len(console)-4000):])
	}
	t.Logf("%s", out)
}
