package socketio

import (
	"bufio"
	"context"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"signalbox/signal"
	"signalbox/signal/socketio/script"
)

// newBox serves Socket.IO. It returns its URL.
func newBox(t testing.TB, hub signal.Options, o Options) (string, *signal.Hub) {
	t.Helper()
	h, err := signal.New(hub)
	if err != nil {
		t.Fatal(err)
	}
	web := httptest.NewServer(New(h, o))
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := h.Close(ctx); err != nil {
			t.Errorf("close: %v", err)
		}
		web.Close()
	})
	return web.URL, h
}

// npm finds a package that npm has installed, and node.
func npm(t testing.TB, name string) (node, module string) {
	t.Helper()
	node, err := exec.LookPath("node")
	if err == nil {
		module, err = filepath.Abs("../../scripts/lab/browser/node_modules/" + name)
	}
	if err == nil {
		_, err = os.Stat(module)
	}
	switch {
	case err == nil:
		return node, module
	case os.Getenv("SIGNALBOX_TEST_ALL") != "":
		t.Fatalf("this test lacks node, or %s (npm ci in scripts/lab/browser)", name)
	default:
		t.Skipf("this test lacks node, or %s (npm ci in scripts/lab/browser)", name)
	}
	return "", ""
}

// own is the client that the box serves.
const own = "own"

// ownClient writes that client to a file.
func ownClient(t testing.TB) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "socket.io.js")
	if err := os.WriteFile(file, []byte(script.Text("socket.io.js")), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// run has a client of npm's do what flows say.
func run(t testing.TB, client, url, transports string, flows ...string) {
	t.Helper()
	var module string
	env := os.Environ()
	node, socket := npm(t, "ws")
	if client == own {
		module, env = ownClient(t), append(env, "WEBSOCKET="+socket)
	} else {
		_, module = npm(t, client)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*patience)
	defer cancel()
	command := exec.CommandContext(ctx, node, "testdata/flow.cjs", module, url, transports)
	command.Env = env
	for _, flow := range flows {
		command.Args = append(command.Args, filepath.Join("testdata", "flows", flow+".txt"))
	}
	if output, err := command.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, output)
	}
}

// Clients of every age get on each row, over each transport, what the tutorials' servers told them,
// and what they did better.
func TestClientsOfEveryAge(t *testing.T) {
	t.Parallel()
	for _, client := range []string{"socket.io-client-2", "socket.io-client-3", "socket.io-client", own} {
		for _, transports := range []string{`["polling"]`, `["websocket"]`, `["polling","websocket"]`} {
			t.Run(client+transports, func(t *testing.T) {
				t.Parallel()
				url, _ := newBox(t, signal.Options{}, Options{Capacity: 128, Relay: true})
				run(t, client, url, transports, "create-or-join", "vjoin", "join", "join-room", "relay")
			})
		}
	}
}

// serving starts a server of another process, which says its port and serves as long as its input
// is open.
func serving(t *testing.T, server *exec.Cmd) (address string, stop func()) {
	t.Helper()
	stdin, err := server.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := server.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	stop = func() {
		stdin.Close()
		server.Wait() //nolint:errcheck // it has done its work
	}
	port, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		stop()
		t.Fatal(err)
	}
	return "127.0.0.1:" + strings.TrimSpace(port), stop
}

// The same flow passes on npm's own server.
func TestOriginalServer(t *testing.T) {
	t.Parallel()
	node, module := npm(t, "socket.io")
	server := exec.CommandContext(t.Context(), node, "testdata/course.cjs", module)
	address, stop := serving(t, server)
	defer stop()
	theirs := "http://" + address
	for _, client := range []string{"socket.io-client", own} {
		for _, transports := range []string{`["polling"]`, `["websocket"]`, `["polling","websocket"]`} {
			run(t, client, theirs, transports, "join-original")
			url, _ := newBox(t, signal.Options{}, Options{})
			run(t, client, url, transports, "join-original")
		}
	}
}

// The box's own client does what pages expect of one, against npm's server.
func TestOwnClient(t *testing.T) {
	t.Parallel()
	node, module := npm(t, "socket.io")
	_, socket := npm(t, "ws")
	command := exec.CommandContext(t.Context(), node, "testdata/client.cjs", ownClient(t), module)
	command.Env = append(os.Environ(), "WEBSOCKET="+socket)
	if output, err := command.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, output)
	}
}
