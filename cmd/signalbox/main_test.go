package main

import (
	"crypto/ed25519"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"net"
	"net/http"
	"os"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"signalbox/internal/state"
	"signalbox/internal/testkit"

	"github.com/pion/turn/v4"
	"github.com/rogpeppe/go-internal/testscript"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"signalbox": main})
}

// Each script in testdata is one behavior of the command line, as a user sees it.
func TestScripts(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("the scripts send signals, which Windows has none of")
	}
	t.Parallel()
	ports := testkit.NewPorts()
	testscript.Run(t, testscript.Params{
		Dir: "testdata",
		Setup: func(env *testscript.Env) error {
			env.Setenv("STATE_DIRECTORY", env.WorkDir+"/state")
			for _, name := range []string{"ADDR", "ADDR2"} {
				addr, err := ports.Free()
				if err != nil {
					return err
				}
				env.Setenv(name, addr)
			}
			return nil
		},
		Condition: func(name string) (bool, error) {
			if name != "root" {
				return false, fmt.Errorf("there is no condition %q", name)
			}
			return os.Geteuid() == 0, nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"waitfor":     waitFor,
			"waitrunning": waitRunning,
			"send":        send,
			"takeport":    takePort,
			"private":     private,
			"onlyoneline": onlyOneLine,
			"allocate":    allocate,
			"credential":  credential,
			"waitready":   waitReady,
			"iceservers":  iceServers,
			"keypair":     keyPair,
			"makeroom":    makeRoom,
		},
	})
}

// patience bounds every wait for something that must come.
const patience = time.Minute

// waitfor ADDR waits until something listens there.
func waitFor(ts *testscript.TestScript, neg bool, args []string) {
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		if conn, err := net.Dial("tcp", args[0]); err == nil {
			conn.Close()
			return
		}
	}
	ts.Fatalf("nothing listens on %s", args[0])
}

// waitready ADDR CODE waits until /readyz answers with that code.
func waitReady(ts *testscript.TestScript, neg bool, args []string) {
	got := 0
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		resp, err := http.Get("http://" + args[0] + "/readyz")
		if err != nil {
			continue
		}
		resp.Body.Close()
		if got = resp.StatusCode; strconv.Itoa(got) == args[1] {
			return
		}
	}
	ts.Fatalf("/readyz answers %d, want %s", got, args[1])
}

// waitrunning waits until commands find the box that runs with the default state directory.
func waitRunning(ts *testscript.TestScript, neg bool, args []string) {
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		if _, err := os.Stat(ts.MkAbs("state/" + state.Running)); err == nil {
			return
		}
	}
	ts.Fatalf("no box runs")
}

// send SIGNAL sends it to the background commands. It is not named stop: that is a command of
// testscript itself, which ends the script there.
func send(ts *testscript.TestScript, neg bool, args []string) {
	sig := map[string]syscall.Signal{"INT": syscall.SIGINT, "TERM": syscall.SIGTERM, "HUP": syscall.SIGHUP}[args[0]]
	for _, cmd := range ts.BackgroundCmds() {
		ts.Check(cmd.Process.Signal(sig))
	}
}

// takeport ADDR listens there until the script ends.
func takePort(ts *testscript.TestScript, neg bool, args []string) {
	l, err := net.Listen("tcp", args[0])
	ts.Check(err)
	ts.Defer(func() { l.Close() })
}

// allocate ADDR USER PASSWORD makes a TURN allocation, which lasts as long as the script. It tries
// for a while, since what allows it may just be coming into force; with "!" it tries once and must
// fail.
func allocate(ts *testscript.TestScript, neg bool, args []string) {
	for deadline := time.Now().Add(patience); ; time.Sleep(50 * time.Millisecond) {
		err := tryAllocate(ts, args[0], args[1], args[2])
		switch {
		case neg && err == nil:
			ts.Fatalf("%s can allocate", args[1])
		case neg || err == nil:
			return
		case time.Now().After(deadline):
			ts.Fatalf("allocate as %s: %v", args[1], err)
		}
	}
}

func tryAllocate(ts *testscript.TestScript, addr, user, password string) error {
	conn, err := net.ListenPacket("udp4", "127.0.0.1:0")
	ts.Check(err)
	ts.Defer(func() { conn.Close() })
	client, err := turn.NewClient(&turn.ClientConfig{
		STUNServerAddr: addr, TURNServerAddr: addr, Username: user, Password: password, Conn: conn,
	})
	ts.Check(err)
	ts.Check(client.Listen())
	ts.Defer(client.Close)
	_, err = client.Allocate()
	return err
}

// credential sets USERNAME and PASSWORD to what creds has just printed.
func credential(ts *testscript.TestScript, neg bool, args []string) {
	for _, line := range strings.Split(ts.ReadFile("stdout"), "\n") {
		if name, value, ok := strings.Cut(line, " "); ok {
			ts.Setenv(strings.ToUpper(name), strings.TrimSpace(value))
		}
	}
}

// keypair PRIVATE PUBLIC writes both halves of a new key.
func keyPair(ts *testscript.TestScript, neg bool, args []string) {
	public, private, err := ed25519.GenerateKey(nil)
	ts.Check(err)
	privateDER, err := x509.MarshalPKCS8PrivateKey(private)
	ts.Check(err)
	publicDER, err := x509.MarshalPKIXPublicKey(public)
	ts.Check(err)
	for i, block := range []pem.Block{{Type: "PRIVATE KEY", Bytes: privateDER},
		{Type: "PUBLIC KEY", Bytes: publicDER}} {
		ts.Check(os.WriteFile(ts.MkAbs(args[i]), pem.EncodeToMemory(&block), 0o600))
	}
}

// iceservers ADDR FILE asks for ICE servers there with the token in the file.
func iceServers(ts *testscript.TestScript, neg bool, args []string) {
	req, err := http.NewRequest(http.MethodGet, "http://"+args[0]+"/api/ice", nil)
	ts.Check(err)
	req.Header.Set("Authorization", "Bearer "+strings.TrimSpace(strings.ReplaceAll(ts.ReadFile(args[1]), "\n", " ")))
	resp, err := http.DefaultClient.Do(req)
	ts.Check(err)
	resp.Body.Close()
	if (resp.StatusCode == http.StatusOK) == neg {
		ts.Fatalf("/api/ice answers %s", resp.Status)
	}
}

// makeroom ADDR KEY ROOM has the box open a room for its own server.
func makeRoom(ts *testscript.TestScript, neg bool, args []string) {
	body := strings.NewReader(fmt.Sprintf(`{"room":%q,"capacity":4,"ttl":"1h"}`, args[2]))
	req, err := http.NewRequest(http.MethodPost, "http://"+args[0]+"/api/rooms", body)
	ts.Check(err)
	req.Header.Set("Authorization", "Bearer "+args[1])
	req.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(req)
	ts.Check(err)
	resp.Body.Close()
	if resp.StatusCode >= http.StatusMultipleChoices {
		ts.Fatalf("/api/rooms answers %s", resp.Status)
	}
}

// private FILE... checks that nobody but the owner may read them.
func private(ts *testscript.TestScript, neg bool, args []string) {
	for _, name := range args {
		info, err := os.Stat(ts.MkAbs(name))
		ts.Check(err)
		if info.Mode().Perm()&0o077 != 0 {
			ts.Fatalf("%s has mode %v", name, info.Mode())
		}
	}
}

// onlyoneline checks that standard error is one line.
func onlyOneLine(ts *testscript.TestScript, neg bool, args []string) {
	if text := ts.ReadFile("stderr"); strings.Count(text, "\n") != 1 {
		ts.Fatalf("standard error is not one line:\n%s", text)
	}
}
