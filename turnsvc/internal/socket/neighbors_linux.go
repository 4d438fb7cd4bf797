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
func (t *table) unresolved() ([]unanswered, error) {
	list, err := t.ask()
	if err != nil {
		t.close() // with what is left of the answer
		return nil, fmt.Errorf("read the table of neighbors: %w", err)
	}
	return list, nil
}

func (t *table) ask() (list []unanswered, err error) {
	if t.fd < 0 {
		if t.fd, err = netaddr.OpenNetlink(0); err != nil {
			return nil, err
		}
		if t.buf == nil {
			t.buf = make([]byte, 32<<10) // as much as the kernel gives at once
		}
	}
	t.asked++
	t.answered = t.answered[:0]
	question := make([]byte, unix.SizeofNlMsghdr+unix.SizeofNdMsg) // of whatever family
	binary.NativeEndian.PutUint32(question, uint32(len(question)))
	binary.NativeEndian.PutUint16(question[4:], unix.RTM_GETNEIGH)
	binary.NativeEndian.PutUint16(question[6:], unix.NLM_F_REQUEST|unix.NLM_F_DUMP)
	binary.NativeEndian.PutUint32(question[8:], t.asked)
	if err := unix.Sendto(t.fd, question, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return nil, err
	}
	for {
		n, _, err := unix.Recvfrom(t.fd, t.buf, 0)
		switch {
		case errors.Is(err, unix.EINTR):
			continue
		case err != nil:
			return nil, err
		}
		var done bool
		if list, done, err = t.take(list, t.buf[:n]); done || err != nil {
			return list, err
		}
	}
}

// take adds what is in one part of the answer; done says that it is the last.
func (t *table) take(list []unanswered, b []byte) (_ []unanswered, done bool, err error) {
	for len(b) > 0 {
		typ, data, rest, ok := netaddr.NextMessage(b)
		switch {
		case !ok || typ == unix.NLMSG_ERROR && len(data) < 4:
			return list, true, unix.EBADMSG
		case typ == unix.NLMSG_DONE:
			return list, true, nil
		case typ == unix.NLMSG_ERROR:
			return list, true, unix.Errno(-int32(binary.NativeEndian.Uint32(data)))
		case typ == unix.RTM_NEWNEIGH:
			switch u, missing, ok := parseNeighbor(data); {
			case ok && missing:
				list = append(list, u)
			case ok:
				t.answered = append(t.answered, u.host)
			}
		}
		b = rest
	}
	return list, false, nil
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
		case typ == unix.NDA_CACHEINFO && len(value) >= 12: // confirmed, used, updated: in hundredths of a second
			u.since = time.Duration(binary.NativeEndian.Uint32(value[8:])) * 10 * time.Millisecond
		}
		rest = after
	}
}
