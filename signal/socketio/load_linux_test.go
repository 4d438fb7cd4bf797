package socketio

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"signalbox/internal/testkit"
)

const (
	loadPairs   = 500
	loadRounds  = 20 // bursts each way in each pair
	loadBurst   = 8  // messages, as many as a description and its candidates are
	idleClients = 5000
	// idleFor is how long they are idle before it is looked at what they take: by then, both
	// servers have collected what the connecting has left.
	idleFor = 24 * time.Second

	// How many times the messages a CPU second, and the memory of an idle connection, ours is to
	// have of npm's. It is 3.5 to 6.1 times, the less the busier the machine is with other things,
	// and 0.37 to 0.47 times.
	leastMessages = 3.3
	mostMemory    = 0.5
)

// loaded is what a server has cost.
type loaded struct {
	perSecond float64 // messages per second of CPU time
	idle      int     // bytes of resident memory per idle connection
	resident  int     // bytes of it in all, with the idle connections
}

// What a message and an idle connection cost, beside npm's server, each on one core. What collects
// our garbage is set as the binary sets it.
func TestLongLoad(t *testing.T) {
	testkit.Long(t)
	node, module := npm(t, "socket.io")
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	ours := measure(t, []string{"SOCKETIO_SERVE=1"}, self)
	theirs := measure(t, nil, node, "testdata/load.cjs", module)
	for name, l := range map[string]loaded{"ours": ours, "npm's": theirs} {
		t.Logf("%s: %.0f messages per CPU second; %d bytes per idle connection, %d MiB in all with %d of them", name,
			l.perSecond, l.idle, l.resident>>20, idleClients)
	}
	messages, memory := ours.perSecond/theirs.perSecond, float64(ours.idle)/float64(theirs.idle)
	t.Logf("%.1f times the messages, %.2f times the memory per connection, %.2f in all", messages, memory,
		float64(ours.resident)/float64(theirs.resident))
	if messages < leastMessages || memory > mostMemory {
		t.Errorf("want at least %v times the messages, and at most %v times the memory", leastMessages, mostMemory)
	}
}

func measure(t *testing.T, env []string, command ...string) loaded {
	t.Helper()
	server := exec.CommandContext(t.Context(), "taskset", append([]string{"-c", "0"}, command...)...)
	server.Env, server.Stderr = append(os.Environ(), env...), os.Stderr
	address, stop := serving(t, server)
	defer stop()
	url := "ws://" + address + "/socket.io/?EIO=4&transport=websocket"
	out := loaded{}
	out.idle, out.resident = idle(t, server.Process.Pid, url)
	out.perSecond = talk(t, server.Process.Pid, url)
	return out
}

// idle connects clients that only answer pings, and returns what the server takes for each and in
// all, in bytes.
func idle(t *testing.T, pid int, url string) (each, all int) {
	t.Helper()
	before := resident(t, pid)
	var answering sync.WaitGroup
	conns := make([]*websocket.Conn, idleClients)
	for i := range conns {
		conn := connect(t, url)
		conns[i] = conn
		answering.Go(func() {
			for {
				_, message, err := conn.ReadMessage()
				if err != nil {
					return
				}
				if string(message) == "2" {
					conn.WriteMessage(websocket.TextMessage, []byte("3")) //nolint:errcheck // the next read tells
				}
			}
		})
	}
	time.Sleep(idleFor)
	all = resident(t, pid)
	for _, conn := range conns {
		conn.Close()
	}
	answering.Wait()
	return (all - before) / idleClients, all
}

// talk has pairs of clients talk as fast as they can, and returns how many messages the server has
// passed on in a second of its CPU time.
func talk(t *testing.T, pid int, url string) (perSecond float64) {
	t.Helper()
	pairs := make([][2]*websocket.Conn, loadPairs)
	for i := range pairs {
		for side := range pairs[i] {
			pairs[i][side] = connect(t, url)
			send(t, pairs[i][side], fmt.Sprintf(`42["vjoin","r%d","x"]`, i))
			until(t, pairs[i][side], `42["vjoined"`)
		}
		until(t, pairs[i][0], `42["votherjoined"`)
	}
	data := `{"type":"offer","sdp":"` + strings.Repeat("v=0 line\\r\\n", 120) + `"}`
	before := cpuTime(t, pid)
	work := sync.WaitGroup{}
	for i, pair := range pairs {
		message := fmt.Sprintf(`42["vdata","r%d",%s]`, i, data)
		work.Go(func() {
			for range loadRounds {
				for side := range pair {
					for range loadBurst {
						send(t, pair[side], message)
					}
					for range loadBurst {
						until(t, pair[1-side], `42["vgetdata"`)
					}
				}
			}
		})
	}
	work.Wait()
	spent := cpuTime(t, pid) - before
	return 2 * loadPairs * loadRounds * loadBurst / spent.Seconds()
}

func connect(t *testing.T, url string) *websocket.Conn {
	t.Helper()
	conn, _, err := websocket.DefaultDialer.Dial(url, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	until(t, conn, "0{")
	send(t, conn, "40")
	until(t, conn, "40{")
	return conn
}

func send(t *testing.T, conn *websocket.Conn, message string) {
	if err := conn.WriteMessage(websocket.TextMessage, []byte(message)); err != nil {
		t.Error(err)
	}
}

func until(t *testing.T, conn *websocket.Conn, start string) {
	for {
		_, message, err := conn.ReadMessage()
		switch {
		case err != nil:
			t.Error(err)
			return
		case string(message) == "2":
			send(t, conn, "3")
		case bytes.HasPrefix(message, []byte(start)):
			return
		}
	}
}

func cpuTime(t *testing.T, pid int) time.Duration {
	t.Helper()
	spent, err := testkit.CPU(pid)
	if err != nil {
		t.Fatal(err)
	}
	return spent
}

func resident(t *testing.T, pid int) int {
	t.Helper()
	bytes, err := testkit.Resident(pid)
	if err != nil {
		t.Fatal(err)
	}
	return bytes
}
