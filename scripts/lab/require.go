//go:build linux

package lab

import (
	"os"
	"os/exec"
	"strings"
	"testing"
)

// Require ends a test that can't run in a lab here, for want of root or of
// a tool: it skips the test, or fails it if SIGNALBOX_TEST_ALL is set. The lab's
// own tools need not be named, only what the test itself runs.
func Require(t testing.TB, tools ...string) {
	t.Helper()
	var missing []string
	if os.Geteuid() != 0 {
		missing = append(missing, "root (for network namespaces)")
	}
	for _, tool := range append([]string{"ip", "nft", "conntrack"}, tools...) {
		if _, err := exec.LookPath(tool); err != nil {
			missing = append(missing, tool)
		}
	}
	lack(t, missing)
}

// lack ends the test if anything is missing.
func lack(t testing.TB, missing []string) {
	t.Helper()
	if len(missing) == 0 {
		return
	}
	words := "this test needs " + strings.Join(missing, ", ") + "; scripts/test installs and runs everything"
	if os.Getenv("SIGNALBOX_TEST_ALL") != "" {
		t.Fatal(words)
	}
	t.Skip(words)
}
