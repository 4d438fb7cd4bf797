//go:build linux

package lab_test

import (
	"os/exec"
	"testing"
)

// run runs a command outside of any namespace and returns its output. A failure
// ends the test.
func run(t *testing.T, name string, args ...string) string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), name, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s %v: %v\n%s", name, args, err, out)
	}
	return string(out)
}
