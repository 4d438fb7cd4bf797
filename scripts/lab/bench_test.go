//go:build linux

package lab_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"signalbox/scripts/lab"
)

// startCoturn runs coturn beside the box, and returns its process.
func startCoturn(t *testing.T, in *lab.Namespace, port int) (pid int) {
	t.Helper()
	dir := t.TempDir()
	config := filepath.Join(dir, "turnserver.conf")
	text := fmt.Sprintf("listening-ip=%[1]s\nrelay-ip=%[1]s\nlistening-port=%[2]d\nmin-port=30000\nmax-port=32000\n"+
		"realm=example.org\nlt-cred-mech\nuser=u:p\nfingerprint\nno-tls\nno-dtls\nno-cli\nlog-file=stdout\n"+
		"userdb=%[3]s/db\npidfile=%[3]s/pid\n", in.Public, port, dir)
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cmd := in.Command(ctx, "turnserver", "-c", config)
	if err := cmd.Start(); err != nil {
		cancel()
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cancel()
		cmd.Wait() // killed: its error says just that
	})
	at := net.JoinHostPort(in.Public, strconv.Itoa(port))
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		if conn, err := in.DialContext(t.Context(), "tcp4", at); err == nil {
			conn.Close()
			return cmd.Process.Pid // `ip netns exec` becomes what it executes
		}
		if time.Now().After(deadline) {
			t.Fatal("coturn does not start")
		}
	}
}

// TestBenchTURN has `signalbox bench turn` load the box, and coturn, from another
// host: what it sends comes back to it, by each way.
func TestBenchTURN(t *testing.T) {
	t.Parallel()
	lab.Require(t, "turnserver")
	l := lab.New(t, lab.Symmetric, lab.FullCone)
	load := l.AddHost(t, "load", 64)
	box := lab.StartServer(t, l.Server, lab.Config)
	const coturnPort = 3500
	for name, server := range map[string]struct {
		at  string
		pid int
	}{
		"box":    {box.Host(), box.PID(t)},
		"coturn": {fmt.Sprint(box.Host(), ":", coturnPort), startCoturn(t, l.Server, coturnPort)},
	} {
		for way, flags := range map[string][]string{
			"peer":        {"--to", "peer"},
			"relay":       {"--to", "relay"},
			"tcp":         {"--to", "peer", "--transport", "tcp"},
			"indications": {"--to", "peer", "--via", "send", "--load", "audio"},
		} {
			t.Run(name+" "+way, func(t *testing.T) {
				t.Parallel()
				cmd := load.Command(t.Context(), lab.Binary(t), append([]string{"bench", "turn", "--json",
					"--server", server.at, "--user", "u", "--password", "p", "--pid", strconv.Itoa(server.pid),
					"--direction", "both", "--clients", "4", "--rate", "1000", "--warm-up", "200ms",
					"--duration", "1s"}, flags...)...)
				var fault bytes.Buffer
				cmd.Stderr = &fault
				out, err := cmd.Output()
				if err != nil {
					t.Fatalf("%v\n%s", err, &fault)
				}
				var r struct {
					Ways []struct {
						Sent, Received int
						P50            float64
					}
					Process struct{ Resident int }
				}
				if err := json.Unmarshal(out, &r); err != nil {
					t.Fatalf("%v\n%s", err, out)
				}
				if len(r.Ways) != 2 || r.Process.Resident == 0 {
					t.Fatalf("it reports %s", out)
				}
				for _, w := range r.Ways {
					if w.Received == 0 || w.Received > w.Sent || w.P50 <= 0 {
						t.Errorf("%+v", w)
					}
				}
			})
		}
	}
}
