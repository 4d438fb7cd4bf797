package signal_test

import (
	"net/http/httptest"
	"os"
	"testing"

	"signalbox/internal/testkit"
	"signalbox/signal"
)

// Clients that say nothing take no goroutine, and nothing is left behind them in the end.
func TestWaitingTakesNoGoroutine(t *testing.T) { // not parallel: it counts what all have
	for name, change := range map[string]func(*httptest.Server){"TCP": overTCP, "TLS": overTLS} {
		t.Run(name, func(t *testing.T) {
			before := epolls(t)
			b := startServer(t, signal.Options{}, change, goesAtOnce)
			clients := make([]*peerConn, 50)
			for range 2 { // the first time and again
				for i := range clients {
					clients[i] = b.quiet(t)
				}
				if left := testkit.Leaked(patience, "ws.(*conn)", "signal.(*Link)"); left != "" {
					t.Errorf("awake:\n%s", left)
				}
				if n := epolls(t); n != before+1 {
					t.Errorf("%d epolls more, want 1", n-before)
				}
				for _, c := range clients {
					c.rawConn().Close()
				}
				b.empties(t)
				eventually(t, "no epoll more than before", func() bool { return epolls(t) == before })
			}
		})
	}
}

// epolls is how many epolls this process has.
func epolls(t *testing.T) (n int) {
	t.Helper()
	const dir = "/proc/self/fd/"
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range entries {
		if to, _ := os.Readlink(dir + entry.Name()); to == "anon_inode:[eventpoll]" {
			n++
		}
	}
	return n
}
