//go:build linux

package lab_test

import (
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/pion/stun/v3"
	"golang.org/x/sys/unix"

	"signalbox/internal/testkit"
	"signalbox/scripts/lab"
)

// Datagrams for hosts of the server's own network that aren't there stay in the kernel for seconds,
// on the account of the socket that sent them. Whoever causes them, with a login, without one, or
// without knowing, delays nobody else: what turnsvc/doc.go says of that is tested here, with the
// send buffers that most machines have.

// attackTime is twice as long as the kernel holds on to what nobody takes.
const attackTime = 6 * time.Second

// TestAttackF1DeadPeers: a user sends 20,000 datagrams of 4 bytes to 4 peers that aren't there.
func TestAttackF1DeadPeers(t *testing.T) { deadPeers(t, fourOnLink, 4) }

// TestLongAttackF1DeadPeersIPv6 is the same in a network of IPv6.
func TestLongAttackF1DeadPeersIPv6(t *testing.T) {
	testkit.Long(t)
	deadPeers(t, sixOnLink, 4)
}

// TestLongAttackF1ManyDeadPeersIPv6 is the same with 1,000 peers, which is as many neighbors as the
// kernel remembers.
func TestLongAttackF1ManyDeadPeersIPv6(t *testing.T) {
	testkit.Long(t)
	deadPeers(t, sixOnLink, 1000)
}

func deadPeers(t *testing.T, on onLink, peers int) {
	underAttack(t, on, attackTime, func(t *testing.T, l *lab.Lab, host string, _ <-chan struct{}) {
		user := newTURNClientOf(t, on.addHost(t, l, "user", 67), host, "udp", "u", "p", on.family()...)
		var dead []netip.AddrPort
		for i := range peers {
			dead = append(dead, on.at(200+i, 9))
		}
		for some := range slices.Chunk(dead, 20) {
			if code := user.permit(some...); code != 0 {
				t.Fatalf("permit: %d", code)
			}
		}
		for i := range 20_000 {
			user.send(dead[i%len(dead)], "dead")
			if i%100 == 99 {
				time.Sleep(5 * time.Millisecond)
			}
		}
	})
}

// TestAttackF1SpoofedBindings: somebody on the server's network sends 1,500 Binding requests
// a second in the name of 6 addresses there that nobody has.
func TestAttackF1SpoofedBindings(t *testing.T) { spoofedBindings(t, fourOnLink, 6) }

// TestAttackF1ManySpoofedBindings is the same with 150 addresses.
func TestAttackF1ManySpoofedBindings(t *testing.T) { spoofedBindings(t, fourOnLink, 150) }

// TestLongAttackF1SpoofedBindingsIPv6 is the same with 6 addresses of IPv6.
func TestLongAttackF1SpoofedBindingsIPv6(t *testing.T) {
	testkit.Long(t)
	spoofedBindings(t, sixOnLink, 6)
}

// TestAttackF1ManySpoofedBindingsIPv6 is the same with another address in each request, of which a
// network of IPv6 has any number.
func TestAttackF1ManySpoofedBindingsIPv6(t *testing.T) { spoofedBindings(t, sixOnLink, 30_000) }

// TestAttackF1ManySpoofedBindingsByRoute is the same for a server whose address doesn't say which
// network it is in.
func TestAttackF1ManySpoofedBindingsByRoute(t *testing.T) { spoofedBindings(t, sixByRoute, 30_000) }

// TestAttackF1ManySpoofedBindingsWithin is the same while a call runs with somebody who isn't in
// the network, although his address is.
func TestAttackF1ManySpoofedBindingsWithin(t *testing.T) { spoofedBindings(t, sixWithin, 30_000) }

func spoofedBindings(t *testing.T, on onLink, addresses int) {
	underAttack(t, on, attackTime, func(t *testing.T, l *lab.Lab, host string, done <-chan struct{}) {
		spoof(t, on.addHost(t, l, "liar", 67), on, host, addresses, done)
	})
}

// spoof sends 1,500 Binding requests a second from so many addresses that nobody has.
func spoof(t *testing.T, from *lab.Namespace, on onLink, host string, addresses int, done <-chan struct{}) {
	t.Helper()
	payload := stun.MustBuild(stun.TransactionID, stun.BindingRequest).Raw
	to := netip.AddrPortFrom(netip.MustParseAddr(host), 3478)
	family, dst := unix.AF_INET6, unix.Sockaddr(&unix.SockaddrInet6{Addr: to.Addr().As16()})
	if to.Addr().Is4() {
		family, dst = unix.AF_INET, &unix.SockaddrInet4{Addr: to.Addr().As4()}
	}
	err := from.Do(func() error {
		fd, err := unix.Socket(family, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.IPPROTO_RAW)
		if err != nil {
			return err
		}
		defer unix.Close(fd)
		tick := time.NewTicker(10 * time.Millisecond)
		defer tick.Stop()
		for i := 0; ; {
			select {
			case <-done:
				return nil
			case <-tick.C:
			}
			for range 15 {
				i++
				src := on.at(100+i%addresses, uint16(5000+i))
				if err := unix.Sendto(fd, lab.Datagram(src, to, payload), 0, dst); err != nil {
					return err
				}
			}
		}
	})
	if err != nil {
		t.Error(err)
	}
}

// TestAttackF1ClientsLeave: three clients on the server's network leave it while they receive.
func TestAttackF1ClientsLeave(t *testing.T) { clientsLeave(t, fourOnLink) }

// TestLongAttackF1ClientsLeaveIPv6 is the same in a network of IPv6.
func TestLongAttackF1ClientsLeaveIPv6(t *testing.T) {
	testkit.Long(t)
	clientsLeave(t, sixOnLink)
}

func clientsLeave(t *testing.T, on onLink) {
	underAttack(t, on, attackTime, func(t *testing.T, l *lab.Lab, host string, done <-chan struct{}) {
		source := on.addHost(t, l, "source", 67)
		media := source.ListenUDP(t, on.at(67, 8000).String())
		var pumps sync.WaitGroup
		defer pumps.Wait()
		for i := range 3 {
			in := on.addHost(t, l, fmt.Sprintf("leaver%c", 'a'+i), 68+i)
			c := newTURNClientOf(t, in, host, "udp", "u", "p", on.family()...)
			if code := c.permit(on.at(67, 8000)); code != 0 {
				t.Fatalf("permit: %d", code)
			}
			pumps.Go(func() { // 4 Mbit/s
				data := make([]byte, 1000)
				every(10*time.Millisecond, done, func() (over bool) {
					for range 5 {
						media.WriteToUDPAddrPort(data, c.relayed) //nolint:errcheck // UDP
					}
					return false
				})
			})
			in.Exec(t, "ip", "link", "set", "eth0", "down")
			// The server finds out within a minute; here it is told.
			l.Server.Exec(t, "ip", "neigh", "flush", "to", on.addr(68+i).String())
		}
	})
}

// underAttack runs an attack for a time, or until it ends by itself if that is later, and
// demands of the server what doc.go says.
func underAttack(t *testing.T, on onLink, forSo time.Duration,
	attack func(*testing.T, *lab.Lab, string, <-chan struct{})) {
	t.Helper()
	l := lab.New(t, lab.FullCone, lab.FullCone)
	usualBuffers(t)
	t.Setenv("GOMAXPROCS", "1") // all clients come in on one socket, so that no call is spared by chance
	host, ours := on.start(t, l)
	stop := bystanders(t, l, on, host)
	done := make(chan struct{})
	time.AfterFunc(forSo, func() { close(done) })
	attack(t, l, host, done)
	<-done
	call, newcomers := stop()
	t.Logf("call: %v; newcomers: %v", call, newcomers)
	if !ours {
		return
	}
	if p99 := call.quantile(0.99); p99 >= 100*time.Millisecond {
		t.Errorf("the honest call's p99 is %v", p99)
	}
	if p99 := newcomers.quantile(0.99); p99 >= 200*time.Millisecond {
		t.Errorf("newcomers are answered in %v (p99)", p99)
	}
}
