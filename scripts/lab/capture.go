//go:build linux

package lab

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"slices"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// A Packet is an IPv4 packet as it passed a host.
type Packet struct {
	At       time.Time // by the kernel's clock
	Outgoing bool      // the host sent it
	Src, Dst netip.AddrPort
	Protocol uint8  // unix.IPPROTO_UDP ...
	Payload  []byte // what UDP or TCP carries; of other protocols and of later fragments, what IP does
}

func (p Packet) String() string {
	way := "in "
	if p.Outgoing {
		way = "out"
	}
	return fmt.Sprintf("%s %s %v > %v, protocol %d, %d bytes: %.60q", p.At.Format("15:04:05.000000"), way, p.Src, p.Dst,
		p.Protocol, len(p.Payload), p.Payload)
}

// maxCaptured bounds what a capture keeps.
const maxCaptured = 200_000

// A Capture holds every IPv4 packet that a host has sent or received since the
// capture began, on all of its interfaces, in order.
type Capture struct {
	t    testing.TB
	file *os.File // of the socket

	mu      sync.Mutex
	packets []Packet
	err     error
}

// Capture begins a capture that ends with the test. The test fails if it has
// missed a packet.
func (n *Namespace) Capture(t testing.TB) *Capture {
	t.Helper()
	c := &Capture{t: t}
	err := n.Do(func() error {
		fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_DGRAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC,
			int(networkOrder(unix.ETH_P_ALL)))
		if err != nil {
			return err
		}
		c.file = os.NewFile(uintptr(fd), "packets of "+n.Name)
		return errors.Join(
			unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, 16<<20),
			unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_TIMESTAMPNS, 1),
		)
	})
	if err != nil {
		t.Fatalf("capture in %s: %v", n.Name, err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		c.read()
	}()
	t.Cleanup(func() {
		c.check()
		c.file.Close()
		<-done
	})
	return c
}

func networkOrder(v uint16) uint16 {
	return binary.NativeEndian.Uint16(binary.BigEndian.AppendUint16(nil, v))
}

// read runs until the socket is closed.
func (c *Capture) read() {
	raw, err := c.file.SyscallConn()
	if err != nil {
		c.fail(err)
		return
	}
	buf, oob := make([]byte, 1<<16), make([]byte, 256)
	for {
		var n, oobn int
		var from unix.Sockaddr
		var recvErr error
		err := raw.Read(func(fd uintptr) bool {
			n, oobn, _, from, recvErr = unix.Recvmsg(int(fd), buf, oob, 0)
			return recvErr != unix.EAGAIN
		})
		if err != nil {
			return // closed
		}
		if recvErr == unix.EINTR || recvErr == unix.ENETDOWN { // an interface may come and go
			continue
		}
		if recvErr != nil {
			c.fail(recvErr)
			return
		}
		link, ok := from.(*unix.SockaddrLinklayer)
		if !ok || link.Protocol != networkOrder(unix.ETH_P_IP) {
			continue
		}
		packet, ok := parseIPv4(buf[:n])
		if !ok {
			continue
		}
		packet.At, packet.Outgoing = timestamp(oob[:oobn]), link.Pkttype == unix.PACKET_OUTGOING
		c.mu.Lock()
		if len(c.packets) < maxCaptured {
			c.packets = append(c.packets, packet)
		} else {
			c.err = fmt.Errorf("more than %d packets", maxCaptured)
		}
		c.mu.Unlock()
	}
}

func parseIPv4(b []byte) (p Packet, ok bool) {
	if len(b) < 20 || b[0]>>4 != 4 {
		return p, false
	}
	header, total := int(b[0]&15)*4, int(binary.BigEndian.Uint16(b[2:]))
	if total == 0 {
		total = len(b) // segmentation was left to a device that there isn't
	}
	if header < 20 || header > total || total > len(b) {
		return p, false
	}
	src, dst := netip.AddrFrom4([4]byte(b[12:16])), netip.AddrFrom4([4]byte(b[16:20]))
	p.Protocol = b[9]
	first := binary.BigEndian.Uint16(b[6:])&0x1FFF == 0
	rest := b[header:total]
	var ports [2]uint16
	skip := 0
	switch {
	case !first:
	case p.Protocol == unix.IPPROTO_UDP && len(rest) >= 8:
		skip = 8
	case p.Protocol == unix.IPPROTO_TCP && len(rest) >= 20:
		skip = min(int(rest[12]>>4)*4, len(rest))
	}
	if skip > 0 {
		ports = [2]uint16{binary.BigEndian.Uint16(rest), binary.BigEndian.Uint16(rest[2:])}
	}
	p.Src, p.Dst = netip.AddrPortFrom(src, ports[0]), netip.AddrPortFrom(dst, ports[1])
	p.Payload = append([]byte(nil), rest[skip:]...)
	return p, true
}

func timestamp(oob []byte) time.Time {
	messages, err := unix.ParseSocketControlMessage(oob)
	if err == nil {
		for _, m := range messages {
			if m.Header.Level == unix.SOL_SOCKET && m.Header.Type == unix.SO_TIMESTAMPNS && len(m.Data) >= 16 {
				return time.Unix(int64(binary.NativeEndian.Uint64(m.Data)),
					int64(binary.NativeEndian.Uint64(m.Data[8:])))
			}
		}
	}
	return time.Now()
}

func (c *Capture) fail(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.err = err
}

// check fails the test if packets are missing.
func (c *Capture) check() {
	c.t.Helper()
	c.mu.Lock()
	err := c.err
	c.mu.Unlock()
	raw, rawErr := c.file.SyscallConn()
	if rawErr == nil {
		rawErr = raw.Control(func(fd uintptr) {
			stats, statsErr := unix.GetsockoptTpacketStats(int(fd), unix.SOL_PACKET, unix.PACKET_STATISTICS)
			if statsErr == nil && stats.Drops > 0 {
				statsErr = fmt.Errorf("the kernel dropped %d packets", stats.Drops)
			}
			err = errors.Join(err, statsErr)
		})
	}
	if err = errors.Join(err, rawErr); err != nil {
		c.t.Errorf("%s: %v", c.file.Name(), err)
	}
}

// Packets returns what has been captured so far and satisfies keep.
func (c *Capture) Packets(keep func(Packet) bool) []Packet {
	c.mu.Lock()
	defer c.mu.Unlock()
	var kept []Packet
	for _, p := range c.packets {
		if keep(p) {
			kept = append(kept, p)
		}
	}
	return kept
}

// Await waits until a packet that satisfies keep has been captured and returns
// the first. The words say what is waited for.
func (c *Capture) Await(within time.Duration, words string, keep func(Packet) bool) Packet {
	c.t.Helper()
	for deadline := time.Now().Add(within); ; time.Sleep(5 * time.Millisecond) {
		if got := c.Packets(keep); len(got) > 0 {
			return got[0]
		}
		if time.Now().After(deadline) {
			c.t.Fatalf("not captured within %v: %s", within, words)
		}
	}
}

// Inject sends a UDP datagram from the namespace with whatever source is
// written on it.
func (n *Namespace) Inject(t testing.TB, src, dst netip.AddrPort, payload []byte) {
	t.Helper()
	err := n.Do(func() error {
		fd, err := unix.Socket(unix.AF_INET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.IPPROTO_RAW)
		if err != nil {
			return err
		}
		defer unix.Close(fd)
		return unix.Sendto(fd, Datagram(src, dst, payload), 0, &unix.SockaddrInet4{Addr: dst.Addr().As4()})
	})
	if err != nil {
		t.Fatalf("inject a packet in %s: %v", n.Name, err)
	}
}

// Datagram is an IP packet with UDP, as sockets of IPPROTO_RAW take it.
func Datagram(src, dst netip.AddrPort, payload []byte) []byte {
	udp := make([]byte, 8, 8+len(payload))
	binary.BigEndian.PutUint16(udp, src.Port())
	binary.BigEndian.PutUint16(udp[2:], dst.Port())
	binary.BigEndian.PutUint16(udp[4:], uint16(8+len(payload)))
	udp = append(udp, payload...)
	from, to := src.Addr().AsSlice(), dst.Addr().AsSlice()
	if src.Addr().Is4() { // the kernel fills in the header's checksum; that of UDP is optional
		b := make([]byte, 12)
		b[0] = 4<<4 | 5
		binary.BigEndian.PutUint16(b[2:], uint16(20+len(udp)))
		b[8], b[9] = 64, unix.IPPROTO_UDP
		return slices.Concat(b, from, to, udp)
	}
	b := make([]byte, 8)
	b[0] = 6 << 4
	binary.BigEndian.PutUint16(b[4:], uint16(len(udp)))
	b[6], b[7] = unix.IPPROTO_UDP, 64
	binary.BigEndian.PutUint16(udp[6:], checksum(from, to, []byte{0, unix.IPPROTO_UDP}, udp[4:6], udp))
	return slices.Concat(b, from, to, udp)
}

// checksum is the internet's (RFC 1071) of what begins in pairs of bytes.
func checksum(parts ...[]byte) uint16 {
	sum := uint32(0)
	for _, part := range parts {
		for i, b := range part {
			sum += uint32(b) << (8 * (1 - i%2))
		}
	}
	for sum > 0xFFFF {
		sum = sum>>16 + sum&0xFFFF
	}
	if sum == 0xFFFF {
		return 0xFFFF // 0 would mean none (RFC 768)
	}
	return ^uint16(sum)
}
