// Package testkit is what the tests of several packages share, which must not import each other.
package testkit

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// Main runs a package's tests, for its TestMain, and ends the process. The run fails if a goroutine
// with any of the words in its stack outlives the tests for longer than patience.
func Main(m *testing.M, patience time.Duration, words ...string) {
	code := m.Run()
	if code == 0 {
		if stacks := Leaked(patience, words...); stacks != "" {
			fmt.Fprintln(os.Stderr, "goroutines left behind:\n\n"+stacks)
			code = 1
		}
	}
	os.Exit(code)
}

// Long skips a test that takes long, unless SIGNALBOX_TEST_LONG is set.
func Long(t testing.TB) {
	t.Helper()
	if os.Getenv("SIGNALBOX_TEST_LONG") == "" {
		t.Skip("takes long; scripts/test --long runs it")
	}
}

// Need skips a test that lacks a tool, or fails it if SIGNALBOX_TEST_ALL is set, and returns the
// tool's path.
func Need(t testing.TB, tool string) (path string) {
	t.Helper()
	path, err := exec.LookPath(tool)
	if err == nil {
		return path
	}
	words := "this test needs " + tool + "; scripts/test installs and runs everything"
	if os.Getenv("SIGNALBOX_TEST_ALL") != "" {
		t.Fatal(words)
	}
	t.Skip(words)
	return ""
}

// Leaked waits for other goroutines with any of the words in their stack to end, and returns the
// stacks of those that don't.
func Leaked(patience time.Duration, words ...string) string {
	for deadline := time.Now().Add(patience); ; time.Sleep(10 * time.Millisecond) {
		stacks := make([]byte, 1<<20)
		stacks = stacks[:runtime.Stack(stacks, true)]
		var left []string
		for _, stack := range strings.Split(string(stacks), "\n\n")[1:] { // the first is this one
			for _, word := range words {
				if strings.Contains(stack, word) {
					left = append(left, stack)
					break
				}
			}
		}
		if len(left) == 0 || time.Now().After(deadline) {
			return strings.Join(left, "\n\n")
		}
	}
}

// FreeAddr returns an address on loopback that nobody else takes while a server restarts there: its
// port is below those that systems assign, and another caller of FreeAddr finds its UDP port taken.
func FreeAddr(t testing.TB) string {
	t.Helper()
	for range 100 {
		addr := fmt.Sprint("127.0.0.1:", 10_000+rand.IntN(10_000))
		mark, err := net.ListenPacket("udp", addr)
		if err != nil {
			continue
		}
		if l, err := net.Listen("tcp", addr); err == nil {
			l.Close()
			t.Cleanup(func() { mark.Close() })
			return addr
		}
		mark.Close()
	}
	t.Fatal("no port from 10000 to 19999 is free")
	return ""
}

// Eventually waits for something that must come, and fails the test if it does not within patience.
func Eventually(t testing.TB, patience time.Duration, what string, done func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !done(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain: %s", what)
		}
	}
}

// Ports gives out addresses on loopback to programs that bind them later, over TCP and UDP, such as
// those of test scripts: nobody else gets one from the same Ports, and nobody from the system,
// whose own choice are higher ports. A program that this test starts itself is better off with
// FreeAddr.
type Ports struct{ next atomic.Uint32 }

// NewPorts begins anywhere, so that two processes rarely meet.
func NewPorts() *Ports {
	p := &Ports{}
	p.next.Store(rand.Uint32N(10_000))
	return p
}

// Free returns an address that was free a moment ago.
func (p *Ports) Free() (string, error) {
	for range 1000 {
		addr := fmt.Sprint("127.0.0.1:", 10_000+p.next.Add(1)%10_000)
		l, err := net.Listen("tcp", addr)
		if err != nil {
			continue
		}
		l.Close()
		conn, err := net.ListenPacket("udp", addr)
		if err != nil {
			continue
		}
		conn.Close()
		return addr, nil
	}
	return "", errors.New("a thousand ports in a row are taken")
}
