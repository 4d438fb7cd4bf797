// Package testkit is what the tests of several packages share, which must not import each other.
package testkit

import (
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"
)

// Main runs a package's tests, for its TestMain, and ends the process. The run fails if a goroutine
// outlives the tests for longer than patience in whose stack any of the words stands.
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

// FreeAddr is an address on loopback that nobody else takes while a server is restarted there: its
// port is lower than those that systems give out by themselves, and whoever else picks one this way
// finds the UDP port taken.
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
