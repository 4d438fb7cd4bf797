//go:build unix

package state

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// giveToOwner gives a file that root has made in a directory to whom the directory belongs: a run
// by hand leaves nothing behind that the service can't read.
func giveToOwner(f *os.File, dir string) error {
	if os.Geteuid() != 0 {
		return nil
	}
	owner, err := ownerOf(dir)
	if err != nil {
		return err
	}
	if err := f.Chown(int(owner.Uid), int(owner.Gid)); !errors.Is(err, fs.ErrPermission) {
		return err
	}
	return nil // root without that right, as in a container, reads its files itself
}

func ownerOf(dir string) (*syscall.Stat_t, error) {
	info, err := os.Stat(dir)
	if err != nil {
		return nil, err
	}
	s, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return nil, errors.ErrUnsupported
	}
	return s, nil
}

// GiveToOwner does the same for all that root owns below a directory of this one, where a library
// has made it.
func (d *Dir) GiveToOwner(name string) error {
	if os.Geteuid() != 0 {
		return nil
	}
	owner, err := ownerOf(d.path)
	if err != nil || owner.Uid == 0 {
		return err
	}
	// Another user may put links there, so none is followed.
	root, err := os.OpenRoot(d.path)
	if err != nil {
		return err
	}
	defer root.Close()
	return fs.WalkDir(root.FS(), filepath.ToSlash(name), func(path string, entry fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return err
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		if s, ok := info.Sys().(*syscall.Stat_t); !ok || s.Uid != 0 || s.Nlink > 1 && !entry.IsDir() {
			return nil
		}
		return root.Lchown(path, int(owner.Uid), int(owner.Gid))
	})
}
