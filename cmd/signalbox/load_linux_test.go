package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"signalbox/internal/testkit"
)

// loadClients are clients of the real binary, ten at each address of this machine, and what they
// have heard.
type loadClients struct {
	t    *testing.T
	addr string
	pid  int

	mu    sync.Mutex
	ages  []time.Duration // of the broadcasts that arrived
	ended int             // connections that ended by themselves
}

func startLoad(t *testing.T, settings ...string) *loadClients {
	t.Helper()
	testkit.Long(t)
	binary := os.Getenv("SIGNALBOX_LAB_BINARY")
	if binary == "" {
		binary = filepath.Join(t.TempDir(), "signalbox")
		if out, err := exec.Command("go", "build", "-o", binary, ".").CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
	}
	addr, pid := startBox(t, binary, false, settings...)
	return &loadClients{t: t, addr: addr, pid: pid}
}

// loadClient is one session.
type loadClient struct {
	of    *loadClients
	n     int
	ws    *websocket.Conn
	token string // to resume with

	reading sync.WaitGroup
}

// open connects, and says the first word.
func (c *loadClient) open(word, want string) error {
	dialer := websocket.Dialer{HandshakeTimeout: patience, NetDial: func(_, address string) (net.Conn, error) {
		return dialFrom(address, fmt.Sprintf("127.1.%d.%d", c.n/2000, 1+c.n/10%200))
	}}
	ws, resp, err := dialer.Dial("ws://"+c.of.addr+"/signal", nil)
	if err != nil {
		return fmt.Errorf("session %d: %w (%v)", c.n, err, resp)
	}
	c.ws = ws
	if err := ws.WriteMessage(websocket.TextMessage, []byte(word)); err != nil {
		return err
	}
	var f struct{ Type, ResumeToken string }
	for f.Type != want {
		if err := ws.ReadJSON(&f); err != nil || f.Type == "error" {
			return fmt.Errorf("session %d: %s: %w", c.n, f.Type, err)
		}
	}
	c.token = f.ResumeToken
	return nil
}

// enter opens a session, joins a room, and listens.
func (c *loadClient) enter(room string) error {
	if err := c.open(`{"type":"hello"}`, "welcome"); err != nil {
		return err
	}
	return c.join(room)
}

func (c *loadClient) join(room string) error {
	if err := c.ws.WriteJSON(map[string]string{"type": "join", "room": room}); err != nil {
		return err
	}
	c.reading.Go(c.listen)
	return nil
}

// leave ends the session as a page does that is closed.
func (c *loadClient) leave() {
	bye := websocket.FormatCloseMessage(websocket.CloseNormalClosure, "")
	c.ws.WriteControl(websocket.CloseMessage, bye, time.Now().Add(patience)) //nolint:errcheck // it is over
	c.ws.Close()
	c.reading.Wait()
}

func (c *loadClient) say(room string) error {
	return c.ws.WriteMessage(websocket.TextMessage, fmt.Appendf(nil,
		`{"type":"broadcast","room":%q,"data":{"pad":"%0200d","at":%d}}`, room, 0, time.Now().UnixNano()))
}

// listen notes the age of each broadcast.
func (c *loadClient) listen() {
	for {
		_, text, err := c.ws.ReadMessage()
		if err != nil {
			if websocket.IsUnexpectedCloseError(err, websocket.CloseNormalClosure) {
				c.of.mu.Lock()
				c.of.ended++
				c.of.mu.Unlock()
			}
			return
		}
		_, rest, ok := bytes.Cut(text, []byte(`"at":`))
		if !ok {
			continue
		}
		digits, _, _ := strings.Cut(string(rest), "}")
		at, err := strconv.ParseInt(digits, 10, 64)
		if err != nil {
			c.of.t.Errorf("%s: %v", text, err)
			return
		}
		age := time.Since(time.Unix(0, at))
		c.of.mu.Lock()
		c.of.ages = append(c.of.ages, age)
		c.of.mu.Unlock()
	}
}

// enter opens n sessions, in rooms of so many. They leave at the end of the test.
func (l *loadClients) enter(n, perRoom int) []*loadClient {
	l.t.Helper()
	clients := make([]*loadClient, n)
	l.each(clients, 16, func(i int) error {
		clients[i] = &loadClient{of: l, n: i}
		return clients[i].enter(roomOf(i, perRoom))
	})
	l.t.Cleanup(func() {
		for _, c := range clients {
			c.leave()
		}
	})
	return clients
}

func roomOf(i, perRoom int) string { return fmt.Sprint("room-", i/perRoom) }

// each does something for each client, for so many at once.
func (l *loadClients) each(clients []*loadClient, atOnce int, do func(i int) error) {
	l.t.Helper()
	var working sync.WaitGroup
	gate := make(chan struct{}, atOnce)
	for i := range clients {
		gate <- struct{}{}
		working.Go(func() {
			defer func() { <-gate }()
			if err := do(i); err != nil {
				l.t.Error(err)
			}
		})
	}
	working.Wait()
	if l.t.Failed() {
		l.t.FailNow()
	}
}

// figures are what a load test reports; durations are in nanoseconds.
type figures struct {
	Copies    int           `json:"copies"` // of broadcasts; 0: there were none
	P50       time.Duration `json:"p50"`    // from the sender's socket to the receiver's
	P99       time.Duration `json:"p99"`
	CPU       float64       `json:"cpu"`       // of a core
	PerCopy   float64       `json:"usPerCopy"` // CPU time of the box, in microseconds
	Resident  int           `json:"residentKiB"`
	Ended     int           `json:"ended"`
	Resumed   time.Duration `json:"resumed,omitempty"` // until all had resumed
	ResumeCPU time.Duration `json:"resumeCPU,omitempty"`
}

// measure does something for a time, and reports what arrived meanwhile.
func (l *loadClients) measure(during time.Duration, do func(context.Context)) (f figures) {
	time.Sleep(2 * time.Second) // what the joins have caused is over
	l.mu.Lock()
	l.ages = l.ages[:0]
	l.mu.Unlock()
	cpu, began := cpuOf(l.t, l.pid), time.Now()
	ctx, cancel := context.WithTimeout(l.t.Context(), during)
	defer cancel()
	do(ctx)
	time.Sleep(time.Second) // what is under way arrives
	used := cpuOf(l.t, l.pid) - cpu
	l.mu.Lock()
	defer l.mu.Unlock()
	slices.Sort(l.ages)
	f.Copies, f.Ended, f.Resident = len(l.ages), l.ended, residentKiB(l.t, l.pid)
	f.CPU = used.Seconds() / time.Since(began).Seconds()
	if f.Copies > 0 {
		f.P50, f.P99 = l.ages[f.Copies/2], l.ages[f.Copies*99/100]
		f.PerCopy = float64(used.Microseconds()) / float64(f.Copies)
	}
	return f
}

// report logs figures for people and, as one line of JSON, for programs.
func (f figures) report(t *testing.T) {
	t.Helper()
	if f.Copies > 0 {
		t.Logf("%d copies, p50 %v, p99 %v; %.1f us of CPU each, %.0f %% of a core; %d MiB", f.Copies,
			f.P50.Round(100*time.Microsecond), f.P99.Round(100*time.Microsecond), f.PerCopy, f.CPU*100, f.Resident>>10)
	}
	text, err := json.Marshal(f)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%s", text)
}

// every does something so often until the time is over, each time for the next client.
func every(ctx context.Context, d time.Duration, do func(n int)) {
	tick := time.NewTicker(d)
	defer tick.Stop()
	for n := 0; ; n++ {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			do(n)
		}
	}
}

// 2,000 sessions in rooms of four: 1,000 broadcasts a second, and 40 sessions a second that leave
// while others take their places.
func TestLongLoadChurn(t *testing.T) {
	l := startLoad(t)
	const sessions, perRoom, broadcastsPerSecond, leavesPerSecond = 2000, 4, 1000, 40
	clients := l.enter(sessions, perRoom)
	f := l.measure(30*time.Second, func(ctx context.Context) {
		var working sync.WaitGroup
		// The first of a room speaks and stays; the last one goes, and comes back.
		working.Go(func() {
			every(ctx, time.Second/broadcastsPerSecond, func(n int) {
				i := n * perRoom % sessions
				if err := clients[i].say(roomOf(i, perRoom)); err != nil {
					t.Error(err)
				}
			})
		})
		working.Go(func() {
			every(ctx, time.Second/leavesPerSecond, func(n int) {
				i := (n*perRoom + perRoom - 1) % sessions
				clients[i].leave()
				if err := clients[i].enter(roomOf(i, perRoom)); err != nil {
					t.Error(err)
				}
			})
		})
		working.Wait()
	})
	f.report(t)
	if f.P99 > 250*time.Millisecond {
		t.Errorf("a broadcast takes %v (p99)", f.P99)
	}
}

// A room of 300, in which 20 broadcasts a second go to everybody.
func TestLongLoadRoomOf300(t *testing.T) {
	const members = 300
	l := startLoad(t, "signal.room_capacity="+strconv.Itoa(members))
	clients := l.enter(members, members)
	f := l.measure(30*time.Second, func(ctx context.Context) {
		every(ctx, 50*time.Millisecond, func(n int) {
			if err := clients[n%members].say(roomOf(0, members)); err != nil {
				t.Error(err)
			}
		})
	})
	f.report(t)
	if f.PerCopy > 40 {
		t.Errorf("a copy takes %.1f us", f.PerCopy)
	}
	if f.Ended > 0 || f.P99 > 250*time.Millisecond {
		t.Errorf("%d ended; a broadcast takes %v (p99)", f.Ended, f.P99)
	}
}

// 2,000 sessions lose their connections at once, and all come back at once.
func TestLongLoadResumes(t *testing.T) {
	l := startLoad(t)
	const sessions, perRoom = 2000, 4
	clients := l.enter(sessions, perRoom)
	for _, c := range clients {
		c.ws.NetConn().Close()
	}
	for _, c := range clients {
		c.reading.Wait()
	}
	cpu, began := cpuOf(t, l.pid), time.Now()
	l.each(clients, sessions, func(i int) error {
		return clients[i].open(`{"type":"resume","token":"`+clients[i].token+`","seq":1}`, "resumed")
	})
	f := figures{Resumed: time.Since(began), ResumeCPU: cpuOf(t, l.pid) - cpu, Resident: residentKiB(t, l.pid)}
	t.Logf("%d sessions resumed in %v; the box took %v of CPU", sessions, f.Resumed.Round(time.Millisecond),
		f.ResumeCPU)
	f.report(t)
	if f.Resumed > 5*time.Second {
		t.Errorf("%d resumes take %v", sessions, f.Resumed)
	}
}
