package socketio

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"signalbox/internal/testkit"
)

const (
	loadPairs   = 500
	loadRounds  = 6 // bursts each way in each pair
	loadBurst   = 8 // messages, as many as a description and its candidates are
	idleClients = 1000
)

// loaded is what a server has cost.
type loaded struct {
	perSecond float64 // messages per second of CPU time
	idle      int     // bytes of resident memory per idle connection
}

// What a message and an idle connection cost, beside npm's server, each on one core.
func TestLongLoad(t *testing.T) {
	testkit.Long(t)
	node, module := npm(t, "socket.io")
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	ours := measure(t, []string{"SOCKETIO_SERVE=1", "GOMAXPROCS=1"}, self)
	theirs := measure(t, nil, node, "testdata/load.cjs", module)
	t.Logf("ours: %.0f messages per CPU second, %d bytes per idle connection", ours.perSecond, ours.idle)
	t.Logf("npm's: %.0f messages per CPU second, %d bytes per idle connection", theirs.perSecond, theirs.idle)
	t.Logf("%.1f times the messages, %.2f times the memory", ours.perSecond/theirs.perSecond,
		float64(ours.idle)/float64(theirs.idle))
}

func measure(t *testing.T, env []string, command ...string) loaded {
	t.Helper()
	server := exec.CommandContext(t.Context(), "taskset", append([]string{"-c", "0"}, command...)...)
	server.Env, server.Stderr = append(os.Environ(), env...), os.Stderr
	address, stop := serving(t, server)
	defer stop()
	url := "ws://" + address + "/socket.io/?EIO=4&transport=websocket"

	var out loaded
	before := resident(t, server.Process.Pid)
	for range idleClients {
		connect(t, url)
	}
	time.Sleep(2 * time.Second) // for what the servers do afterwards
	out.idle = (resident(t, server.Process.Pid) - before) / idleClients
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
	cpu := cpuTime(t, server.Process.Pid)
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
	spent := cpuTime(t, server.Process.Pid) - cpu
	out.perSecond = 2 * loadPairs * loadRounds * loadBurst / spent.Seconds()

	return out
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

// cpuTime is what a process has used, by /proc, whose clock ticks a hundred times a second.
func cpuTime(t *testing.T, pid int) time.Duration {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		t.Fatal(err)
	}
	fields := strings.Fields(string(text[bytes.LastIndexByte(text, ')'):]))
	user, _ := strconv.Atoi(fields[12])
	system, _ := strconv.Atoi(fields[13])
	return time.Duration(user+system) * 10 * time.Millisecond
}

// resident is how much memory a process has, in bytes.
func resident(t *testing.T, pid int) int {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", pid))
	if err != nil {
		t.Fatal(err)
	}
	pages, _ := strconv.Atoi(strings.Fields(string(text))[1])
	return pages * os.Getpagesize()
}
