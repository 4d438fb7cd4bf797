//go:build linux

package lab

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/miekg/dns"
	"golang.org/x/sys/unix"
)

const (
	netnsDir    = "/run/netns" // where iproute2 keeps named network namespaces
	netnsEtcDir = "/etc/netns" // and, for each, files that it shows there instead of those in /etc
)

// A Namespace is one host of a lab.
type Namespace struct {
	Name   string // as `ip netns` lists it
	Public string // the IPv4 address at which the outside sees it: that of its NAT, if it is behind one

	zone atomic.Pointer[zone] // see ServeDNS; nil: no name server runs
}

// Command returns a command that runs inside the namespace. It is killed when
// ctx ends, and with this process.
func (n *Namespace) Command(ctx context.Context, name string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, "ip", append([]string{"netns", "exec", n.Name, name}, args...)...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	// A grandchild that holds the output open must not keep Wait from returning.
	cmd.WaitDelay = 5 * time.Second
	return cmd
}

// Exec runs a command inside the namespace and returns its output, standard
// error included. A failure ends the test.
func (n *Namespace) Exec(t testing.TB, name string, args ...string) string {
	t.Helper()
	out, err := n.Command(t.Context(), name, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s in %s: %v\n%s", name, n.Name, err, out)
	}
	return string(out)
}

// Resolve gives addresses a name, for what starts in the namespace from now on: in its
// hosts file, and as ServeDNS does, which browsers ask besides.
func (n *Namespace) Resolve(t testing.TB, name string, addresses ...string) {
	t.Helper()
	hosts := "127.0.0.1 localhost\n"
	for _, address := range addresses {
		hosts += address + " " + name + "\n"
	}
	n.writeEtc(t, "hosts", hosts)
	n.ServeDNS(t, name, addresses...)
}

// writeEtc writes a file that the namespace has in /etc instead of the machine's.
func (n *Namespace) writeEtc(t testing.TB, file, text string) {
	t.Helper()
	dir := filepath.Join(netnsEtcDir, n.Name)
	err := os.MkdirAll(dir, 0o755)
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, file), []byte(text), 0o644)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// zone is what a name server knows: the addresses of one name.
type zone struct {
	name    string
	records map[uint16][]dns.RR // by type
}

// ServeDNS gives addresses a name, by a name server of the namespace's own. What
// starts there from now on asks it. The next call replaces the name.
func (n *Namespace) ServeDNS(t testing.TB, name string, addresses ...string) {
	t.Helper()
	n.writeEtc(t, "resolv.conf", "nameserver 127.0.0.1\n")
	fresh := &zone{name: name + ".", records: map[uint16][]dns.RR{}}
	for _, address := range addresses {
		kind := "A"
		if strings.Contains(address, ":") {
			kind = "AAAA"
		}
		record, err := dns.NewRR(name + ". 1 " + kind + " " + address)
		if err != nil {
			t.Fatal(err)
		}
		fresh.records[record.Header().Rrtype] = append(fresh.records[record.Header().Rrtype], record)
	}
	if n.zone.Swap(fresh) != nil {
		return
	}
	started := make(chan struct{})
	server := &dns.Server{PacketConn: n.ListenUDP(t, "127.0.0.1:53"), NotifyStartedFunc: func() { close(started) }}
	server.Handler = dns.HandlerFunc(func(w dns.ResponseWriter, asked *dns.Msg) {
		answer := new(dns.Msg).SetReply(asked)
		known := n.zone.Load()
		if len(asked.Question) == 1 && strings.EqualFold(asked.Question[0].Name, known.name) {
			answer.Answer = known.records[asked.Question[0].Qtype]
		} else {
			answer.Rcode = dns.RcodeNameError
		}
		w.WriteMsg(answer) //nolint:errcheck // the client asks again
	})
	done := make(chan struct{})
	go func() {
		defer close(done)
		server.ActivateAndServe() //nolint:errcheck // it ends with Shutdown
	}()
	<-started
	t.Cleanup(func() {
		server.Shutdown() //nolint:errcheck // it runs
		<-done
	})
}

// Nft loads nftables commands into the namespace, on top of what is there.
func (n *Namespace) Nft(t testing.TB, commands string) {
	t.Helper()
	if err := n.nft(commands); err != nil {
		t.Fatal(err)
	}
}

func (n *Namespace) nft(commands string) error {
	cmd := n.Command(context.Background(), "nft", "-f", "-")
	cmd.Stdin = strings.NewReader(commands)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("nft in %s: %w\n%s", n.Name, err, out)
	}
	return nil
}

// Do runs f on a thread that is inside the namespace. A socket that f opens
// stays in the namespace for good; f must not start goroutines that open more.
func (n *Namespace) Do(f func() error) error {
	done := make(chan error, 1)
	// A goroutine of its own: should the way back fail, it ends while locked to
	// its thread, and the runtime destroys the thread instead of reusing one that
	// sits in a foreign namespace.
	go func() {
		runtime.LockOSThread()
		home, err := os.Open("/proc/thread-self/ns/net")
		if err != nil {
			done <- err
			return
		}
		defer home.Close()
		there, err := os.Open(filepath.Join(netnsDir, n.Name))
		if err != nil {
			done <- err
			return
		}
		defer there.Close()
		if err := unix.Setns(int(there.Fd()), unix.CLONE_NEWNET); err != nil {
			done <- fmt.Errorf("enter namespace %s: %w", n.Name, err)
			return
		}
		err = f()
		if back := unix.Setns(int(home.Fd()), unix.CLONE_NEWNET); back != nil {
			done <- errors.Join(err, fmt.Errorf("leave namespace %s: %w", n.Name, back))
			return
		}
		runtime.UnlockOSThread()
		done <- err
	}()
	return <-done
}

// DialContext dials from inside the namespace. The address is an IP literal:
// a lab has no DNS.
func (n *Namespace) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	var conn net.Conn
	err := n.Do(func() (err error) {
		conn, err = new(net.Dialer).DialContext(ctx, network, address)
		return err
	})
	return conn, err
}

// ListenUDP opens a UDP socket inside the namespace and closes it with the test.
func (n *Namespace) ListenUDP(t testing.TB, address string) *net.UDPConn {
	t.Helper()
	var conn net.PacketConn
	network := "udp4"
	if strings.HasPrefix(address, "[") {
		network = "udp6"
	}
	err := n.Do(func() (err error) {
		conn, err = net.ListenPacket(network, address)
		return err
	})
	if err != nil {
		t.Fatalf("listen in %s: %v", n.Name, err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn.(*net.UDPConn)
}

// ListenTCP listens on an IPv4 address inside the namespace until the test ends.
func (n *Namespace) ListenTCP(t testing.TB, address string) net.Listener {
	t.Helper()
	var l net.Listener
	err := n.Do(func() (err error) {
		l, err = net.Listen("tcp4", address)
		return err
	})
	if err != nil {
		t.Fatalf("listen in %s: %v", n.Name, err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

// sysctl sets a network parameter of the namespace, such as
// "net/ipv4/ip_forward".
func (n *Namespace) sysctl(key, value string) error {
	// /proc/sys/net shows the namespace of the thread that opens it.
	return n.Do(func() error {
		return os.WriteFile("/proc/sys/"+key, []byte(value), 0)
	})
}

// ip runs ip(8) commands inside the namespace, one a line.
func (n *Namespace) ip(commands string) error {
	return ipBatch(commands, "-n", n.Name)
}

// ipBatch runs ip(8) commands, one a line, and stops at the first that fails.
func ipBatch(commands string, args ...string) error {
	cmd := exec.Command("ip", append(args, "-batch", "-")...)
	cmd.Stdin = strings.NewReader(commands)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("ip %s: %w: %s", strings.Join(args, " "), err, strings.TrimSpace(stderr.String()))
	}
	return nil
}
