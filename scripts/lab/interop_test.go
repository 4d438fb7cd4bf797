//go:build linux

package lab_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"signalbox/scripts/lab"
)

// A maker is somebody else's implementation of WebRTC, as a program that opens
// one end of a data channel.
type maker struct {
	name    string
	command []string
}

var (
	// Debian's Python, which has its packages
	aiortc      = maker{"aiortc", []string{"/usr/bin/python3", "aiortc_peer.py"}}
	datachannel = maker{"libdatachannel", []string{"node", filepath.Join("browser", "datachannel.mjs")}}
)

// requireMakers does for this file what [lab.Require] does for labs.
func requireMakers(t *testing.T) {
	t.Helper()
	var missing []string
	if exec.Command(aiortc.command[0], "-c", "import aiortc").Run() != nil {
		missing = append(missing, "python3-aiortc")
	}
	if _, err := os.Stat(filepath.Join("browser", "node_modules", "node-datachannel")); err != nil {
		missing = append(missing, "node-datachannel (npm ci in scripts/lab/browser)")
	}
	lab.Require(t, missing...) // what is not installed is no command either
}

// TestInterop has clients of others' making reach one another through the box,
// with credentials that reach nothing but its relays, from behind NATs that let
// nothing else through.
func TestInterop(t *testing.T) {
	t.Parallel()
	requireMakers(t)
	l := lab.New(t, lab.Symmetric, lab.Symmetric)
	server := lab.StartServer(t, l.Server, lab.Config)
	for _, tt := range []struct {
		name            string
		offer, answer   maker
		offers, answers string // transports
		mode            lab.NAT
	}{
		{"aiortc calls libdatachannel", aiortc, datachannel, "udp", "udp", lab.Symmetric},
		{"libdatachannel calls aiortc", datachannel, aiortc, "udp", "udp", lab.Symmetric},
		{"aiortc calls aiortc over tcp", aiortc, aiortc, "tcp", "tcp", lab.Symmetric},
		{"aiortc, without UDP, calls libdatachannel", aiortc, datachannel, "tcp", "udp", lab.UDPBlocked},
	} {
		t.Run(tt.name, func(t *testing.T) {
			l.SetNAT(t, l.NATA, tt.mode)
			offer := startMaker(t, l.A, server, tt.offer, "offer", tt.offers)
			answer := startMaker(t, l.B, server, tt.answer, "answer", tt.answers)
			answer.write(offer.read())
			offer.write(answer.read())
			if got := string(offer.read()); got != `{"echoed": 100}` && got != `{"echoed":100}` {
				t.Errorf("%s says %s", tt.offer.name, got)
			}
		})
	}
}

// end is one end of a data channel, which a maker's program holds.
type end struct {
	t     *testing.T
	maker maker
	stdin io.WriteCloser
	lines chan []byte
}

func startMaker(t *testing.T, in *lab.Namespace, server *lab.Server, m maker, role, transport string) *end {
	t.Helper()
	username, credential := fetchICE(t, in, server).credential(t)
	options, err := json.Marshal(map[string]any{
		"role": role, "host": lab.AddrServer, "port": 3478, "transport": transport, "username": username,
		"credential": credential,
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, kill := context.WithCancel(context.Background())
	args := append(m.command[1:len(m.command):len(m.command)], string(options))
	cmd := in.Command(ctx, m.command[0], args...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		kill()
		t.Fatal(err)
	}
	e := &end{t: t, maker: m, stdin: stdin, lines: make(chan []byte, 4)}
	go func() {
		defer close(e.lines)
		for scanner := bufio.NewScanner(stdout); scanner.Scan(); {
			e.lines <- bytes.Clone(scanner.Bytes())
		}
	}()
	t.Cleanup(func() {
		stdin.Close()
		stuck := time.AfterFunc(10*time.Second, kill)
		for range e.lines { // Wait closes the pipe, so that it comes after the last read
		}
		err := cmd.Wait()
		if !stuck.Stop() {
			t.Errorf("%s does not end with its input", m.name)
		}
		kill()
		if err != nil || t.Failed() {
			t.Errorf("%s ends with %v:\n%s", m.name, err, &stderr)
		}
	})
	return e
}

func (e *end) write(line []byte) {
	e.t.Helper()
	if _, err := e.stdin.Write(append(line, '\n')); err != nil {
		e.t.Fatalf("write to %s: %v", e.maker.name, err)
	}
}

func (e *end) read() []byte {
	e.t.Helper()
	select {
	case line, ok := <-e.lines:
		if !ok {
			e.t.Fatalf("%s has ended", e.maker.name)
		}
		return line
	case <-time.After(30 * time.Second):
		e.t.Fatalf("%s says nothing", e.maker.name)
	}
	return nil
}
