//go:build linux

package lab_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"signalbox/scripts/lab"
)

// newerKeys are keys of the unit that systemd before 254 doesn't know; it says so and goes on.
var newerKeys = regexp.MustCompile(`(?m)^.*Unknown key.*'(RestartSteps|RestartMaxDelaySec)'.*\n`)

// systemd understands the unit, and finds little that an attacker could do in it.
func TestUnit(t *testing.T) {
	lab.Require(t, "systemd-analyze")
	text, err := os.ReadFile("../signalbox.service")
	if err != nil {
		t.Fatal(err)
	}
	unit := filepath.Join(t.TempDir(), "signalbox.service")
	here := strings.ReplaceAll(string(text), "/usr/local/bin/signalbox", lab.Binary(t))
	if err := os.WriteFile(unit, []byte(here), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"verify", unit}, {"security", "--offline=true", "--threshold=15", unit}} {
		out, err := exec.CommandContext(t.Context(), "systemd-analyze", args...).CombinedOutput()
		if err != nil || args[0] == "verify" && newerKeys.ReplaceAllString(string(out), "") != "" {
			t.Errorf("systemd-analyze %s: %v\n%s", args[0], err, out)
		}
	}
}
