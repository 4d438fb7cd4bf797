package main

import (
	"bytes"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"signalbox/internal/testkit"
)

// An idle session costs little in the real binary, too: resident memory, with all that net/http,
// TLS and the garbage collector take.
func TestLongIdleSessions(t *testing.T) {
	testkit.Long(t)
	binary := filepath.Join(t.TempDir(), "signalbox")
	if out, err := exec.Command("go", "build", "-o", binary, ".").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, web := range []struct {
		scheme  string
		most    int // KiB
		connect func(address, from string) (net.Conn, error)
	}{
		{"ws", 12, dialFrom},
		// A TLS connection keeps its keys and the buffers of its handshake: 6 KiB, to which the
		// collector lets half as much be added.
		{"wss", 20, func(address, from string) (net.Conn, error) {
			conn, err := dialFrom(address, from)
			if err != nil {
				return nil, err
			}
			return tls.Client(conn, &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"http/1.1"}}), nil
		}},
	} {
		t.Run(web.scheme, func(t *testing.T) {
			const sessions = 5000
			addr, pid := startBox(t, binary, web.scheme == "wss")
			openSessions(t, 100, func(from string) (net.Conn, error) { return web.connect(addr, from) })
			time.Sleep(30 * time.Second)  // for the garbage of the start
			before := residentKiB(t, pid) // what a box that has served somebody takes anyway
			began := time.Now()
			openSessions(t, sessions, func(from string) (net.Conn, error) { return web.connect(addr, from) })
			took := time.Since(began).Round(time.Millisecond)
			perSession := func() float64 { return float64(residentKiB(t, pid)-before) / sessions }
			storm := perSession()
			used := cpuOf(t, pid)
			// The heartbeat has come to all of them, and the garbage collector to what they left.
			time.Sleep(3 * time.Minute)
			idle := perSession()
			t.Logf("%d sessions over %s in %v: %.1f KiB each at once, %.1f 3 minutes later; %.2f %% of a core",
				sessions, web.scheme, took, storm, idle, (cpuOf(t, pid)-used).Seconds()/180*100)
			if idle > float64(web.most) {
				t.Errorf("an idle session over %s takes %.1f KiB, more than %d", web.scheme, idle, web.most)
			}
		})
	}
}

// startBox runs the binary with more settings, and returns the address of its web port and its
// process.
func startBox(t *testing.T, binary string, secure bool, settings ...string) (addr string, pid int) {
	t.Helper()
	ports := testkit.NewPorts()
	var addrs [2]string
	for i := range addrs {
		var err error
		if addrs[i], err = ports.Free(); err != nil {
			t.Fatal(err)
		}
	}
	key := map[bool]string{false: "web.listen=", true: "web.tls_listen="}
	var log bytes.Buffer
	args := []string{"serve"}
	for _, setting := range append([]string{key[secure] + addrs[0], key[!secure], "turn.listen=" + addrs[1],
		"public_ip=127.0.0.1", "log.level=error"}, settings...) {
		args = append(args, "--set", setting)
	}
	box := exec.Command(binary, args...)
	box.Env = append(os.Environ(), "STATE_DIRECTORY="+filepath.Join(t.TempDir(), "state"))
	box.Stdout, box.Stderr = &log, &log
	if err := box.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		box.Process.Signal(syscall.SIGTERM)
		if err := box.Wait(); err != nil {
			t.Errorf("the box: %v\n%s", err, &log)
		}
	})
	testkit.Eventually(t, patience, "the box listens", func() bool {
		conn, err := net.Dial("tcp", addrs[0])
		if err == nil {
			conn.Close()
		}
		return err == nil
	})
	return addrs[0], box.Process.Pid
}

func dialFrom(address, from string) (net.Conn, error) {
	dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}, Timeout: patience}
	return dialer.Dial("tcp", address)
}

// openSessions opens sessions from many sources. They answer pings until the test ends.
func openSessions(t *testing.T, n int, connect func(from string) (net.Conn, error)) {
	t.Helper()
	conns := make([]net.Conn, n)
	var opening sync.WaitGroup
	gate := make(chan struct{}, 16)
	for i := range conns {
		gate <- struct{}{}
		opening.Go(func() {
			defer func() { <-gate }()
			conn, err := connect(fmt.Sprintf("127.1.%d.%d", i/200, 1+i%200))
			if err == nil {
				conns[i], err = conn, sayHello(conn)
			}
			if err != nil {
				t.Errorf("session %d: %v", i, err)
			}
		})
	}
	opening.Wait()
	var answering sync.WaitGroup
	t.Cleanup(func() {
		for _, conn := range conns {
			if conn != nil {
				conn.Close()
			}
		}
		answering.Wait()
	})
	if t.Failed() {
		t.FailNow()
	}
	for _, conn := range conns {
		answering.Go(func() { answerPings(conn) })
	}
}

// sayHello opens a WebSocket by hand and says hello.
func sayHello(conn net.Conn) error {
	conn.SetDeadline(time.Now().Add(patience))
	defer conn.SetDeadline(time.Time{})
	io.WriteString(conn, "GET /signal HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"+
		"User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0\r\n"+
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: signalbox.v1\r\n"+
		"Sec-WebSocket-Extensions: permessage-deflate\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n")
	if err := readPast(conn, "\r\n\r\n"); err != nil {
		return err
	}
	hello := `{"type":"hello","name":"Somebody","user":""}`
	// A frame of a client is masked; the mask of zeros leaves it as it is (RFC 6455 §5.3).
	if _, err := conn.Write(append([]byte{0x81, 0x80 | byte(len(hello)), 0, 0, 0, 0}, hello...)); err != nil {
		return err
	}
	return readPast(conn, `"protocol":"signalbox.v1"}`)
}

func readPast(conn net.Conn, end string) error {
	var got []byte
	for chunk := make([]byte, 1); !strings.HasSuffix(string(got), end); {
		n, err := conn.Read(chunk)
		if err != nil {
			return fmt.Errorf("got %q: %w", got, err)
		}
		got = append(got, chunk[:n]...)
	}
	return nil
}

// answerPings answers with the payload of the ping, as a browser does.
func answerPings(conn net.Conn) {
	var frame [2]byte
	for {
		if _, err := io.ReadFull(conn, frame[:]); err != nil {
			return
		}
		payload := make([]byte, frame[1]&0x7f)
		if _, err := io.ReadFull(conn, payload); err != nil {
			return
		}
		if frame[0] == 0x89 {
			conn.Write(append([]byte{0x8a, 0x80 | byte(len(payload)), 0, 0, 0, 0}, payload...))
		}
	}
}

// residentKiB is the memory of a process that is in RAM.
func residentKiB(t *testing.T, pid int) int {
	t.Helper()
	bytes, err := testkit.Resident(pid)
	if err != nil {
		t.Fatal(err)
	}
	return bytes >> 10
}

// cpuOf is the CPU time that a process has taken so far.
func cpuOf(t *testing.T, pid int) time.Duration {
	t.Helper()
	used, err := testkit.CPU(pid)
	if err != nil {
		t.Fatal(err)
	}
	return used
}
