//go:build linux

package lab_test

import (
	"bytes"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"net"
	"net/netip"
	"os"
	"regexp"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/pion/stun/v3"

	"signalbox/internal/testkit"
	"signalbox/scripts/lab"
)

// TestAttackF3MediaIsFresh: media over TCP and TLS stays fresh on ways that are slow, long, or
// become so. Each needs little of the machine and much time, so they run side by side.
func TestAttackF3MediaIsFresh(t *testing.T) {
	for name, test := range map[string]func(*testing.T){
		"slow way":               slowWay,
		"slow way, TLS":          slowWayOverTLS,
		"way grows longer":       func(t *testing.T) { wayGrowsLonger(t, "cubic", 5*time.Second) },
		"way grows longer (bbr)": func(t *testing.T) { wayGrowsLonger(t, "bbr", 15*time.Second) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t)
		})
	}
}

func slowWay(t *testing.T) {
	l := lab.New(t, lab.FullCone, lab.FullCone)
	host, ours := startRelay(t, l)
	goesSlow(t, l, newTURNClientOf(t, l.A, host, "tcp", "u", "p"), ":3478", ours)
}

// slowWayOverTLS is slowWay for a client on the web port.
func slowWayOverTLS(t *testing.T) {
	l := lab.New(t, lab.FullCone, lab.FullCone)
	server := lab.StartServer(t, l.Server, lab.Config)
	plain, err := l.A.DialContext(t.Context(), "tcp4", server.Host()+":8443")
	if err != nil {
		t.Fatal(err)
	}
	conn := tls.Client(plain, &tls.Config{InsecureSkipVerify: true}) // the lab's are self-signed
	t.Cleanup(func() { conn.Close() })
	goesSlow(t, l, allocateOn(t, conn, true, "u", "p"), ":8443", true)
}

// goesSlow: a client over TCP is sent 2 Mbit/s, and in the middle of it, its network carries
// 1 Mbit/s. What arrives is fresh; what can't be is dropped, and what the server holds of it is
// little.
func goesSlow(t *testing.T, l *lab.Lab, client *turnClient, port string, ours bool) {
	t.Helper()
	call := callDownOn(t, l, client, port, 2_000_000)
	before := call.run(3 * time.Second)
	l.NATA.Exec(t, "tc", "qdisc", "add", "dev", "lan", "root", "tbf", "rate", "1mbit",
		"burst", "16k", "latency", "100ms")
	slow := call.run(20 * time.Second)
	l.NATA.Exec(t, "tc", "qdisc", "del", "dev", "lan", "root")
	call.run(2 * time.Second)
	after := call.run(3 * time.Second)
	most := call.stop()
	sent := slow.sent
	for _, run := range []*ages{before, slow, after} {
		run.sent = len(run.got) // what is dropped has no age
	}
	t.Logf("of %d packets: %v; the kernel held at most %d KiB for the client; as fast as before: %v, then %v", sent,
		slow, most>>10, before, after)
	if !ours {
		return
	}
	// How late everything is here: a machine that is busy makes what is fresh older, too. Usual are
	// 0.3 s; if nothing were dropped, it would be 5 s.
	late := max(before.quantile(0.99), after.quantile(0.99))
	if late == never {
		t.Fatal("on a way that is fast nothing arrives")
	}
	if p50 := slow.quantile(0.5); p50 > min(time.Second+4*late, 3*time.Second) {
		t.Errorf("the age is %v (p50), and %v (p99) on a way that is fast", p50, late)
	}
	if slow.sent < sent/3 {
		t.Errorf("only %d of %d packets arrived", slow.sent, sent)
	}
	if most > 144<<10 { // and 112 KiB are the process's
		t.Errorf("the kernel held %d KiB for one client", most>>10)
	}
}

// wayGrowsLonger: in the middle of a call of 500 kbit/s over TCP, its client's way grows from 20 to
// 400 ms, and 1 % is lost there. Its media goes on, and none is older than such a way makes it.
// Then the way is short again.
//
// The control has some time to settle first. For ten seconds, bbr takes the way for as short as it
// was, and has too little under way; then it has to find its rate anew. Of a call on a way that
// loses nothing, 68, 41 and 71 % arrive in the first three times 5 s, and all after that.
func wayGrowsLonger(t *testing.T, control string, settles time.Duration) {
	l := lab.New(t, lab.FullCone, lab.FullCone)
	useControl(t, l, control)
	path := l.NewPath(t)
	path.Set(20*time.Millisecond, 0)
	host, ours := startRelay(t, l)
	call := callDown(t, l, host, 500_000)
	call.run(5 * time.Second)
	path.Set(400*time.Millisecond, 100)
	call.run(settles)
	long := call.run(20 * time.Second)
	// Which packets are lost is chance: one that is lost twice takes seconds.
	for range 3 {
		if long.quantile(0.7) != never {
			break
		}
		t.Log("once more, since less than 70 % arrived")
		long = call.run(20 * time.Second)
	}
	path.Set(20*time.Millisecond, 0)
	call.run(2 * time.Second)
	short := call.run(5 * time.Second)
	most := call.stop()
	t.Logf("at 400 ms and 1 %% loss: %v; at 20 ms again: %v; the kernel held at most %d KiB", long, short, most>>10)
	if !ours {
		return
	}
	// TCP itself waits for what is lost, so even without a bound some comes too late: 79 to 96 %
	// arrive then.
	if n := len(long.got); n < long.sent*7/10 {
		t.Errorf("on the long way only %d of %d arrived", n, long.sent)
	}
	if oldest := long.quantile(0.99); oldest > 3*time.Second && oldest != never {
		t.Errorf("on the long way the age is %v (p99)", oldest)
	}
	if n := len(short.got); n < short.sent*99/100 {
		t.Errorf("on the short way only %d of %d arrived", n, short.sent)
	}
	if most > 144<<10 {
		t.Errorf("the kernel held %d KiB for one client", most>>10)
	}
}

// TestLongAttackF3DeepBuffers: a client over TCP whose network carries 1 Mbit/s, and keeps what
// waits for seconds, is sent 2 Mbit/s. What arrives is fresh, also after a while: that the way is
// slow by what waits there is not taken for a long way.
func TestLongAttackF3DeepBuffers(t *testing.T) {
	testkit.Long(t)
	for _, control := range []string{"cubic", "bbr"} {
		t.Run(control, func(t *testing.T) {
			l := lab.New(t, lab.FullCone, lab.FullCone)
			useControl(t, l, control)
			l.NewPath(t).Set(20*time.Millisecond, 0)
			l.NATA.Exec(t, "tc", "qdisc", "add", "dev", "near", "root", "tbf", "rate", "1mbit",
				"burst", "16k", "latency", "4s")
			host, ours := startRelay(t, l)
			call := callDown(t, l, host, 2_000_000)
			var runs []*ages
			for range 5 {
				runs = append(runs, call.run(5*time.Second))
			}
			most := call.stop()
			for i, got := range runs {
				got.sent = len(got.got)
				t.Logf("after %d s: %v", 5*i, got)
				if !ours {
					continue
				}
				if p50 := got.quantile(0.5); i >= 2 && p50 > 500*time.Millisecond {
					t.Errorf("the age is %v (p50)", p50)
				}
				if got.sent < 1250/3 {
					t.Errorf("only %d of 1250 packets arrived", got.sent)
				}
			}
			if t.Logf("the kernel held at most %d KiB", most>>10); most > 144<<10 && ours {
				t.Errorf("the kernel held %d KiB for one client", most>>10)
			}
		})
	}
}

// useControl sets how the server's TCP controls congestion, or skips.
func useControl(t *testing.T, l *lab.Lab, control string) {
	t.Helper()
	err := l.Server.Command(t.Context(), "ip", "route", "change", "default", "dev", "eth0", "src", l.Server.Public,
		"congctl", control).Run()
	if err != nil {
		t.Skipf("this kernel has no %s", control)
	}
	l.Server.Exec(t, "ip", "route", "add", lab.AddrNATA, "dev", "eth0", "src", l.Server.Public, "congctl", control)
}

// downCall is a call over TCP in which a peer sends to the client A.
type downCall struct {
	t        *testing.T
	l        *lab.Lab
	peer     *net.UDPConn
	client   *turnClient
	port     string
	interval time.Duration
	reading  sync.WaitGroup

	mu   sync.Mutex
	most int     // bytes that the kernel of the server has held
	runs []*ages // what is sent in each run
}

const downSize = 1000 // of a packet, in bytes

func callDown(t *testing.T, l *lab.Lab, host string, rate int) *downCall {
	t.Helper()
	return callDownOn(t, l, newTURNClientOf(t, l.A, host, "tcp", "u", "p"), ":3478", rate)
}

// callDownOn is callDown for a client of the server's port.
func callDownOn(t *testing.T, l *lab.Lab, client *turnClient, port string, rate int) *downCall {
	t.Helper()
	peer := l.AddHost(t, "peer", 64)
	at := peer.Public + ":7000"
	c := &downCall{t: t, l: l, peer: peer.ListenUDP(t, at), client: client, port: port,
		interval: time.Second * 8 * downSize / time.Duration(rate)}
	if code := c.client.bind(0x4000, netip.MustParseAddrPort(at)); code != 0 {
		t.Fatalf("bind: %d", code)
	}
	c.client.conn.SetReadDeadline(time.Time{})
	c.reading.Go(func() {
		for {
			frame, err := c.client.read()
			if err != nil {
				return
			}
			if binary.BigEndian.Uint16(frame) == 0x4000 {
				c.mu.Lock()
				of := c.runs[binary.BigEndian.Uint16(frame[4+8:])]
				c.mu.Unlock()
				of.add(age(frame[4:]))
			}
		}
	})
	return c
}

// run goes on with the call and returns the ages of what was sent in the meantime, some of which
// arrives only in the next run, or until stop.
func (c *downCall) run(d time.Duration) *ages {
	got := new(ages)
	c.mu.Lock()
	c.runs = append(c.runs, got)
	number := len(c.runs) - 1
	c.mu.Unlock()
	data := make([]byte, downSize)
	binary.BigEndian.PutUint16(data[8:], uint16(number))
	tick := time.NewTicker(c.interval)
	defer tick.Stop()
	sampled := time.Now()
	var sampling sync.WaitGroup
	defer sampling.Wait()
	for began := time.Now(); time.Since(began) < d; <-tick.C {
		c.peer.WriteToUDPAddrPort(stamp(data), c.client.relayed) //nolint:errcheck // UDP
		got.send()
		if time.Since(sampled) > 500*time.Millisecond {
			sampled = time.Now()
			sampling.Go(func() {
				held := memoryOf(c.t, c.l.Server, c.port)
				c.mu.Lock()
				defer c.mu.Unlock()
				c.most = max(c.most, held)
			})
		}
	}
	return got
}

// stop ends the call when what is on its way has arrived, and returns the most that the server's
// kernel has held for its client.
func (c *downCall) stop() (most int) {
	c.run(time.Second)
	c.client.conn.Close()
	c.reading.Wait()
	return c.most
}

// TestAttackF3UnreadAnswersOverTLS is TestAttackF3UnreadAnswers for a client on the web port.
func TestAttackF3UnreadAnswersOverTLS(t *testing.T) {
	l := lab.New(t, lab.FullCone, lab.FullCone)
	server := lab.StartServer(t, l.Server, lab.Config)
	plain, err := l.A.DialContext(t.Context(), "tcp4", server.Host()+":8443")
	if err != nil {
		t.Fatal(err)
	}
	// What its own kernel has taken, it has read as far as the server can tell.
	if err := plain.(*net.TCPConn).SetReadBuffer(4096); err != nil {
		t.Fatal(err)
	}
	conn := tls.Client(plain, &tls.Config{InsecureSkipVerify: true}) // the lab's are self-signed
	t.Cleanup(func() { conn.Close() })
	request := stun.MustBuild(stun.TransactionID, stun.BindingRequest).Raw
	began := time.Now()
	conn.SetWriteDeadline(began.Add(10 * time.Second))
	written, unread, unsent := 0, 0, 0
	for err == nil && written < 64<<20 {
		var n int
		n, err = conn.Write(bytes.Repeat(request, 1000))
		r, w := heldFor(t, l.Server, ":8443")
		unread, unsent = max(unread, r), max(unsent, w)
		written += n
	}
	t.Logf("stopped after %d KiB of requests and %v; the kernel held at most %d KiB to read and %d KiB to send",
		written>>10, time.Since(began).Round(time.Millisecond), unread>>10, unsent>>10)
	if unread > mostUnread || unsent > mostUnsent {
		t.Errorf("the kernel held %d KiB to read of a stranger, and %d KiB to send", unread>>10, unsent>>10)
	}
	if err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("the stranger was not shown out: %v", err)
	}
}

// What the kernel may hold of what a stranger has written and of what is written to it: 16 and 8
// KiB, and the one packet that is more.
const mostUnread, mostUnsent = (16 + 8) << 10, (8 + 4) << 10

// TestAttackF3UnreadAnswers: a stranger over TCP who asks on and on and reads nothing is stopped.
func TestAttackF3UnreadAnswers(t *testing.T) {
	l := lab.New(t, lab.FullCone, lab.FullCone)
	host, ours := startRelay(t, l)
	conn, err := l.A.DialContext(t.Context(), "tcp4", host+":3478")
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	request := stun.MustBuild(stun.TransactionID, stun.BindingRequest).Raw
	many := bytes.Repeat(request, 1000)
	// What its own kernel has taken, it has read as far as the server can tell.
	if err := conn.(*net.TCPConn).SetReadBuffer(4096); err != nil {
		t.Fatal(err)
	}
	// The window that the handshake announced, 64 KiB, can't be taken back: it is used up first.
	for range 64<<10/len(request) + 1 {
		if _, err := conn.Write(request); err != nil {
			t.Fatal(err)
		}
		if _, err := conn.Read(make([]byte, 1500)); err != nil {
			t.Fatal(err)
		}
	}
	began, done := time.Now(), make(chan struct{})
	unread, unsent := 0, 0 // the most that the kernel has held
	var sampling sync.WaitGroup
	sampling.Go(func() {
		for {
			r, w := heldFor(t, l.Server, ":3478")
			unread, unsent = max(unread, r), max(unsent, w)
			select {
			case <-done:
				return
			case <-time.After(10 * time.Millisecond):
			}
		}
	})
	written := 0
	conn.SetWriteDeadline(began.Add(10 * time.Second))
	for err == nil && written < 64<<20 {
		var n int
		n, err = conn.Write(many)
		written += n
	}
	took := time.Since(began)
	close(done)
	sampling.Wait()
	t.Logf("stopped after %d KiB of requests and %v; the kernel held at most %d KiB to read and %d KiB to send",
		written>>10, took.Round(time.Millisecond), unread>>10, unsent>>10)
	if !ours {
		return
	}
	if unread > mostUnread || unsent > mostUnsent {
		t.Errorf("the kernel held %d KiB to read of a stranger, and %d KiB to send", unread>>10, unsent>>10)
	}
	if err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("the stranger was not shown out: %v", err)
	}
}

var skmem = regexp.MustCompile(`skmem:\(r(\d+),.*?,w(\d+),`)

// memoryOf is what the kernel of a server holds for what was written to the clients of a port, and
// for what those have written: bytes with its bookkeeping.
func memoryOf(t *testing.T, in *lab.Namespace, port string) (bytes int) {
	t.Helper()
	unread, unsent := heldFor(t, in, port)
	return unread + unsent
}

// heldFor is memoryOf, apart: what the clients have written and the server has not read, and what
// was written to them.
func heldFor(t *testing.T, in *lab.Namespace, port string) (unread, unsent int) {
	t.Helper()
	for _, m := range skmem.FindAllStringSubmatch(in.Exec(t, "ss", "-tnmH", "sport", "=", port), -1) {
		for i, sum := range []*int{&unread, &unsent} {
			held, err := strconv.Atoi(m[1+i])
			if err != nil {
				t.Fatal(err)
			}
			*sum += held
		}
	}
	return unread, unsent
}

// Clients with an allocation send as fast as they can, and then ask on and on, and read next to
// nothing of the answers. The kernel gathers little of either.
func TestAttackF3UnreadAnswersInACall(t *testing.T) {
	l := lab.New(t, lab.FullCone, lab.FullCone)
	useControl(t, l, "cubic")
	l.NewPath(t).Set(100*time.Millisecond, 0)
	l.Server.Exec(t, "sysctl", "-w", "net.ipv4.tcp_rmem=4096 131072 6291456")
	host, ours := startRelay(t, l)
	frame := make([]byte, 4+1400)
	binary.BigEndian.PutUint16(frame, 0x4000) // bound to nobody
	binary.BigEndian.PutUint16(frame[2:], 1400)
	data := bytes.Repeat(frame, 50)
	asks := bytes.Repeat(stun.MustBuild(stun.TransactionID, stun.BindingRequest).Raw, 1000)
	const clients = 3
	var sending sync.WaitGroup
	for range clients {
		c := newTURNClientOf(t, l.A, host, "tcp", "u", "p")
		if err := c.conn.(*net.TCPConn).SetReadBuffer(4096); err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		c.conn.SetDeadline(began.Add(12 * time.Second))
		sending.Go(func() {
			for what := data; ; {
				if _, err := c.conn.Write(what); err != nil {
					return // its time is over, or it was shown out
				}
				if time.Since(began) > 4*time.Second {
					what = asks
				}
			}
		})
		sending.Go(func() {
			some := make([]byte, 12_000)
			for {
				if _, err := c.conn.Read(some); err != nil {
					return
				}
				time.Sleep(time.Second)
			}
		})
	}
	most := 0
	for range 30 {
		time.Sleep(300 * time.Millisecond)
		unread, unsent := heldFor(t, l.Server, ":3478")
		most = max(most, unread+unsent)
	}
	sending.Wait()
	t.Logf("the kernel held at most %d KiB for %d clients", most>>10, clients)
	if ours && most > clients*(128+112+32)<<10 {
		t.Errorf("the kernel held %d KiB for %d clients", most>>10, clients)
	}
}

// Of a client with an allocation the kernel takes more than of a stranger: its uplink carries a
// call.
func TestAttackF3ClientsAreReadFastEnough(t *testing.T) {
	l := lab.New(t, lab.FullCone, lab.FullCone)
	useControl(t, l, "cubic")
	l.NewPath(t).Set(100*time.Millisecond, 0)
	host, _ := startRelay(t, l)
	peer := l.AddHost(t, "peer", 64).Public + ":7000"
	client := newTURNClientOf(t, l.A, host, "tcp", "u", "p")
	if code := client.bind(0x4000, netip.MustParseAddrPort(peer)); code != 0 {
		t.Fatalf("bind: %d", code)
	}
	frame := make([]byte, 4+1000)
	binary.BigEndian.PutUint16(frame, 0x4000)
	binary.BigEndian.PutUint16(frame[2:], 1000)
	many := bytes.Repeat(frame, 50)
	client.conn.SetWriteDeadline(time.Now().Add(20 * time.Second))
	send := func(d time.Duration) (written int) {
		for began := time.Now(); time.Since(began) < d; {
			n, err := client.conn.Write(many)
			if written += n; err != nil {
				t.Fatal(err)
			}
		}
		return written
	}
	send(2 * time.Second)
	rate := send(5*time.Second) * 8 / 5
	t.Logf("%.1f Mbit/s at 100 ms", float64(rate)/1e6)
	if rate < 4e6 {
		t.Errorf("a client with an allocation is read with %d bit/s", rate)
	}
}
