//go:build linux && (amd64 || arm64 || riscv64 || loong64)

package socket

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"signalbox/internal/netaddr"

	"golang.org/x/sys/unix"
)

// table is the kernel's table of neighbors. One goroutine uses it. It has a netlink socket that
// stays open and waits for nothing: the kernel goes on with its answer when it is read.
type table struct {
	fd       int // -1: none
	asked    uint32
	buf      []byte
	answered []host
}

func newTable() *table { return &table{fd: -1} }

func (t *table) close() {
	if t.fd >= 0 {
		unix.Close(t.fd)
	}
	t.fd = -1
}

// resolved lists who had answered when unresolved was called last, until it is called again.
func (t *table) resolved() []host { return t.answered }

// unresolved lists who has not answered.
func (t *table) unresolved() (list []unanswered, err error) {
	t.answered = t.answered[:0]
	err = t.dump(unix.RTM_GETNEIGH, unix.SizeofNdMsg, func(typ uint16, data []byte) {
		list = t.neighbor(list, typ, data)
	})
	if err != nil {
		return nil, fmt.Errorf("read the table of neighbors: %w", err)
	}
	return list, nil
}

// neighbor adds an entry to the list, or to those who have answered.
func (t *table) neighbor(list []unanswered, typ uint16, data []byte) []unanswered {
	if typ != unix.RTM_NEWNEIGH {
		return list
	}
	switch u, missing, ok := parseNeighbor(data); {
	case ok && missing:
		list = append(list, u)
	case ok:
		t.answered = append(t.answered, u.host)
	}
	return list
}

// routes visits this host's routes of all tables.
func (t *table) routes(visit func(route)) error {
	err := t.dump(unix.RTM_GETROUTE, unix.SizeofRtMsg, func(typ uint16, data []byte) {
		if typ != unix.RTM_NEWROUTE {
			return
		}
		if r, ok := parseRoute(data); ok {
			visit(r)
		}
	})
	if err != nil {
		return fmt.Errorf("read routes: %w", err)
	}
	return nil
}

// dump asks for all that the kernel has of one kind, of whatever family, and visits each message of
// the answer. size is that of the question, which is the header of such messages, in zeros.
func (t *table) dump(what uint16, size int, visit func(typ uint16, data []byte)) (err error) {
	defer func() {
		if err != nil {
			t.close() // with what is left of the answer
		}
	}()
	if t.fd < 0 {
		if t.fd, err = netaddr.OpenNetlink(0); err != nil {
			return err
		}
		if t.buf == nil {
			t.buf = make([]byte, 32<<10) // as much as the kernel gives at once
		}
	}
	t.asked++
	question := make([]byte, unix.SizeofNlMsghdr+size)
	binary.NativeEndian.PutUint32(question, uint32(len(question)))
	binary.NativeEndian.PutUint16(question[4:], what)
	binary.NativeEndian.PutUint16(question[6:], unix.NLM_F_REQUEST|unix.NLM_F_DUMP)
	binary.NativeEndian.PutUint32(question[8:], t.asked)
	if err := unix.Sendto(t.fd, question, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return err
	}
	for {
		n, _, err := unix.Recvfrom(t.fd, t.buf, 0)
		switch {
		case errors.Is(err, unix.EINTR):
			continue
		case err != nil:
			return err
		}
		if done, err := take(t.buf[:n], visit); done || err != nil {
			return err
		}
	}
}

// take visits each message of one part of an answer; done says that it is the last.
func take(b []byte, visit func(typ uint16, data []byte)) (done bool, err error) {
	for len(b) > 0 {
		typ, data, rest, ok := netaddr.NextMessage(b)
		switch {
		case !ok || typ == unix.NLMSG_ERROR && len(data) < 4:
			return true, unix.EBADMSG
		case typ == unix.NLMSG_DONE:
			return true, nil
		case typ == unix.NLMSG_ERROR:
			return true, unix.Errno(-int32(binary.NativeEndian.Uint32(data)))
		}
		visit(typ, data)
		b = rest
	}
	return false, nil
}

// parseNeighbor reads one entry (ndmsg with its attributes). ok: it is one of a host; missing: it
// is without an answer.
func parseNeighbor(b []byte) (u unanswered, missing, ok bool) {
	if len(b) < unix.SizeofNdMsg {
		return u, false, false
	}
	link, state := binary.NativeEndian.Uint32(b[4:]), binary.NativeEndian.Uint16(b[8:])
	missing = state&(unix.NUD_INCOMPLETE|unix.NUD_FAILED) != 0
	u.asking = state&unix.NUD_INCOMPLETE != 0
	for rest := b[unix.SizeofNdMsg:]; ; {
		typ, value, after, whole := netaddr.NextAttribute(rest)
		switch {
		case !whole:
			return u, missing, ok
		case typ == unix.NDA_DST:
			if ip, is := netip.AddrFromSlice(value); is {
				u.host, ok = hostAt(ip, link), true
			}
		// Three numbers, in hundredths of a second: confirmed, used, updated.
		case typ == unix.NDA_CACHEINFO && len(value) >= 12:
			u.since = time.Duration(binary.NativeEndian.Uint32(value[8:])) * 10 * time.Millisecond
		}
		rest = after
	}
}

// parseRoute reads one route (rtmsg with its attributes). ok is false for one that not all
// datagrams to its network take, or that is out of use.
func parseRoute(b []byte) (r route, ok bool) {
	if len(b) < unix.SizeofRtMsg {
		return r, false
	}
	family, bits, source, service, table, typ := b[0], int(b[1]), b[2], b[3], uint32(b[4]), b[7]
	flags := binary.NativeEndian.Uint32(b[8:])
	if source != 0 || service != 0 || flags&(unix.RTM_F_CLONED|unix.RTNH_F_DEAD) != 0 {
		return r, false
	}
	to := netip.IPv4Unspecified() // a default route does not say it
	switch family {
	case unix.AF_INET:
	case unix.AF_INET6:
		to = netip.IPv6Unspecified()
	default: // multicast's, labels'
		return r, false
	}
	link, elsewhere := uint32(0), typ != unix.RTN_UNICAST
	for rest := b[unix.SizeofRtMsg:]; ; {
		typ, value, after, whole := netaddr.NextAttribute(rest)
		if !whole {
			break
		}
		switch number := len(value) == 4; {
		case typ == unix.RTA_DST:
			to, _ = netip.AddrFromSlice(value)
		case typ == unix.RTA_OIF && number:
			link = binary.NativeEndian.Uint32(value)
		case typ == unix.RTA_TABLE && number:
			table = binary.NativeEndian.Uint32(value)
		case typ == unix.RTA_PRIORITY && number:
			r.rank.metric = binary.NativeEndian.Uint32(value)
		case typ == unix.RTA_GATEWAY, typ == unix.RTA_VIA, typ == unix.RTA_MULTIPATH, typ == unix.RTA_ENCAP:
			elsewhere = true
		}
		rest = after
	}
	r.rank.table = tableRank(table)
	p, err := to.Prefix(bits)
	r.network, r.direct = networkAt(p, link), link != 0 && !elsewhere
	return r, err == nil && to.IsValid()
}

// tableRank is a routing table's place in a rank.
func tableRank(table uint32) byte {
	switch table {
	case unix.RT_TABLE_LOCAL:
		return 0
	case unix.RT_TABLE_MAIN:
		return 1
	}
	return 2
}
