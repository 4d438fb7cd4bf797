//go:build linux

package lab_test

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"signalbox/internal/testkit"
	"signalbox/scripts/lab"
	goclient "signalbox/signal/client"
)

const (
	// mixedEnv is how long the long test runs, such as 3m. Unset: half an hour.
	mixedEnv = "SIGNALBOX_TEST_MIXED"
	// Between one reload and the next one.
	reloadEvery = 10 * time.Second
	// What a box may take more at the end than in the middle: the garbage collector lets its heap
	// rise and fall.
	mixedGrowth = 8 << 20
	// Goroutines and files that may be more at the end than at the start: those that look, and
	// what the box starts once and keeps.
	mixedFew = 8
)

// Whoever is on the box notices no reload, and the box grows by none.
func TestReloadsUnderMixedLoad(t *testing.T) {
	t.Parallel()
	mixedLoad(t, time.Minute, 20)
}

func TestLongReloadsUnderMixedLoad(t *testing.T) {
	testkit.Long(t)
	mixedLoad(t, lasting(t, mixedEnv, 30*time.Minute), 50)
}

// mixedLoad has clients of all kinds on a box that is reloaded again and again. Each allocation
// passes so many packets a second both ways.
func mixedLoad(t *testing.T, during time.Duration, perSecond int) {
	l := lab.New(t, lab.FullCone, lab.FullCone)
	server := lab.StartServer(t, l.Server, mixedConfig(0), "--set", "auth.mode=jwt", "--set", "auth.jwt_key="+honestKey,
		"--set", "admin.token="+statusToken, "--set", "metrics.listen=127.0.0.1:9641")
	use := newUsage(t, server)
	goroutines, files := goroutinesOf(t, l), use.files()
	m := &mixed{t: t, l: l, server: server, callers: l.AddHost(t, "callers", 81), callees: l.AddHost(t, "callees", 82)}
	h := newHonest(t, l, server)

	for n := range 6 {
		m.streams = append(m.streams, m.stream(n, perSecond))
	}
	rooms := map[string]*talk{
		"a pair":                    h.meet("pair", 2, 100*time.Millisecond, 0, goclient.WebSocket),
		"a room of eight":           h.meet("room", 8, 500*time.Millisecond, 0, goclient.WebSocket),
		"a pair without WebSockets": h.meet("events", 2, 250*time.Millisecond, 0, goclient.SSE),
	}
	pages := []*socketIOPair{h.meetOnSocketIO("tutorial"), h.meetOnSocketIO("another")}
	ctx, end := context.WithTimeout(t.Context(), during)
	defer end()
	var working sync.WaitGroup
	for _, room := range rooms {
		room.start(ctx, &working)
	}
	for _, pair := range pages {
		pair.start(ctx, 200*time.Millisecond, &working)
	}
	newcomers := new(ages)
	working.Go(func() { h.newcomers(ctx, newcomers) })
	working.Go(func() { use.watch(ctx) })
	m.run(ctx)
	working.Wait()

	m.finish()
	for _, name := range slices.Sorted(maps.Keys(rooms)) {
		rooms[name].finish(t, name)
	}
	for _, pair := range pages {
		pair.finish()
	}
	t.Logf("newcomers: %v; %d allocations came and went; %d reloads", newcomers, m.came, m.reloads)
	third := len(use.took) / 3
	middle, last := mean(use.took[third:2*third]), mean(use.took[2*third:])
	t.Logf("the box takes %d KiB in the first third of %v, %d in the second, %d in the last; %.0f %% of a core",
		mean(use.took[:third])>>10, during, middle>>10, last>>10, use.cores()*100)
	if last > middle+middle/10+mixedGrowth {
		t.Errorf("the box grows: %d MiB, then %d MiB", middle>>20, last>>20)
	}
	back := func() bool { return goroutinesOf(t, l) <= goroutines+mixedFew && use.files() <= files+mixedFew }
	for deadline := time.Now().Add(patience); !back() && time.Now().Before(deadline); {
		time.Sleep(100 * time.Millisecond)
	}
	t.Logf("%d goroutines and %d files before, %d and %d after", goroutines, files, goroutinesOf(t, l), use.files())
	if !back() {
		t.Error("some goroutines or files stay")
	}
}

func mean(all []int) (m int) {
	for _, one := range all {
		m += one
	}
	return m / max(len(all), 1)
}

// mixedConfig is the n-th configuration. It differs from the one before in what nobody here is
// touched by.
func mixedConfig(n int) string {
	return lab.Config + fmt.Sprintf(`
[[turn.users]]
name = "guest%d"
password = "p"

[turn.limits]
permissions = %d

[signal]
room_capacity = %d
`, n, 200+n%2, 20+n%2)
}

// mixedReloaded is what `signalbox reload` says of it.
const mixedReloaded = "reloaded: turn.users, turn.limits.permissions, signal.room_capacity\n"

// mixed are the TURN clients of mixedLoad, and what happens to them.
type mixed struct {
	t                *testing.T
	l                *lab.Lab
	server           *lab.Server
	callers, callees *lab.Namespace
	streams          []*numbered
	reloads, came    int
}

// client gets an allocation over UDP, TCP or TLS in turn, and a peer of its own on that port.
func (m *mixed) client(n int, port int) (transport string, client *turnClient, peer *net.UDPConn) {
	m.t.Helper()
	peer = m.callees.ListenUDP(m.t, fmt.Sprint(m.callees.Public, ":", port))
	roomy(m.t, peer)
	transport = []string{"udp", "tcp", "tls"}[n%3]
	if transport != "tls" {
		client = newTURNClient(m.t, m.callers, m.server, transport, "u", "p")
		if conn, ok := client.conn.(*net.UDPConn); ok {
			roomy(m.t, conn)
		}
		return transport, client, peer
	}
	conn, err := m.callers.DialContext(m.t.Context(), "tcp", m.server.Host()+":8443")
	if err != nil {
		m.t.Fatal(err)
	}
	m.t.Cleanup(func() { conn.Close() })
	secure := tls.Client(conn, &tls.Config{InsecureSkipVerify: true}) // the lab's are self-signed
	return transport, allocateOn(m.t, secure, true, "u", "p"), peer
}

func (m *mixed) stream(n, perSecond int) *numbered {
	m.t.Helper()
	transport, client, peer := m.client(n, 7000+n)
	return passNumbered(m.t, fmt.Sprint(transport, "-", n), client, peer, perSecond)
}

// packetsEach is what a client that comes and goes sends at once each way: enough that some are on
// the way while the box still learns of it.
const packetsEach = 16

// comeAndGo is a client that gets an allocation, has it pass some packets each way, and ends it.
func (m *mixed) comeAndGo() {
	m.t.Helper()
	m.came++
	transport, client, peer := m.client(m.came, 8000)
	defer client.conn.Close()
	defer peer.Close()
	if code := client.bind(channel, peer.LocalAddr().(*net.UDPAddr).AddrPort()); code != 0 {
		m.t.Fatalf("bind: %d", code)
	}
	for n := range packetsEach {
		client.channelData(channel, fmt.Sprint("there ", n))
	}
	peer.SetReadDeadline(time.Now().Add(patience))
	b := make([]byte, 100)
	for n := range packetsEach {
		size, from, err := peer.ReadFromUDPAddrPort(b)
		if want := fmt.Sprint("there ", n); err != nil || string(b[:size]) != want || from != client.relayed {
			m.t.Fatalf("a client over %s, at %v, has its peer hear %q from %v, not %q: %v", transport, client.relayed,
				b[:size], from, want, err)
		}
	}
	for n := range packetsEach {
		if _, err := peer.WriteToUDPAddrPort(fmt.Append(nil, "back ", n), client.relayed); err != nil {
			m.t.Fatal(err)
		}
	}
	for n := range packetsEach {
		if want, said := fmt.Sprint("back ", n), client.awaitData(); said != want {
			m.t.Fatalf("a client over %s hears %q instead of %q", transport, said, want)
		}
	}
	client.end()
}

// run has the configuration read again, allocations refreshed, and clients come and go.
func (m *mixed) run(ctx context.Context) {
	m.t.Helper()
	reload := time.NewTicker(reloadEvery)
	defer reload.Stop()
	renew := time.NewTicker(7 * time.Second) // before, after and beside a reload
	defer renew.Stop()
	come := time.NewTicker(500 * time.Millisecond)
	defer come.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-reload.C:
			m.reloads++
			if said := m.server.Reload(m.t, mixedConfig(m.reloads)); said != mixedReloaded {
				m.t.Errorf("reload %d: %s", m.reloads, said)
			}
		case <-renew.C:
			for _, n := range m.streams {
				n.renew()
			}
		case <-come.C:
			m.comeAndGo()
		}
	}
}

// finish ends the streams, and says what they have lost and where.
func (m *mixed) finish() {
	m.t.Helper()
	for _, n := range m.streams {
		n.silence()
	}
	lost := func() (all int) {
		for _, n := range m.streams {
			all += n.up.lost() + n.down.lost()
		}
		return all
	}
	for deadline := time.Now().Add(patience); lost() > 0 && time.Now().Before(deadline); {
		time.Sleep(10 * time.Millisecond)
	}
	box, noRoom := status(m.t, m.l, m.server).TURN, m.overflowed() // while the streams' sockets are there
	for _, n := range m.streams {
		n.part()
		m.t.Logf("%s: up %v; down %v", n.name, &n.up, &n.down)
		for _, a := range box.Allocations {
			if a.Relay == n.relayed.String() && n.up.lost()+n.down.lost() > 0 {
				m.t.Logf("%s: the box has sent on %d and %d", n.name, a.FromClientPackets, a.ToClientPackets)
			}
		}
		if n.up.twice+n.down.twice+n.up.absurd+n.down.absurd > 0 {
			m.t.Errorf("%s: packets came twice, or out of nothing", n.name)
		}
	}
	m.t.Logf("%d packets are lost; the box's sockets had no room for %d", lost(), noRoom)
	// Where they had none, the box stood still, and drops what is too old.
	dropped := 0
	for reason, n := range box.Drops {
		if dropped += n; n > 0 {
			m.t.Logf("the box has dropped %d packets: %s", n, reason)
		}
	}
	if lost() > noRoom || dropped > noRoom {
		m.t.Error("the box lost packets")
	}
}

// overflowed counts the datagrams that the kernel has dropped because there was no room for them in
// a socket of the box, which alone has any in its namespace. A socket that is closed is forgotten.
func (m *mixed) overflowed() (all int) {
	m.t.Helper()
	for _, table := range []string{"udp", "udp6"} {
		var text []byte
		if err := m.l.Server.Do(func() (err error) {
			text, err = os.ReadFile("/proc/thread-self/net/" + table)
			return err
		}); err != nil {
			m.t.Fatal(err)
		}
		_, rows, _ := strings.Cut(string(text), "\n") // the first line has the names; drops are the last column
		for row := range strings.Lines(rows) {
			fields := strings.Fields(row)
			n, err := strconv.Atoi(fields[len(fields)-1])
			if err != nil {
				m.t.Fatal(err)
			}
			all += n
		}
	}
	return all
}

// roomy gives a socket of the test's so much room that what it lacks was not dropped there.
func roomy(t *testing.T, conn *net.UDPConn) {
	t.Helper()
	raw, err := conn.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	var refused error
	err = raw.Control(func(fd uintptr) {
		refused = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, 16<<20)
	})
	if err := errors.Join(err, refused); err != nil {
		t.Fatal(err)
	}
}

// goroutinesOf returns how many the server has.
func goroutinesOf(t *testing.T, l *lab.Lab) int {
	t.Helper()
	client := l.Server.Client()
	resp, err := client.Get("http://127.0.0.1:9641/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	found := regexp.MustCompile(`(?m)^go_goroutines (\d+)$`).FindSubmatch(text)
	if err != nil || resp.StatusCode != http.StatusOK || found == nil {
		t.Fatalf("metrics: %s: %v\n%s", resp.Status, err, text)
	}
	n, err := strconv.Atoi(string(found[1]))
	if err != nil {
		t.Fatal(err)
	}
	return n
}
