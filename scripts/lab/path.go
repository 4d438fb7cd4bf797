//go:build linux

package lab

import (
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// A Path is the way of packets to a lab's client A, which a test makes longer or worse while it is
// in use. Nothing overtakes on it. It needs no netem, which not every kernel has.
type Path struct {
	delay atomic.Int64
	loss  atomic.Uint64 // one in so many packets; 0: none
}

// Set changes what happens to packets from now on: how long each takes, and that one in so many is
// lost, or none if loss is 0. It is the same in each run.
func (p *Path) Set(delay time.Duration, loss int) {
	p.delay.Store(int64(delay))
	p.loss.Store(uint64(loss))
}

// The devices at the ends of a Path, in NATA and in A.
const pathNear, pathFar = "near", "far"

// NewPath puts a path without delay and loss between A's router and A. Shape its device "near" in
// NATA for a path that carries little.
func (l *Lab) NewPath(t testing.TB) *Path {
	t.Helper()
	l.path = true
	near, far := l.NATA.tunnel(t, pathNear), l.A.tunnel(t, pathFar)
	for n, commands := range map[*Namespace]string{
		l.A:    "link set " + pathFar + " up\n",
		l.NATA: "link set " + pathNear + " up\nroute add " + AddrA + "/32 dev " + pathNear + "\n",
	} {
		if err := n.ip(commands); err != nil {
			t.Fatal(err)
		}
	}
	type packet struct {
		due  time.Time
		data []byte
	}
	p, waiting := new(Path), make(chan packet, 1<<14)
	var moving sync.WaitGroup
	moving.Go(func() {
		defer close(waiting)
		buf := make([]byte, 1<<16)
		for number := uint64(1); ; number++ {
			n, err := near.Read(buf)
			if err != nil {
				return
			}
			if loss := p.loss.Load(); loss > 0 && number%loss == 0 {
				continue
			}
			due := time.Now().Add(time.Duration(p.delay.Load()))
			waiting <- packet{due, append([]byte(nil), buf[:n]...)}
		}
	})
	moving.Go(func() {
		for next := range waiting {
			time.Sleep(time.Until(next.due))
			far.Write(next.data) //nolint:errcheck // then it is lost
		}
	})
	t.Cleanup(func() {
		near.Close()
		moving.Wait()
		far.Close()
	})
	return p
}

// tunnel returns a network device of the namespace whose packets are read and written.
func (n *Namespace) tunnel(t testing.TB, name string) *os.File {
	t.Helper()
	var file *os.File
	err := n.Do(func() error {
		fd, err := unix.Open("/dev/net/tun", unix.O_RDWR|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
		if err != nil {
			return err
		}
		request, err := unix.NewIfreq(name)
		if err != nil {
			return err
		}
		request.SetUint16(unix.IFF_TUN | unix.IFF_NO_PI)
		if err := unix.IoctlIfreq(fd, unix.TUNSETIFF, request); err != nil {
			return err
		}
		file = os.NewFile(uintptr(fd), name) // it can be polled from now on
		return nil
	})
	if err != nil {
		t.Fatalf("make the device %s in %s: %v", name, n.Name, err)
	}
	return file
}
