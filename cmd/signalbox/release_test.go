//go:build linux

package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"signalbox/internal/testkit"
)

// Who builds a release again gets the same bytes; and what it holds runs, and says which it is.
func TestLongReleaseIsReproducible(t *testing.T) {
	testkit.Long(t)
	const version = "1.2.3"
	var sums [2]string
	for i := range sums {
		dir := t.TempDir()
		cmd := exec.CommandContext(t.Context(), "../../scripts/release.sh", "--only", "linux/"+runtime.GOARCH,
			"--out", dir, version)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		text, err := os.ReadFile(filepath.Join(dir, "SHA256SUMS"))
		if err != nil {
			t.Fatal(err)
		}
		sums[i] = string(text)
		name := "signalbox-" + version + "-linux-" + runtime.GOARCH
		if out, err := exec.CommandContext(t.Context(), "tar", "-C", dir, "-xzf",
			filepath.Join(dir, name+".tar.gz")).CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		out, err := exec.CommandContext(t.Context(), filepath.Join(dir, name, "signalbox"), "version").Output()
		if err != nil || string(out) != version+"\n" {
			t.Errorf("it says that it is %q, %v", out, err)
		}
		for _, file := range []string{"man/signalbox-quickstart.8.gz", "internal/trouble/TROUBLES.md",
			"cmd/signalbox/internal/coturn/OPTIONS.md", "webui/pictures/check.webp"} {
			if _, err := os.Stat(filepath.Join(dir, name, file)); err != nil {
				t.Error(err)
			}
		}
	}
	if sums[0] != sums[1] {
		t.Errorf("two runs differ:\n%s\n%s", sums[0], sums[1])
	}
	for _, kind := range []string{".tar.gz", ".deb", ".rpm", ".cdx.json"} {
		if !strings.Contains(sums[0], kind+"\n") {
			t.Errorf("there is no %s:\n%s", kind, sums[0])
		}
	}
}
