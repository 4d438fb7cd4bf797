package access

import (
	"os"
	"runtime"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// nonblock has a named pipe opened without waiting for who writes to it.
const nonblock = unix.O_NONBLOCK

func ownerOf(path string) (uid int, ok bool) {
	info, err := os.Stat(path)
	if err != nil {
		return 0, false
	}
	s, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return 0, false
	}
	return int(s.Uid), true
}

// become calls do with another user's access to files. Only one thread becomes that user: it is not
// given back, so it ends with its goroutine.
func become(id ids, do func() error) error {
	done := make(chan error)
	go func() {
		runtime.LockOSThread()
		done <- func() error {
			groups := make([]uint32, len(id.groups)+1) // never empty: its first is pointed to
			groups[0] = uint32(id.gid)
			for i, g := range id.groups {
				groups[i+1] = uint32(g)
			}
			if _, _, errno := unix.RawSyscall(unix.SYS_SETGROUPS, uintptr(len(groups)),
				uintptr(unsafe.Pointer(&groups[0])), 0); errno != 0 {
				return errno
			}
			if err := unix.Setfsgid(id.gid); err != nil {
				return err
			}
			if err := unix.Setfsuid(id.uid); err != nil { // its capabilities over files go with it
				return err
			}
			return do()
		}()
	}()
	return <-done
}

func writable(dir string) error {
	return unix.Faccessat(unix.AT_FDCWD, dir, unix.W_OK|unix.X_OK, unix.AT_EACCESS)
}

func enterable(dir string) error {
	return unix.Faccessat(unix.AT_FDCWD, dir, unix.X_OK, unix.AT_EACCESS)
}

// Free returns how much room there is for users other than root where a path is; ok is false if
// nobody knows.
func Free(path string) (bytes, files uint64, ok bool) {
	var s unix.Statfs_t
	if unix.Statfs(path, &s) != nil {
		return 0, 0, false
	}
	files = s.Ffree
	if s.Files == 0 { // a file system that has no such limit
		files = 1 << 32
	}
	return s.Bavail * uint64(s.Bsize), files, true
}
