//go:build linux

package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// server is one of those that are compared.
type server struct {
	name  string
	port  int
	tls   int                            // the port of TURN over TLS; 0: it has none
	flags []string                       // of the load
	args  func(r *rig) ([]string, error) // the command line
	cmd   *exec.Cmd
}

// tlsAbove is how far the box's port of TURN over TLS is above that of TURN.
const tlsAbove = 5349 - 3478

// comparisons are all that is compared. The first server of each is the one that the others are
// compared with.
func comparisons(peers int) []comparison {
	login := []string{"--user", "u", "--password", "p", "--peers", strconv.Itoa(peers)}
	relays := []*server{
		{name: "coturn", port: 3479, tls: 5350, flags: login, args: coturnArgs},
		{name: "signalbox", port: 3478, tls: 5349, flags: login, args: boxArgs("relay", 8080, 3478)},
		{name: "pion", port: 3480, tls: 5351, flags: login, args: func(r *rig) ([]string, error) {
			return []string{filepath.Join(r.dir, "pion"), serverIP, "3480", "5351", r.certificate(), r.key()}, nil
		}},
	}
	socketIO := []string{"--dialect", "socketio"}
	hubs := []*server{
		{name: "Socket.IO", port: 3000, flags: socketIO, args: socketIOArgs},
		{name: "signalbox", port: 8081, flags: socketIO, args: boxArgs("socketio", 8081, 3481)},
		{name: "signalbox.v1", port: 8082, args: boxArgs("native", 8082, 3482)},
	}
	return []comparison{{"turn", relays, works()}, {"signal", hubs, talks()}}
}

// socketIOArgs runs npm's server.
func socketIOArgs(*rig) ([]string, error) {
	node, err := exec.LookPath("node")
	if err != nil {
		return nil, fmt.Errorf("there is no node: %w", err)
	}
	const module = "scripts/lab/browser/node_modules/socket.io"
	if _, err := os.Stat(module); err != nil {
		return nil, fmt.Errorf("there is no socket.io: npm ci in scripts/lab/browser: %w", err)
	}
	return []string{node, "signal/socketio/testdata/load.cjs", "../../../" + module, serverIP, "3000"}, nil
}

// boxArgs runs a box of that name, with these ports for HTTP and for TURN.
func boxArgs(name string, web, turn int) func(r *rig) ([]string, error) {
	return func(r *rig) ([]string, error) {
		file := filepath.Join(r.dir, name+".toml")
		return []string{filepath.Join(r.dir, "signalbox"), "serve", "-c", file, "--state", filepath.Join(r.dir, name)},
			os.WriteFile(file, []byte(r.boxConfig(web, turn)), 0o600)
	}
}

func (r *rig) boxConfig(web, turn int) string {
	return fmt.Sprintf(`
public_ip = %[1]q
[web]
listen = "%[1]s:%[2]d"
tls_listen = ""
[tls]
mode = "files"
cert = %[4]q
key = %[5]q
[signal]
rate = 1000000
sessions_per_source = 0
[turn]
listen = ["%[1]s:%[3]d", "tls/%[1]s:%[6]d"]
relay_ports = "40000-64000"
allow_peers = ["198.18.0.0/15"]
[[turn.users]]
name = "u"
password = "p"
[turn.limits]
per_user = 20000
per_source = 20000
connections_per_source = 16384
`, serverIP, web, turn, r.certificate(), r.key(), turn+tlsAbove)
}

// coturnArgs takes COTURN from the environment: a path, and flags behind it.
func coturnArgs(r *rig) ([]string, error) {
	program := strings.Fields(os.Getenv("COTURN"))
	if len(program) == 0 {
		program = []string{"turnserver"}
	}
	if _, err := exec.LookPath(program[0]); err != nil {
		return nil, fmt.Errorf("there is no coturn: install it, or name its turnserver in COTURN: %w", err)
	}
	file := filepath.Join(r.dir, "turnserver.conf")
	text := fmt.Sprintf("listening-ip=%[1]s\nrelay-ip=%[1]s\nlistening-port=3479\nmin-port=15000\nmax-port=39000\n"+
		"relay-threads=1\nrealm=example.org\nlt-cred-mech\nuser=u:p\nfingerprint\nno-dtls\nno-cli\n"+
		"tls-listening-port=5350\ncert=%[3]s\npkey=%[4]s\n"+
		"log-file=stdout\nuserdb=%[2]s/turndb\npidfile=%[2]s/turn.pid\n", serverIP, r.dir, r.certificate(), r.key())
	return append(program, "-c", file), os.WriteFile(file, []byte(text), 0o600)
}

// start runs the server until stop.
func (s *server) start(r *rig) error {
	args, err := s.args(r)
	if err != nil {
		return err
	}
	log, err := os.Create(filepath.Join(r.dir, s.name+".log"))
	if err != nil {
		return err
	}
	defer log.Close()
	s.cmd = r.in(context.Background(), r.server, args...)
	s.cmd.Stdout, s.cmd.Stderr = log, log
	if err := s.cmd.Start(); err != nil {
		s.cmd = nil
		return err
	}
	if err := r.awaitTCP(s.port); err != nil {
		text, _ := os.ReadFile(log.Name())
		return fmt.Errorf("%s does not start: %w\n%s", s.name, err, text)
	}
	return nil
}

// stop ends the server.
func (s *server) stop() {
	if s.cmd == nil {
		return
	}
	const patience = 5 * time.Second
	s.cmd.Process.Signal(syscall.SIGINT)
	kill := time.AfterFunc(patience, func() { s.cmd.Process.Kill() })
	s.cmd.Wait() // how it ends is of no matter
	kill.Stop()
	s.cmd = nil
}
