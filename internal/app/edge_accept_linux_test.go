package app

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"
)

const poorProcess = "SIGNALBOX_TEST_POOR_PROCESS"

// Without file descriptors, UDP is served as before, and TCP as soon as there are some again, also
// by a server that finds more connections than it can have as it starts. It is a process of its
// own, since the limit is one of processes.
func TestAbuse29OutOfFileDescriptors(t *testing.T) {
	if os.Getenv(poorProcess) != "" {
		servePoorly(t)
		return
	}
	t.Parallel()
	cmd := exec.Command(os.Args[0], "-test.run=^TestAbuse29OutOfFileDescriptors$", "-test.timeout=10m")
	cmd.Env = append(os.Environ(), poorProcess+"=1")
	cmd.Stderr = os.Stderr
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	out := bufio.NewReader(stdout)
	defer func() {
		stdin.Close()
		said, _ := io.ReadAll(out) // it ends with the process
		if err := cmd.Wait(); err != nil {
			t.Errorf("the server: %v\n%s", err, said)
		}
	}()
	line, err := out.ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	addr := strings.TrimSpace(line)

	var conns []net.Conn
	for range 100 { // the system accepts them on the server's behalf
		conn, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		conns = append(conns, conn)
	}
	if _, err := io.WriteString(stdin, "\n"); err != nil {
		t.Fatal(err)
	}
	if err := bind(conns[99], time.Second); err == nil {
		t.Fatal("the server has file descriptors for a hundred connections: the test tests nothing")
	}
	isServed := func(network, when string) {
		t.Helper()
		conn, err := net.Dial(network, addr)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		if err := bind(conn, patience); err != nil {
			t.Errorf("%s, %s: %v", network, when, err)
		}
	}
	isServed("udp", "without file descriptors")
	for _, conn := range conns {
		conn.Close()
	}
	isServed("tcp", "once there are some again")
}

// servePoorly listens, and from the first line of its standard input on serves with few file
// descriptors, until that ends.
func servePoorly(t *testing.T) {
	app := newApp(t)
	if err := app.Listen(); err != nil {
		t.Fatal(err)
	}
	open, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	limit := syscall.Rlimit{Cur: uint64(len(open) + 30), Max: uint64(len(open) + 30)}
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	fmt.Println(app.Addrs().TURN[0])
	os.Stdin.Read(make([]byte, 1)) //nolint:errcheck // likewise
	runApp(t, app)
	io.Copy(io.Discard, os.Stdin) //nolint:errcheck // its end is all that matters
}
