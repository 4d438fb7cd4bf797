package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"signalbox/internal/testkit"

	"github.com/pion/turn/v4"
)

// fullPipe is a pipe that takes no more, and what is in it.
func fullPipe(t *testing.T) (r, w *os.File, filling int) {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close(); w.Close() })
	w.SetWriteDeadline(time.Now().Add(100 * time.Millisecond))
	for ; err == nil; filling++ {
		_, err = w.Write([]byte("\n"))
	}
	if !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatal(err)
	}
	return r, w, filling - 1
}

// box is this program, with standard error of the test's.
func box(t *testing.T, log *os.File, args ...string) *exec.Cmd {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return &exec.Cmd{
		Path: self, Args: append([]string{"signalbox"}, args...), Stdout: new(bytes.Buffer), Stderr: log,
		Env: append(os.Environ(), "STATE_DIRECTORY="+filepath.Join(t.TempDir(), "state")),
	}
}

// lostLines tells how many lines the log lacks.
var lostLines = regexp.MustCompile(`level=WARN msg="lines of the log are lost: nobody read them in time" lines=(\d+)`)

// While nobody reads the log (a journal that is busy, a pager), the box serves; once somebody does,
// the log says how much it lacks.
func TestNobodyReadsTheLog(t *testing.T) {
	t.Parallel()
	r, w, filling := fullPipe(t)
	config := filepath.Join(t.TempDir(), "config.toml")
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	ports := testkit.NewPorts()
	var addrs [2]string
	for i := range addrs {
		var err error
		if addrs[i], err = ports.Free(); err != nil {
			t.Fatal(err)
		}
	}
	web, relay := addrs[0], addrs[1]
	const token = "0123456789abcdef"
	write("[[turn.users]]\nname = \"u\"\npassword = \"right-password\"\n")
	cmd := box(t, w, "serve", "-c", config, "--dev", "--set", "web.listen="+web, "--set", "tls.mode=off",
		"--set", "turn.listen="+relay, "--set", "admin.token="+token, "--set", "log.level=debug")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	t.Cleanup(func() { cmd.Process.Kill() })
	client := http.Client{Timeout: patience}
	api := func(method, path string, out any) error {
		req, err := http.NewRequest(method, "http://"+web+"/api/admin/"+path, strings.NewReader("{}"))
		if err != nil {
			return err
		}
		req.Header.Set("Authorization", "Bearer "+token)
		req.Header.Set("Content-Type", "application/json")
		resp, err := client.Do(req)
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		return json.NewDecoder(resp.Body).Decode(out)
	}
	var status struct{ LogLinesLost uint64 }
	testkit.Eventually(t, patience, "the box answers", func() bool {
		return api(http.MethodGet, "status", &status) == nil
	})

	conn, err := net.ListenPacket("udp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	guesser, err := turn.NewClient(&turn.ClientConfig{STUNServerAddr: relay, TURNServerAddr: relay, Username: "u",
		Password: "wrong-password", Conn: conn})
	if err != nil {
		t.Fatal(err)
	}
	defer guesser.Close()
	if err := guesser.Listen(); err != nil {
		t.Fatal(err)
	}
	if _, err := guesser.Allocate(); err == nil { // which has a line
		t.Fatal("a wrong password is right")
	}
	write(strings.Repeat("x", 20_000) + " = 1\n") // an error that is as long
	for range 100 {
		var out any
		if err := api(http.MethodPost, "reload", &out); err != nil {
			t.Fatalf("reload: %v", err)
		}
		if api(http.MethodGet, "status", &status); status.LogLinesLost > 0 {
			break
		}
	}
	if status.LogLinesLost == 0 {
		t.Fatal("the log takes any number of lines")
	}
	if _, err := guesser.SendBindingRequest(); err != nil {
		t.Errorf("STUN: %v", err)
	}
	hub, err := net.Dial("tcp", web)
	if err != nil {
		t.Fatal(err)
	}
	defer hub.Close()
	if err := sayHello(hub); err != nil {
		t.Errorf("the hub: %v", err)
	}
	api(http.MethodGet, "status", &status)

	w.Close() // the box has its own
	lines := bufio.NewReader(r)
	lines.Discard(filling)
	// The session may have had a line that was lost since.
	r.SetReadDeadline(time.Now().Add(patience))
	for told := uint64(0); told < status.LogLinesLost; {
		line, err := lines.ReadString('\n')
		if err != nil {
			t.Fatalf("the log ends with %.200q (%v), and tells of %d of %d lost lines", line, err, told,
				status.LogLinesLost)
		}
		if m := lostLines.FindStringSubmatch(line); m != nil {
			n, err := strconv.ParseUint(m[1], 10, 64)
			if err != nil {
				t.Fatal(err)
			}
			told += n
		}
	}
	hub.Close()
	cmd.Process.Signal(syscall.SIGTERM)
	last := ""
	for line := ""; err == nil; line, err = lines.ReadString('\n') {
		last = line
	}
	if err := <-ended; err != nil || !strings.HasSuffix(last, "\n") {
		t.Errorf("the end: %v, the last line %q", err, last)
	}
}

// The box ends although nobody reads why.
func TestNobodyReadsTheLastWords(t *testing.T) {
	t.Parallel()
	_, w, _ := fullPipe(t)
	cmd := box(t, w, "serve", "--set", "turn.relm=example.org")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	stuck := time.AfterFunc(patience, func() { cmd.Process.Kill() })
	defer stuck.Stop()
	if err := cmd.Wait(); cmd.ProcessState.ExitCode() != exitUsage {
		t.Errorf("it ends with %v", err)
	}
}
