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

// become calls do with another user's access to files, unless this process may not become another
// user, as root may not in some containers. Only one thread becomes that user: it is not given
// back, so it ends with its goroutine.
func become(id ids, do func() error) (did bool, err error) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread()
		did, err = func() (bool, error) {
			groups := make([]uint32, len(id.groups)+1) // never empty: its first is pointed to
			groups[0] = uint32(id.gid)
			for i, g := range id.groups {
				groups[i+1] = uint32(g)
			}
			if _, _, errno := unix.RawSyscall(unix.SYS_SETGROUPS, uintptr(len(groups)),
				uintptr(unsafe.Pointer(&groups[0])), 0); errno != 0 {
				return false, nil
			}
			// Neither of these says that it has failed; asked for an id that nobody has, it tells
			// the one in force. The capabilities over files go with the second.
			_, _ = unix.SetfsgidRetGid(id.gid)
			_, _ = unix.SetfsuidRetUid(id.uid)
			gid, _ := unix.SetfsgidRetGid(-1)
			uid, _ := unix.SetfsuidRetUid(-1)
			if gid != id.gid || uid != id.uid {
				return false, nil
			}
			return true, do()
		}()
	}()
	<-done
	return did, err
}

func writable(dir string) error {
	err := unix.Faccessat2(unix.AT_FDCWD, dir, unix.W_OK|unix.X_OK, unix.AT_EACCESS)
	if err == unix.ENOSYS || err == unix.EPERM { // before Linux 5.8, or where a container knows no such call
		return takesFiles(dir)
	}
	return err
}

// takesFiles is writable by trying it out, with a file that has no name and is gone at once: no
// older call asks for a user whom a thread has become.
func takesFiles(dir string) error {
	fd, err := unix.Open(dir, unix.O_TMPFILE|unix.O_WRONLY|unix.O_CLOEXEC, 0o600)
	switch err {
	case nil:
		return unix.Close(fd)
	case unix.EACCES, unix.EROFS, unix.EPERM, unix.ENOENT, unix.ENOTDIR:
		return err
	}
	return nil // not every file system has such files
}

func executable(program string) error {
	err := unix.Faccessat2(unix.AT_FDCWD, program, unix.X_OK, unix.AT_EACCESS)
	if err == unix.ENOSYS || err == unix.EPERM { // as in writable: it shows when it is run
		return nil
	}
	return err
}

// enterable looks for the directory in itself, which takes the right to enter it.
func enterable(dir string) error {
	fd, err := unix.Open(dir+"/.", unix.O_PATH|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	return unix.Close(fd)
}

func roomAt(path string) (r room, ok bool) {
	var s unix.Statfs_t
	if unix.Statfs(path, &s) != nil {
		return room{}, false
	}
	r = room{s.Bavail * uint64(s.Bsize), s.Ffree}
	if s.Files == 0 { // a file system that has no such limit
		r.files = 1 << 32
	}
	return r, true
}
