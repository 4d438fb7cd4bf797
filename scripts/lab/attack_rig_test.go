//go:build linux

package lab_test

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pion/stun/v3"

	"signalbox/scripts/lab"
)

// What tests of attacks share: an honest call and newcomers, measured while an attack runs.

// usualBuffers gives sockets the largest send buffers that Linux grants by default, up to 6.15, and
// most distributions still do. It is one value for all namespaces.
func usualBuffers(t *testing.T) {
	t.Helper()
	const file, usual = "/proc/sys/net/core/wmem_max", "212992"
	before, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(usual), 0); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.WriteFile(file, before, 0); err != nil {
			t.Error(err)
		}
	})
}

// onLink is the server's own network, in one of the families of addresses. A host has the same
// number in both.
type onLink int

const (
	fourOnLink onLink = iota // 203.0.113.0/24
	sixOnLink                // 2bad::/64, which is global in the lab only
	// The same, but the server's address is one of no network, as DHCPv6 gives them: that its
	// neighbors are there only a route says.
	sixByRoute
	// The same, but the caller has an address of another network that lies in this one, to which he
	// is the server's router.
	sixWithin
)

func (o onLink) addr(number int) netip.Addr {
	if o == fourOnLink {
		return netip.AddrFrom4([4]byte{203, 0, 113, byte(number)})
	}
	return netip.AddrFrom16([16]byte{0x2b, 0xad, 14: byte(number >> 8), 15: byte(number)})
}

func (o onLink) at(number int, port uint16) netip.AddrPort {
	return netip.AddrPortFrom(o.addr(number), port)
}

// addHost is lab.AddHost for a host with an address of the family.
func (o onLink) addHost(t *testing.T, l *lab.Lab, role string, number int) *lab.Namespace {
	t.Helper()
	n := l.AddHost(t, role, uint8(number))
	if o != fourOnLink {
		n.Exec(t, "ip", "addr", "add", o.addr(number).String()+"/64", "dev", "eth0", "nodad")
	}
	return n
}

// family is what an Allocate asks for to get a relay there (RFC 8656 §18.9).
func (o onLink) family() (how []stun.Setter) {
	if o != fourOnLink {
		how = append(how, stun.RawAttribute{Type: stun.AttrRequestedAddressFamily, Value: []byte{2, 0, 0, 0}})
	}
	return how
}

// start is startRelay for clients of the family.
func (o onLink) start(t *testing.T, l *lab.Lab) (host string, ours bool) {
	t.Helper()
	const number = 10
	if o == fourOnLink {
		return startRelay(t, l)
	}
	address := o.addr(number).String() + "/64"
	if o == sixByRoute {
		address = o.addr(number).String()
		l.Server.Exec(t, "ip", "route", "add", "2bad::/64", "dev", "eth0")
	}
	l.Server.Exec(t, "ip", "addr", "add", address, "dev", "eth0", "nodad")
	l.Server.Exec(t, "ip", "route", "add", "default", "via", o.addr(1).String()) // so it relays there by itself
	_, ours = startRelay(t, l, o.addr(number).String())
	return o.addr(number).String(), ours
}

// startRelay starts the server under attack and returns its address: signalbox, or coturn if
// SIGNALBOX_LAB_COTURN is set, whose figures are for comparison and fail no test. coturn is told of
// more addresses.
func startRelay(t *testing.T, l *lab.Lab, more ...string) (host string, ours bool) {
	t.Helper()
	if os.Getenv("SIGNALBOX_LAB_COTURN") == "" {
		config := strings.Replace(lab.Config, `allow_peers = [`, `allow_peers = ["2bad::/32", `, 1)
		return lab.StartServer(t, l.Server, config).Host(), true
	}
	lab.Require(t, "turnserver")
	dir := t.TempDir()
	file := filepath.Join(dir, "turnserver.conf")
	config := strings.Join([]string{
		"listening-ip=" + l.Server.Public, "relay-ip=" + l.Server.Public, "listening-port=3478", "realm=example.org",
		"lt-cred-mech", "user=u:p", "fingerprint", "no-tls", "no-dtls", "no-cli", "userdb=" + filepath.Join(dir, "db"),
		"pidfile=" + filepath.Join(dir, "pid"), "log-file=" + filepath.Join(dir, "log"), "simple-log", "",
	}, "\n")
	for _, ip := range more {
		config += "listening-ip=" + ip + "\nrelay-ip=" + ip + "\n"
	}
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cmd := l.Server.Command(ctx, "turnserver", "-c", file)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cancel()
		cmd.Wait() //nolint:errcheck // it was killed
	})
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		conn, err := l.Server.DialContext(t.Context(), "tcp", l.Server.Public+":3478")
		if err == nil {
			conn.Close()
			return l.Server.Public, false
		}
		if time.Now().After(deadline) {
			t.Fatal(err)
		}
	}
}

// ages are how old things were when they arrived, in order of arrival, of so many that were sent.
type ages struct {
	mu   sync.Mutex
	sent int
	got  []time.Duration
}

func (a *ages) send() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.sent++
}

func (a *ages) add(age time.Duration) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.got = append(a.got, age)
}

// never is the age of what did not arrive.
const never = time.Hour

// quantile returns the age that a share of all that was sent did not exceed.
func (a *ages) quantile(share float64) time.Duration {
	a.mu.Lock()
	defer a.mu.Unlock()
	i := int(share * float64(a.sent))
	if i >= len(a.got) {
		return never
	}
	sorted := slices.Sorted(slices.Values(a.got))
	return sorted[i]
}

func (a *ages) String() string {
	name := func(share float64) string {
		if q := a.quantile(share); q != never {
			return q.Round(100 * time.Microsecond).String()
		}
		return "never"
	}
	oldest := time.Duration(0)
	a.mu.Lock()
	for _, age := range a.got {
		oldest = max(oldest, age)
	}
	arrived, sent := len(a.got), a.sent
	a.mu.Unlock()
	return fmt.Sprintf("%d of %d, p50 %s, p99 %s, oldest %v", arrived, sent, name(0.5), name(0.99),
		oldest.Round(100*time.Microsecond))
}

// stamp writes the time into a packet of a call; read tells how long ago that was.
func stamp(b []byte) []byte {
	binary.BigEndian.PutUint64(b, uint64(time.Now().UnixNano()))
	return b
}

func age(b []byte) time.Duration {
	return time.Duration(time.Now().UnixNano() - int64(binary.BigEndian.Uint64(b)))
}

// bystanders measures an honest call, both ways at 100 packets a second, and newcomers' Binding
// requests, 50 a second from sockets of their own, from now on until stop.
func bystanders(t *testing.T, l *lab.Lab, on onLink, host string) (stop func() (call, newcomers *ages)) {
	t.Helper()
	caller, callee := on.addHost(t, l, "caller", 64), on.addHost(t, l, "callee", 65)
	fresh := on.addHost(t, l, "fresh", 66)
	if on == sixWithin {
		caller.Exec(t, "ip", "addr", "add", "2bad::5:0:0:1/128", "dev", "lo", "nodad")
		caller.Exec(t, "ip", "route", "add", host, "dev", "eth0", "src", "2bad::5:0:0:1")
		l.Server.Exec(t, "ip", "route", "add", "2bad::5:0:0:0/80", "via", on.addr(64).String())
	}
	client := newTURNClientOf(t, caller, host, "udp", "u", "p", on.family()...)
	peer := callee.ListenUDP(t, on.at(65, 7000).String())
	if code := client.bind(0x4000, on.at(65, 7000)); code != 0 {
		t.Fatalf("bind: %d", code)
	}
	call, newcomers := new(ages), new(ages)
	done := make(chan struct{})
	var senders, readers sync.WaitGroup
	send := func(pace time.Duration, f func()) {
		senders.Go(func() {
			every(pace, done, func() (over bool) {
				f()
				return false
			})
		})
	}
	frame := make([]byte, 4+160)
	binary.BigEndian.PutUint16(frame, 0x4000)
	binary.BigEndian.PutUint16(frame[2:], 160)
	data := make([]byte, 160)
	send(10*time.Millisecond, func() {
		stamp(frame[4:])
		call.send()
		client.write(frame)
	})
	send(10*time.Millisecond, func() {
		call.send()
		peer.WriteToUDPAddrPort(stamp(data), client.relayed) //nolint:errcheck // UDP
	})
	hear := func(conn net.Conn, header int) {
		conn.SetReadDeadline(time.Time{})
		readers.Go(func() {
			buf := make([]byte, 2000)
			for {
				n, err := conn.Read(buf)
				if err != nil {
					return
				}
				if n == header+160 {
					call.add(age(buf[header:]))
				}
			}
		})
	}
	hear(client.conn, 4)
	hear(peer, 0)
	send(20*time.Millisecond, func() {
		newcomers.send()
		senders.Go(func() {
			conn, err := fresh.DialContext(context.Background(), "udp", net.JoinHostPort(host, "3478"))
			if err != nil {
				t.Error(err)
				return
			}
			defer conn.Close()
			asked := time.Now()
			conn.SetDeadline(asked.Add(5 * time.Second))
			conn.Write(stun.MustBuild(stun.TransactionID, stun.BindingRequest).Raw) //nolint:errcheck // UDP
			if _, err := conn.Read(make([]byte, 200)); err == nil {
				newcomers.add(time.Since(asked))
			} else if !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Log(err)
			}
		})
	})
	return func() (*ages, *ages) {
		close(done)
		senders.Wait()
		time.Sleep(time.Second) // what is late by more than that is as good as lost
		client.conn.Close()
		peer.Close()
		readers.Wait()
		return call, newcomers
	}
}
