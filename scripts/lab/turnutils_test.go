//go:build linux

package lab_test

import (
	"context"
	"encoding/json"
	"net"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"signalbox/scripts/lab"
)

// iceServers is what /api/ice answers, and what a welcome holds besides others.
type iceServers struct {
	ICEServers []struct {
		URLs       []string `json:"urls"`
		Username   string   `json:"username"`
		Credential string   `json:"credential"`
	} `json:"iceServers"`
	ICEExpiresAt int64 `json:"iceExpiresAt"` // Unix milliseconds
}

// credential returns the username and password that come with the TURN servers.
func (s iceServers) credential(t *testing.T) (username, password string) {
	t.Helper()
	for _, server := range s.ICEServers {
		if server.Username != "" {
			return server.Username, server.Credential
		}
	}
	t.Fatalf("no credential among %+v", s)
	return "", ""
}

// fetchICE asks /api/ice for servers and a credential.
func fetchICE(t *testing.T, in *lab.Namespace, server *lab.Server) iceServers {
	t.Helper()
	resp, err := in.Client().Get(server.HTTPS + "/api/ice")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var got iceServers
	if err := json.NewDecoder(resp.Body).Decode(&got); err != nil {
		t.Fatalf("/api/ice: %s: %v", resp.Status, err)
	}
	return got
}

// TestTurnutils has coturn's client, which shares no line with us, pass its data
// through the box: between two of its own allocations, and to coturn's echo.
func TestTurnutils(t *testing.T) {
	t.Parallel()
	lab.Require(t, "turnutils_uclient", "turnutils_peer")
	l := lab.New(t, lab.Symmetric, lab.FullCone)
	const secret = "a secret that programs share"
	server := lab.StartServer(t, l.Server, lab.Config, "--set", "turn.secret="+secret,
		"--set", "turn.limits.per_user=0")

	t.Run("static user", func(t *testing.T) {
		t.Parallel()
		clientToClient(t, l, "u", "p")
	})

	t.Run("credential of api ice", func(t *testing.T) {
		t.Parallel()
		username, password := fetchICE(t, l.A, server).credential(t)
		clientToClient(t, l, username, password)
	})

	t.Run("credential of a hub session", func(t *testing.T) {
		t.Parallel()
		username, password := helloAndJoin(t, l.A, server, "turnutils").credential(t)
		clientToClient(t, l, username, password)
	})

	t.Run("what else it can do", func(t *testing.T) {
		t.Parallel()
		for name, flags := range map[string][]string{
			"many clients":       {"-y", "-m", "10"},
			"many over TCP":      {"-t", "-y", "-m", "10"},
			"many over TLS":      {"-t", "-S", "-p", "8443", "-y", "-m", "10"},
			"TLS, Send":          {"-t", "-S", "-p", "8443", "-y", "-m", "2", "-s"},
			"padded channels":    {"-y", "-m", "2", "-D", "-l", "101"},
			"additional queries": {"-y", "-m", "2", "-G"},
			"no RTCP":            {"-y", "-m", "2", "-c"},
			"asks for IPv4":      {"-y", "-m", "2", "-X"},
			"whole packets":      {"-y", "-m", "2", "-g", "-l", "1300"},
			"negative tests":     {"-y", "-m", "2", "-N"},
		} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				uclient(t, l.A, "u", "p", flags...)
			})
		}
	})

	t.Run("credential that it mints", func(t *testing.T) {
		t.Parallel()
		uclient(t, l.A, "ann", "", "-W", secret, "-y", "-m", "2")
		out, err := runUclient(t, l.A, "ann", "", "-W", "a secret of its own", "-y")
		if err == nil || !strings.Contains(out, "Cannot complete Allocation") {
			t.Errorf("with another secret it ends with %v:\n%s", err, out)
		}
	})

	t.Run("to a peer of its own", func(t *testing.T) {
		t.Parallel()
		startPeer(t, l.B, lab.AddrB)
		for _, transport := range transports {
			t.Run(transport.name, func(t *testing.T) {
				t.Parallel()
				uclient(t, l.A, "u", "p", append(slices.Clone(transport.flags), "-e", lab.AddrNATB, "-r", peerPort)...)
			})
		}
	})

	t.Run("wrong password", func(t *testing.T) {
		t.Parallel()
		out, err := runUclient(t, l.A, "u", "wrong", "-y")
		if err == nil || !strings.Contains(out, "Cannot complete Allocation") {
			t.Errorf("turnutils_uclient ends with %v:\n%s", err, out)
		}
	})
}

var transports = []struct {
	name  string
	flags []string
}{
	{"udp", []string{"-p", "3478"}},
	{"tcp", []string{"-t", "-p", "3478"}},
	{"tls on the port of the pages", []string{"-t", "-S", "-p", "8443"}},
	{"tls on the plain port", []string{"-t", "-S", "-p", "3478"}},
	{"udp, Send", []string{"-p", "3478", "-s"}},
	{"tcp, Send", []string{"-t", "-p", "3478", "-s"}},
	{"udp, DONT-FRAGMENT", []string{"-p", "3478", "-g"}},
}

func clientToClient(t *testing.T, l *lab.Lab, username, password string) {
	for _, transport := range transports {
		t.Run(transport.name, func(t *testing.T) {
			t.Parallel()
			uclient(t, l.A, username, password, append(slices.Clone(transport.flags), "-y", "-m", "2")...)
		})
	}
}

// uclient runs coturn's client and fails the test unless each of its messages
// came back.
func uclient(t *testing.T, in *lab.Namespace, username, password string, flags ...string) {
	t.Helper()
	out, err := runUclient(t, in, username, password, flags...)
	if err != nil {
		t.Fatalf("turnutils_uclient: %v\n%s", err, out)
	}
	totals := regexp.MustCompile(`tot_send_msgs=(\d+), tot_recv_msgs=(\d+)`).FindAllStringSubmatch(out, -1)
	if totals == nil {
		t.Fatalf("turnutils_uclient says nothing of messages:\n%s", out)
	}
	last := totals[len(totals)-1]
	sent, _ := strconv.Atoi(last[1])
	received, _ := strconv.Atoi(last[2])
	if sent == 0 || received != sent {
		t.Errorf("%d messages of %d came through\n%s", received, sent, out)
	}
	t.Logf("%d messages, all came through", sent)
}

func runUclient(t *testing.T, in *lab.Namespace, username, password string, flags ...string) (string, error) {
	t.Helper()
	// It does not give up by itself.
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	args := append(slices.Clone(flags), "-u", username, "-w", password, "-n", "10", lab.AddrServer)
	out, err := in.Command(ctx, "turnutils_uclient", args...).CombinedOutput()
	return string(out), err
}

const peerPort = "3480"

// startPeer runs coturn's echo for relays on an address.
func startPeer(t *testing.T, in *lab.Namespace, at string) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	cmd := in.Command(ctx, "turnutils_peer", "-L", at, "-p", peerPort)
	if err := cmd.Start(); err != nil {
		cancel()
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cancel()
		cmd.Wait() // killed: its error says just that
	})
	// Once it echoes, it is there.
	for deadline := time.Now().Add(30 * time.Second); ; {
		conn, err := in.DialContext(t.Context(), "udp", net.JoinHostPort(at, peerPort))
		if err != nil {
			t.Fatal(err)
		}
		conn.Write([]byte("there?"))
		conn.SetReadDeadline(time.Now().Add(100 * time.Millisecond))
		_, err = conn.Read(make([]byte, 16))
		conn.Close()
		if err == nil {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("turnutils_peer does not echo: %v", err)
		}
	}
}

// helloAndJoin opens a session with the hub, joins a room, and keeps the session
// for the rest of the test.
func helloAndJoin(t *testing.T, in *lab.Namespace, server *lab.Server, room string) iceServers {
	t.Helper()
	m := hello(t, in, server, "turnutils", nil)
	m.join(room)
	return m.iceServers
}
