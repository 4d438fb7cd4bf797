//go:build linux

package lab_test

import (
	"fmt"
	"net/netip"
	"sync"
	"testing"
	"time"

	"github.com/pion/stun/v3"
	"golang.org/x/sys/unix"

	"signalbox/scripts/lab"
)

// Datagrams for hosts of the server's own network that aren't there stay in the kernel for seconds,
// on the account of the socket that sent them. Whoever causes them, with a login, without one, or
// without knowing, delays nobody else: what turnsvc/doc.go says of that is tested here, with the
// send buffers that most machines have.

// TestAttackF1DeadPeers: a user sends 20,000 datagrams of 4 bytes to 4 peers that aren't there.
func TestAttackF1DeadPeers(t *testing.T) {
	underAttack(t, 15*time.Second, func(t *testing.T, l *lab.Lab, host string, _ <-chan struct{}) {
		user := newTURNClientOf(t, l.AddHost(t, "user", 67), host, "udp", "u", "p")
		var dead []netip.AddrPort
		for i := range 4 {
			dead = append(dead, netip.MustParseAddrPort(fmt.Sprintf("203.0.113.%d:9", 200+i)))
		}
		if code := user.permit(dead...); code != 0 {
			t.Fatalf("permit: %d", code)
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
func TestAttackF1SpoofedBindings(t *testing.T) {
	underAttack(t, 10*time.Second, func(t *testing.T, l *lab.Lab, host string, done <-chan struct{}) {
		spoof(t, l.AddHost(t, "liar", 67), host, 6, done)
	})
}

// TestAttackF1ManySpoofedBindings is the same with 150 addresses.
func TestAttackF1ManySpoofedBindings(t *testing.T) {
	underAttack(t, 10*time.Second, func(t *testing.T, l *lab.Lab, host string, done <-chan struct{}) {
		spoof(t, l.AddHost(t, "liar", 67), host, 150, done)
	})
}

// spoof sends 1,500 Binding requests a second from so many addresses that nobody has.
func spoof(t *testing.T, from *lab.Namespace, host string, addresses int, done <-chan struct{}) {
	t.Helper()
	payload := stun.MustBuild(stun.TransactionID, stun.BindingRequest).Raw
	to := netip.AddrPortFrom(netip.MustParseAddr(host), 3478)
	err := from.Do(func() error {
		fd, err := unix.Socket(unix.AF_INET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.IPPROTO_RAW)
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
				src := netip.AddrFrom4([4]byte{203, 0, 113, byte(100 + i%addresses)})
				packet := lab.Datagram(netip.AddrPortFrom(src, uint16(5000+i)), to, payload)
				if err := unix.Sendto(fd, packet, 0, &unix.SockaddrInet4{Addr: to.Addr().As4()}); err != nil {
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
func TestAttackF1ClientsLeave(t *testing.T) {
	underAttack(t, 10*time.Second, func(t *testing.T, l *lab.Lab, host string, done <-chan struct{}) {
		source := l.AddHost(t, "source", 67)
		media := source.ListenUDP(t, source.Public+":8000")
		var pumps sync.WaitGroup
		defer pumps.Wait()
		for i := range 3 {
			in := l.AddHost(t, fmt.Sprintf("leaver%c", 'a'+i), uint8(68+i))
			c := newTURNClientOf(t, in, host, "udp", "u", "p")
			if code := c.permit(netip.MustParseAddrPort(source.Public + ":8000")); code != 0 {
				t.Fatalf("permit: %d", code)
			}
			pumps.Go(func() { // 4 Mbit/s
				tick := time.NewTicker(10 * time.Millisecond)
				defer tick.Stop()
				data := make([]byte, 1000)
				for {
					select {
					case <-done:
						return
					case <-tick.C:
					}
					for range 5 {
						media.WriteToUDPAddrPort(data, c.relayed) //nolint:errcheck // UDP
					}
				}
			})
			in.Exec(t, "ip", "link", "set", "eth0", "down")
			// The server finds out within a minute; here it is told.
			l.Server.Exec(t, "ip", "neigh", "flush", "to", in.Public)
		}
	})
}

// underAttack runs an attack for a time, or until it ends by itself if that is later, and
// demands of the server what doc.go says.
func underAttack(t *testing.T, forSo time.Duration, attack func(*testing.T, *lab.Lab, string, <-chan struct{})) {
	l := lab.New(t, lab.FullCone, lab.FullCone)
	usualBuffers(t)
	t.Setenv("GOMAXPROCS", "1") // all clients come in on one socket, so that no call is spared by chance
	host, ours := startRelay(t, l)
	stop := bystanders(t, l, host)
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
