package netaddr

import (
	"context"
	"encoding/binary"
	"net/netip"
	"os"
	"testing"

	"golang.org/x/sys/unix"
)

// hearing runs hear on a descriptor, which it owns. told has what it pokes, ended is closed when it
// has returned.
func hearing(t *testing.T, fd int) (file *os.File, told, ended chan struct{}) {
	t.Helper()
	if err := unix.SetNonblock(fd, true); err != nil {
		t.Fatal(err)
	}
	file, told, ended = os.NewFile(uintptr(fd), "news"), make(chan struct{}, 1), make(chan struct{})
	go func() {
		defer close(ended)
		hear(t.Context(), file, told)
	}()
	t.Cleanup(func() { file.Close() })
	return file, told, ended
}

// Whatever comes in is news, even what is no netlink message; and hear ends with its socket.
func TestHearTakesAnythingForNews(t *testing.T) {
	t.Parallel()
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(pair[1])
	file, told, ended := hearing(t, pair[0])
	tooLong := append([]byte{255, 255, 255, 255}, make([]byte, 12)...)
	for _, message := range [][]byte{{}, {0}, make([]byte, 15), tooLong, make([]byte, 1<<15)} {
		if _, err := unix.Write(pair[1], message); err != nil {
			t.Fatal(err)
		}
		<-told
	}
	file.Close()
	<-ended
}

// Where the kernel has lost some, all is looked at, and the next are heard again.
func TestHearOutlastsAnOverrun(t *testing.T) {
	t.Parallel()
	other := overrun(t)
	defer unix.Close(other)
	if _, _, err := unix.Recvfrom(other, nil, 0); err != unix.ENOBUFS {
		t.Fatalf("the kernel has kept them all: %v", err)
	}
	fd := overrun(t)
	file, told, ended := hearing(t, fd)
	for range 3 {
		select {
		case <-told:
		case <-ended:
			t.Fatal("it hears nothing more")
		}
		askForRoute(t, fd)
	}
	file.Close()
	<-ended
}

// overrun opens a netlink socket for which the kernel has had more than it could keep.
func overrun(t *testing.T) (fd int) {
	t.Helper()
	fd, err := OpenNetlink(0)
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF, 1); err != nil { // the least there is
		t.Fatal(err)
	}
	const tooMany = 100
	for range tooMany {
		askForRoute(t, fd)
	}
	return fd
}

// askForRoute has the kernel answer. To one who did not ask, that is as good as news.
func askForRoute(t *testing.T, fd int) {
	t.Helper()
	b := make([]byte, unix.SizeofNlMsghdr+unix.SizeofRtMsg)
	binary.NativeEndian.PutUint16(b[4:], unix.RTM_GETROUTE)
	binary.NativeEndian.PutUint16(b[6:], unix.NLM_F_REQUEST)
	b[unix.SizeofNlMsghdr], b[unix.SizeofNlMsghdr+1] = unix.AF_INET, 32
	b = appendAttribute(b, unix.RTA_DST, netip.AddrFrom4([4]byte{127, 0, 0, 1}))
	binary.NativeEndian.PutUint32(b, uint32(len(b)))
	if err := unix.Sendto(fd, b, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		t.Fatal(err)
	}
}

// What can't be read is given up, for listen to open another.
func TestHearGivesUp(t *testing.T) {
	t.Parallel()
	var pipe [2]int
	if err := unix.Pipe2(pipe[:], unix.O_CLOEXEC); err != nil {
		t.Fatal(err)
	}
	defer unix.Close(pipe[1])
	_, told, ended := hearing(t, pipe[0]) // no socket: every call fails
	<-ended
	if len(told) > 0 {
		t.Error("a failure is news")
	}
}

// listen ends with its context, whether it waits for news or for the next try.
func TestListenEnds(t *testing.T) {
	t.Parallel()
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		listen(ctx, recheckTime, make(chan struct{}, 1))
	}()
	stop()
	<-ended
}

// Messages and attributes come from the kernel, but a length is believed only as far as there is
// something: each step takes some off, and what is not whole ends it.
func FuzzNetlink(f *testing.F) {
	message := binary.NativeEndian.AppendUint32(nil, 24)
	message = append(message, make([]byte, 12)...)
	message = append(message, 8, 0, 1, 0, 127, 0, 0, 1)
	f.Add(message)
	f.Add(append(message, message[:20]...))
	f.Add(append([]byte{17, 0, 0, 0}, make([]byte, 13)...)) // no whole number of words, at the end
	f.Add([]byte{15, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0})
	f.Add([]byte{3, 0, 1, 0})
	f.Fuzz(func(t *testing.T, b []byte) {
		for rest, ok := b, true; ok; {
			var data, after []byte
			if _, data, after, ok = NextMessage(rest); ok && len(after) > len(rest)-unix.SizeofNlMsghdr-len(data) {
				t.Fatalf("%x: %d bytes of data, %d are left", rest, len(data), len(after))
			}
			rest = after
			for value, whole := data, ok; whole; {
				var v, next []byte
				if _, v, next, whole = NextAttribute(value); whole && len(next) > len(value)-unix.SizeofRtAttr-len(v) {
					t.Fatalf("%x: %d bytes of a value, %d are left", value, len(v), len(next))
				}
				value = next
			}
		}
		tellsOfOwn(b)
	})
}
