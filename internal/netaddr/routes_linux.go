package netaddr

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"sync"

	"golang.org/x/sys/unix"
)

// routes are two rtnetlink sockets (rtnetlink(7)). The kernel answers within the call that asks, so
// nothing here waits. A socket that fails is closed, and opened again when it is needed next.
type routes struct {
	mu     sync.Mutex // one question at a time; guards what follows
	socket func(groups uint32) (int, error)
	ask    int // -1: it has failed
	tell   int // is told of routes and rules that change; -1: it has failed
	over   bool
	asked  uint32
	buf    [4096]byte
}

const (
	ruleIPv6 = 1 << (unix.RTNLGRP_IPV6_RULE - 1)
	groups   = unix.RTMGRP_IPV4_ROUTE | unix.RTMGRP_IPV6_ROUTE | unix.RTMGRP_IPV4_RULE | ruleIPv6
)

func (r *routes) open() (err error) {
	if r.socket == nil {
		r.socket = openNetlink
	}
	r.ask = -1
	if r.tell, err = r.socket(groups); err == nil {
		// Some sandboxes have such sockets but answer nothing.
		_, err = r.own(netip.AddrFrom4([4]byte{127, 0, 0, 1}), netip.Addr{})
	}
	if err == nil || passes(err) {
		return nil
	}
	r.close()
	return err
}

// passes reports whether an error is about what this machine has left just now, and nothing that
// speaks against asking the kernel.
func passes(err error) bool {
	return slices.ContainsFunc([]error{unix.EMFILE, unix.ENFILE, unix.ENOBUFS, unix.ENOMEM}, func(target error) bool {
		return errors.Is(err, target)
	})
}

func openNetlink(groups uint32) (int, error) {
	fd, err := OpenNetlink(groups)
	if err != nil {
		return -1, fmt.Errorf("ask the kernel for routes: %w", err)
	}
	return fd, nil
}

func (r *routes) close() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.over = true
	shut(&r.ask)
	shut(&r.tell)
}

func shut(fd *int) {
	if *fd >= 0 {
		unix.Close(*fd)
	}
	*fd = -1
}

func (r *routes) own(ip, from netip.Addr) (bool, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.over {
		return false, net.ErrClosed
	}
	kind, err := r.kindOf(ip, from)
	if err == errNoWay && from.IsValid() {
		kind, err = r.kindOf(ip, netip.Addr{}) // from may have just gone from this machine
	}
	switch err {
	case nil:
		return ownKind(kind), nil
	case errNoWay:
		return false, nil
	}
	return false, fmt.Errorf("ask the kernel for the route to %s: %w", ip, err)
}

// kindOf returns the type of the route to ip. It asks twice, the second time over a new socket.
func (r *routes) kindOf(ip, from netip.Addr) (kind byte, err error) {
	for range 2 {
		if r.ask < 0 {
			if r.ask, err = r.socket(0); err != nil {
				return 0, err
			}
		}
		if kind, err = r.question(ip, from); err == nil || err == errNoWay {
			return kind, err
		}
		shut(&r.ask) // an answer that comes late is not taken for the next one
	}
	return 0, err
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

// errNoWay is the kernel's answer that nothing can be sent to an address.
var errNoWay = errors.New("there is no way to it")

// noWay reports whether the kernel says by an error number that nothing can be sent there: no
// route, one of the types unreachable, prohibit and blackhole, or a source that this machine does
// not have. Others say that it could not look.
func noWay(no unix.Errno) bool {
	switch no {
	case unix.ENETUNREACH, unix.EHOSTUNREACH, unix.EACCES, unix.EINVAL, unix.ENETDOWN, unix.ENODEV, unix.ESRCH,
		unix.EADDRNOTAVAIL:
		return true
	}
	return false
}

// question asks once for the type of the route to ip. All errors but errNoWay say that there is no
// answer.
func (r *routes) question(ip, from netip.Addr) (byte, error) {
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
		return 0, fmt.Errorf("send: %w", err)
	}
	for {
		n, _, err := unix.Recvfrom(r.ask, r.buf[:], 0)
		switch {
		case errors.Is(err, unix.EINTR):
			continue
		case err != nil:
			return 0, fmt.Errorf("receive: %w", err)
		case n < headerSize+4:
			return 0, errors.New("a short answer")
		case binary.NativeEndian.Uint32(r.buf[8:]) != r.asked:
			continue // to an earlier question
		}
		switch typ := binary.NativeEndian.Uint16(r.buf[4:]); {
		case typ == unix.NLMSG_ERROR:
			no := unix.Errno(-int32(binary.NativeEndian.Uint32(r.buf[headerSize:])))
			if noWay(no) {
				return 0, errNoWay
			}
			return 0, no
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
	if !r.over && r.tell < 0 {
		fd, err := r.socket(groups)
		if err != nil {
			return false // the next call tries again
		}
		r.tell, changed = fd, true // nobody knows what happened meanwhile
	}
	for !r.over {
		n, _, err := unix.Recvfrom(r.tell, r.buf[:], 0)
		switch {
		case err == nil && n > 0:
			changed = changed || tellsOfOwn(r.buf[:n])
		case errors.Is(err, unix.EINTR):
		case errors.Is(err, unix.ENOBUFS):
			changed = true // there were more than the kernel keeps
		case errors.Is(err, unix.EAGAIN):
			return changed // that is all
		default:
			shut(&r.tell)
			return true
		}
	}
	return changed
}

// tellsOfOwn reports whether a notification is about a route to this machine itself, or a rule that
// may lead to one. Each interface that comes, as those of containers do, brings routes for
// multicast, which is no peer's, and for its link-local addresses.
func tellsOfOwn(b []byte) bool {
	const kindAt = kindAt - headerSize
	for {
		typ, data, rest, ok := NextMessage(b)
		switch {
		case !ok:
			return false
		case typ == unix.RTM_NEWRULE, typ == unix.RTM_DELRULE:
			return true
		case typ == unix.RTM_NEWROUTE && len(data) > kindAt && data[kindAt] != unix.RTN_MULTICAST &&
			ownKind(data[kindAt]) && !isNever(data):
			return true
		}
		b = rest
	}
}

// isNever reports whether Never knows all addresses that a route (rtmsg with its attributes) leads
// to.
func isNever(route []byte) bool {
	if len(route) < unix.SizeofRtMsg {
		return false
	}
	bits := int(route[1])
	for rest := route[unix.SizeofRtMsg:]; ; {
		typ, value, after, ok := NextAttribute(rest)
		if !ok {
			return false
		}
		if ip, isIP := netip.AddrFromSlice(value); isIP && typ == unix.RTA_DST {
			return slices.ContainsFunc(never, func(p netip.Prefix) bool { return p.Bits() <= bits && p.Contains(ip) })
		}
		rest = after
	}
}
