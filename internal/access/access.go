// Package access answers what another user of this machine may do: whoever sets a service up is
// root, who may do everything, and the service is not.
package access

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
)

// User is somebody whose access is asked for.
type User struct {
	Name string // or the number, if it has no name
	id   ids
	self bool // this process already is that user, or can't become another
}

// ids are what the kernel knows a user by.
type ids struct {
	uid, gid int
	groups   []int
}

// OwnerOf returns the user to whom a directory belongs; if it is not there yet, the user of that
// name, or else this process's.
func OwnerOf(dir, name string) User {
	if uid, ok := ownerOf(dir); ok {
		return byID(uid)
	}
	if u, err := user.Lookup(name); err == nil {
		if uid, err := strconv.Atoi(u.Uid); err == nil {
			return byID(uid)
		}
	}
	return byID(os.Geteuid())
}

func byID(uid int) User {
	u := User{Name: strconv.Itoa(uid), id: ids{uid: uid, gid: uid},
		self: uid == os.Geteuid() || os.Geteuid() != 0}
	known, err := user.LookupId(u.Name)
	if err != nil {
		return u
	}
	u.Name = known.Username
	if gid, err := strconv.Atoi(known.Gid); err == nil {
		u.id.gid = gid
	}
	groups, _ := known.GroupIds() // none are known: it has that of its own
	for _, g := range groups {
		if gid, err := strconv.Atoi(g); err == nil {
			u.id.groups = append(u.id.groups, gid)
		}
	}
	return u
}

// Group names the user's own group, by its number if it has no name.
func (u User) Group() string {
	number := strconv.Itoa(u.id.gid)
	if g, err := user.LookupGroupId(number); err == nil {
		return g.Name
	}
	return number
}

// Self reports whether answers are about this process's own user: it is that one, or can't become
// another.
func (u User) Self() bool { return u.self }

// Read returns why the user can't read a file or list a directory; nil: they can.
func (u User) Read(path string) error {
	return u.as(func() error {
		f, err := os.OpenFile(path, os.O_RDONLY|nonblock, 0)
		if err != nil {
			return err
		}
		return f.Close()
	})
}

// Run returns why the user can't run a program; nil: they can, as far as that shows.
func (u User) Run(program string) error {
	return u.as(func() error {
		info, err := os.Stat(program)
		switch {
		case err != nil:
			return err
		case !info.Mode().IsRegular():
			return fmt.Errorf("%s is not a program", program)
		}
		if err := executable(program); err != nil {
			return &fs.PathError{Op: "run", Path: program, Err: err}
		}
		return nil
	})
}

// Write returns why the user can't make files in a directory; nil: they can. It makes none.
func (u User) Write(dir string) error {
	return u.as(func() error {
		if err := writable(dir); err != nil {
			return &fs.PathError{Op: "write", Path: dir, Err: err}
		}
		return nil
	})
}

// Closed returns the first directory on the way to a path that the user can't enter; empty: the
// path itself is what is closed.
func (u User) Closed(path string) (dir string) {
	path, err := filepath.Abs(path)
	if err != nil {
		return ""
	}
	for at := filepath.Dir(path); ; at = filepath.Dir(at) {
		if err := u.as(func() error { return enterable(at) }); errors.Is(err, fs.ErrPermission) {
			dir = at // and perhaps one further up
		}
		if at == filepath.Dir(at) {
			return dir
		}
	}
}

func (u User) as(do func() error) error {
	if u.self {
		return do()
	}
	did, err := become(u.id, do)
	if !did { // then the answer is about this process
		return do()
	}
	return err
}
