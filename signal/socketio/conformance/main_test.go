package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestMain is the command instead, if the test of the suites starts it.
func TestMain(m *testing.M) {
	given := os.Getenv("CONFORMANCE_SERVE")
	if given == "" {
		os.Exit(m.Run())
	}
	var wait timings
	_, err := fmt.Sscan(given, (*int64)(&wait.pingInterval), (*int64)(&wait.pingTimeout), (*int64)(&wait.connect))
	if err == nil {
		err = serve("127.0.0.1:0", wait)
	}
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}

// start starts the command with such timings, and with the race detector if the test has it. It
// returns its address.
func start(t *testing.T, wait timings) string {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	command := exec.CommandContext(t.Context(), self)
	command.Env = append(os.Environ(), fmt.Sprintf("CONFORMANCE_SERVE=%d %d %d", wait.pingInterval, wait.pingTimeout,
		wait.connect))
	var log bytes.Buffer
	command.Stderr = &log
	stdout, err := command.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		command.Process.Kill() //nolint:errcheck // it has ended, then
		command.Wait()         //nolint:errcheck // it was killed
		if s := log.String(); strings.Contains(s, "DATA RACE") || strings.Contains(s, "panic") {
			t.Errorf("the server says\n%s", s)
		}
	})
	address, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(address)
}

// Every step of the published suites passes, by the names that they have there.
func TestPublishedSuites(t *testing.T) {
	t.Parallel()
	node, err := exec.LookPath("node")
	if err == nil {
		_, err = os.Stat(filepath.FromSlash("../../../scripts/lab/browser/node_modules/ws"))
	}
	switch {
	case err == nil:
	case os.Getenv("SIGNALBOX_TEST_ALL") != "":
		t.Fatal("this test lacks node, or ws (npm ci in scripts/lab/browser)")
	default:
		t.Skip("this test lacks node, or ws (npm ci in scripts/lab/browser)")
	}
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	const never = time.Hour // for what a client might not do in time on a machine that is busy
	patient, quiet := timings{published.pingInterval, never, never}, timings{never, never, never}
	command := exec.CommandContext(ctx, node, filepath.FromSlash("../testdata/published.mjs"),
		start(t, published), start(t, patient), start(t, quiet))
	var complaints bytes.Buffer
	command.Stderr = &complaints
	output, err := command.Output()
	if err != nil {
		t.Errorf("%v\n%s", err, complaints.Bytes())
	}
	cases := make(map[string]int)
	for line := range bytes.Lines(output) {
		var c struct{ Suite, Name, Error string }
		if err := json.Unmarshal(line, &c); err != nil {
			t.Fatalf("%v in %q", err, line)
		}
		cases[c.Suite]++
		t.Run(c.Suite+"/"+c.Name, func(t *testing.T) {
			if c.Error != "" {
				t.Error(c.Error)
			}
		})
	}
	for suite, want := range map[string]int{"Engine.IO 3": 23, "Engine.IO 4": 25, "Socket.IO 5": 32} {
		if cases[suite] != want {
			t.Errorf("%s: %d cases, want %d", suite, cases[suite], want)
		}
	}
}
