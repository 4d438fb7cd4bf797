//go:build unix

package signal_test

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"signalbox/internal/testkit"
	"signalbox/signal"
)

// cpuSeconds is what this process has used so far.
func cpuSeconds() float64 {
	var used syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &used) != nil {
		return 0
	}
	return time.Duration(used.Utime.Nano() + used.Stime.Nano()).Seconds()
}

// hubEnv makes this test's binary serve a hub instead of testing, until its standard input ends.
const hubEnv = "SIGNALBOX_TEST_SERVES_A_HUB"

// TestServesAHub is the hub of a load test: a process of its own, so that its CPU and memory are
// its alone, and so are its file descriptors.
func TestServesAHub(t *testing.T) {
	if os.Getenv(hubEnv) == "" {
		return // there is nothing to test here
	}
	b := start(t, signal.Options{Resume: time.Minute})
	fmt.Println("hub at", b.url())
	for commands := bufio.NewScanner(os.Stdin); commands.Scan(); {
		heap, stacks := memory()
		fmt.Println("used", cpuSeconds(), heap+stacks)
	}
}

// loadedHub is that process.
type loadedHub struct {
	t   testing.TB
	url string
	in  io.WriteCloser
	out *bufio.Scanner
}

func startLoadedHub(t testing.TB) *loadedHub {
	t.Helper()
	child := exec.Command(os.Args[0], "-test.run=^TestServesAHub$", "-test.v", "-test.timeout=10m")
	child.Env = append(os.Environ(), hubEnv+"=1")
	in, err := child.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	h := &loadedHub{t: t, in: in, out: bufio.NewScanner(out)}
	t.Cleanup(func() {
		in.Close()
		for h.out.Scan() {
		}
		if err := child.Wait(); err != nil {
			t.Errorf("the hub's process: %v", err)
		}
	})
	h.url = h.line("hub at ")
	return h
}

func (h *loadedHub) line(prefix string) string {
	h.t.Helper()
	for h.out.Scan() {
		if rest, ok := strings.CutPrefix(h.out.Text(), prefix); ok {
			return rest
		}
	}
	h.t.Fatal("the hub's process has ended")
	return ""
}

// used is the CPU time in seconds that the hub has taken so far, and the bytes of its heap and
// stacks.
func (h *loadedHub) used() (cpu float64, memory int) {
	h.t.Helper()
	if _, err := io.WriteString(h.in, "\n"); err != nil {
		h.t.Fatal(err)
	}
	if _, err := fmt.Sscan(h.line("used "), &cpu, &memory); err != nil {
		h.t.Fatal(err)
	}
	return cpu, memory
}

// connect opens sessions, eight at a time.
func (h *loadedHub) connect(n int, room string) []*peerConn {
	h.t.Helper()
	clients := make([]*peerConn, n)
	var wg sync.WaitGroup
	gate := make(chan struct{}, 8)
	for i := range clients {
		gate <- struct{}{}
		wg.Go(func() {
			defer func() { <-gate }()
			ws, response, err := websocket.DefaultDialer.Dial(h.url, http.Header{})
			if err != nil {
				h.t.Errorf("connection %d: %v (%v)", i, err, response)
				return
			}
			c := newPeerConn(h.t, ws)
			c.write(`{"type":"hello","name":"` + strconv.Itoa(i) + `"}`)
			if f, err := c.read(); err != nil || f["type"] != "welcome" {
				h.t.Errorf("session %d: %v %v", i, f, err)
				return
			}
			if room != "" {
				c.write(`{"type":"join","room":"` + room + `"}`)
			}
			clients[i] = c
		})
	}
	wg.Wait()
	h.t.Cleanup(func() {
		for _, c := range clients {
			if c != nil {
				c.ws.Close()
			}
		}
	})
	if h.t.Failed() {
		h.t.FailNow()
	}
	return clients
}

// Ten thousand sessions that say nothing are no event: neither for memory nor for the CPU, and
// somebody who calls meanwhile doesn't notice them.
func TestLongTenThousandIdleSessions(t *testing.T) {
	testkit.Long(t)
	const sessions = 10_000
	h := startLoadedHub(t)
	_, before := h.used()
	began := time.Now()
	idle := h.connect(sessions, "")
	took := time.Since(began)
	cpu, after := h.used()
	perSession := (after - before) / sessions

	pair := h.connect(2, "tea")
	for _, c := range pair {
		for c.next()["type"] != "joined" {
		}
	}
	const rounds = 200
	var worst time.Duration
	for n := range rounds {
		sent := time.Now()
		pair[n%2].send("broadcast", frame{"room": "tea", "data": n})
		for f := pair[1-n%2].next(); f["type"] != "broadcast"; f = pair[1-n%2].next() {
		}
		worst = max(worst, time.Since(sent))
	}
	time.Sleep(10 * time.Second) // an idle time to be measured
	later, _ := h.used()
	t.Logf("%d sessions in %v; %d bytes each; a signal among them takes %v at worst; idle they take %.2f %% of a core",
		len(idle), took.Round(time.Millisecond), perSession, worst, (later-cpu)*10)
	if perSession > 16<<10 {
		t.Errorf("an idle session takes %d bytes", perSession)
	}
}

// A broadcast to a thousand listeners is no event, and all of them hear the same order. Each reads
// from the start on: what the others' coming in is worth would fill the hub's memory otherwise.
func TestLongBroadcastToAThousand(t *testing.T) {
	testkit.Long(t)
	const members, speakers, rounds = 1002, 2, 50
	h := startLoadedHub(t)
	clients := h.connect(members, "")
	orders := make([]string, members)
	inside := make(chan struct{}, members)
	var heard sync.WaitGroup
	for i, c := range clients {
		all := speakers * rounds
		if i < speakers {
			all -= rounds // nobody hears itself
		}
		heard.Go(func() {
			for n := 0; n < all; {
				f, err := c.read()
				if err != nil {
					t.Errorf("member %d: %v", i, err)
					inside <- struct{}{} // nobody waits for it
					return
				}
				switch f["type"] {
				case "joined":
					inside <- struct{}{}
				case "broadcast":
					n++
					orders[i] += fmt.Sprint(f["data"], " ")
				}
			}
		})
	}
	for _, c := range clients {
		c.send("join", frame{"room": "hall"})
		<-inside
	}
	cpu, _ := h.used()
	began := time.Now()
	for i, c := range clients[:speakers] {
		heard.Go(func() {
			for n := range rounds {
				c.send("broadcast", frame{"room": "hall", "data": 2*n + i})
			}
		})
	}
	heard.Wait()
	took := time.Since(began)
	used, _ := h.used()
	for i, order := range orders[speakers:] {
		if order != orders[speakers] {
			t.Fatalf("listener %d heard %s\nlistener 0 heard %s", i, order, orders[speakers])
		}
	}
	t.Logf("%d broadcasts to %d members in %v; the hub took %.2f ms of CPU time each", speakers*rounds, members,
		took.Round(time.Millisecond), (used-cpu)*1000/(speakers*rounds))
}

// BenchmarkRelay is a signal of a candidate's size through a hub in a process of its own, whose CPU
// time alone counts.
func BenchmarkRelay(b *testing.B) {
	h := startLoadedHub(b)
	pair := h.connect(2, "tea")
	var ids [2]string
	for i, c := range pair {
		f := c.next()
		for ; f["type"] != "joined"; f = c.next() {
		}
		ids[i] = c.id
	}
	pair[0].write(`{"type":"broadcast","room":"tea","data":0}`)
	for ids[0] == "" {
		f := pair[1].next()
		if f["type"] == "broadcast" {
			ids[0] = f.text("from")
		}
	}
	text := []byte(`{"type":"signal","to":"` + ids[0] + `","room":"tea","data":{"candidate":"` +
		strings.Repeat("x", 150) + `","sdpMid":"0","sdpMLineIndex":0}}`)
	before, _ := h.used()
	b.ResetTimer()
	window := make(chan struct{}, 256) // less than a sender's share of the receiver's outbox
	var wg sync.WaitGroup
	wg.Go(func() {
		for range b.N {
			window <- struct{}{}
			if err := pair[1].ws.WriteMessage(websocket.TextMessage, text); err != nil {
				b.Error(err)
				return
			}
		}
	})
	for n := 0; n < b.N; {
		_, frame, err := pair[0].ws.ReadMessage()
		if err != nil {
			b.Fatal(err)
		}
		if strings.Contains(string(frame), `"type":"signal"`) {
			n++
			<-window
		}
	}
	wg.Wait()
	after, _ := h.used()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "signals/s")
	if used := after - before; used > 0 {
		b.ReportMetric(float64(b.N)/used, "signals/cpu-s")
	}
}
