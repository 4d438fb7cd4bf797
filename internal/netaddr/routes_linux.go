package netaddr

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"

	"golang.org/x/sys/unix"
)

// routes are two rtnetlink sockets (rtnetlink(7)). The kernel answers within the call that asks, so
// nothing here waits.
type routes struct {
	mu    sync.Mutex // one question at a time; guards what follows
	ask   int
	tell  int // is told of routes and rules that change
	over  bool
	asked uint32
	buf   [4096]byte
}

func (r *routes) open() (err error) {
	if r.ask, err = openNetlink(0); err != nil {
		return err
	}
	const ruleIPv6 = 1 << (unix.RTNLGRP_IPV6_RULE - 1)
	const groups = unix.RTMGRP_IPV4_ROUTE | unix.RTMGRP_IPV6_ROUTE | unix.RTMGRP_IPV4_RULE | ruleIPv6
	if r.tell, err = openNetlink(groups); err != nil {
		unix.Close(r.ask)
	}
	return err
}

func openNetlink(groups uint32) (int, error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, unix.NETLINK_ROUTE)
	if err == nil {
		if err = unix.Bind(fd, &unix.SockaddrNetlink{Family: unix.AF_NETLINK, Groups: groups}); err != nil {
			unix.Close(fd)
		}
	}
	if err != nil {
		return -1, fmt.Errorf("ask the kernel for routes: %w", err)
	}
	return fd, nil
}

func (r *routes) close() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.over {
		r.over = true
		unix.Close(r.ask)
		unix.Close(r.tell)
	}
}

func (r *routes) own(ip, from netip.Addr) (bool, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.over {
		return false, net.ErrClosed
	}
	kind, err := r.kindOf(ip, from)
	var no unix.Errno
	if from.IsValid() && errors.As(err, &no) {
		kind, err = r.kindOf(ip, netip.Addr{}) // from may have just gone from this machine
	}
	switch {
	case errors.As(err, &no):
		return false, nil // there is no way to it
	case err != nil:
		return false, fmt.Errorf("ask the kernel for the route to %s: %w", ip, err)
	}
	return ownKind(kind), nil
}

// ownKind reports whether routes of that type lead to this machine itself; all others leave it, or
// lead nowhere.
func ownKind(kind byte) bool {
	return kind == unix.RTN_LOCAL || kind == unix.RTN_ANYCAST || kind == unix.RTN_BROADCAST ||
		kind == unix.RTN_MULTICAST
}

const (
	headerSize = unix.SizeofNlMsghdr
	kindAt     = headerSize + 7 // rtmsg's rtm_type
)

// kindOf asks for the type of the route to ip. A unix.Errno is the kernel's answer; other errors
// say that there is none.
func (r *routes) kindOf(ip, from netip.Addr) (byte, error) {
	r.asked++
	b := binary.NativeEndian.AppendUint32(r.buf[:0], 0) // the length, later
	b = binary.NativeEndian.AppendUint16(b, unix.RTM_GETROUTE)
	b = binary.NativeEndian.AppendUint16(b, unix.NLM_F_REQUEST)
	b = binary.NativeEndian.AppendUint32(b, r.asked)
	b = binary.NativeEndian.AppendUint32(b, 0)
	family := byte(unix.AF_INET)
	if ip.Is6() {
		family = unix.AF_INET6
	}
	fromBits := 0
	if from.IsValid() {
		fromBits = from.BitLen()
	}
	b = append(b, family, byte(ip.BitLen()), byte(fromBits), 0, 0, 0, 0, 0, 0, 0, 0, 0) // rtmsg
	b = appendAttribute(b, unix.RTA_DST, ip)
	if from.IsValid() {
		b = appendAttribute(b, unix.RTA_SRC, from)
	}
	binary.NativeEndian.PutUint32(b, uint32(len(b)))
	if err := unix.Sendto(r.ask, b, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return 0, fmt.Errorf("send: %v", err) //nolint:errorlint // it is not the kernel's answer
	}
	for {
		n, _, err := unix.Recvfrom(r.ask, r.buf[:], 0)
		switch {
		case errors.Is(err, unix.EINTR):
			continue
		case err != nil:
			return 0, fmt.Errorf("receive: %v", err) //nolint:errorlint // likewise
		case n < headerSize+4:
			return 0, errors.New("a short answer")
		case binary.NativeEndian.Uint32(r.buf[8:]) != r.asked:
			continue // to an earlier question
		}
		switch typ := binary.NativeEndian.Uint16(r.buf[4:]); {
		case typ == unix.NLMSG_ERROR:
			return 0, unix.Errno(-int32(binary.NativeEndian.Uint32(r.buf[headerSize:])))
		case typ != unix.RTM_NEWROUTE || n <= kindAt:
			return 0, fmt.Errorf("an answer of type %d", typ)
		}
		return r.buf[kindAt], nil
	}
}

func appendAttribute(b []byte, typ uint16, ip netip.Addr) []byte {
	addr := ip.AsSlice()
	b = binary.NativeEndian.AppendUint16(b, uint16(4+len(addr)))
	b = binary.NativeEndian.AppendUint16(b, typ)
	return append(b, addr...)
}

func (r *routes) changed() (changed bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for !r.over {
		n, _, err := unix.Recvfrom(r.tell, r.buf[:], 0)
		switch {
		case errors.Is(err, unix.EINTR):
		case errors.Is(err, unix.ENOBUFS):
			changed = true // there were more than the kernel keeps
		case err != nil:
			return changed // EAGAIN: that is all
		default:
			changed = changed || tellsOfOwn(r.buf[:n])
		}
	}
	return changed
}

// tellsOfOwn reports whether a notification is about a route to this machine itself, or a rule that
// may lead to one.
func tellsOfOwn(b []byte) bool {
	for len(b) >= headerSize {
		size := int(binary.NativeEndian.Uint32(b))
		if size < headerSize || size > len(b) {
			break
		}
		switch binary.NativeEndian.Uint16(b[4:]) {
		case unix.RTM_NEWRULE, unix.RTM_DELRULE:
			return true
		case unix.RTM_NEWROUTE:
			if size > kindAt && ownKind(b[kindAt]) {
				return true
			}
		}
		b = b[min(len(b), (size+unix.NLMSG_ALIGNTO-1)&^(unix.NLMSG_ALIGNTO-1)):]
	}
	return false
}
