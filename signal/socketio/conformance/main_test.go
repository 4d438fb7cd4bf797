package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestMain is the command instead, if the test of the suites starts it.
func TestMain(m *testing.M) {
	if os.Getenv("CONFORMANCE_SERVE") == "" {
		os.Exit(m.Run())
	}
	os.Args = []string{os.Args[0], "127.0.0.1:0"}
	main()
}

// start starts the command, with the race detector if the test has it. It returns its address.
func start(t *testing.T) string {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	command := exec.CommandContext(t.Context(), self)
	command.Env = append(os.Environ(), "CONFORMANCE_SERVE=1")
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
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	command := exec.CommandContext(ctx, node, filepath.FromSlash("../testdata/published.mjs"), start(t))
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
