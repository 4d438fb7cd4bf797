package access

import (
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
)

// Root may do everything; a service of another user may not, and that is what is asked.
func TestAnotherUsersAccess(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can ask for another user")
	}
	t.Parallel()
	const nobody = 65534
	dir, err := os.MkdirTemp("/tmp", "access") // tests' own directories are closed
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	inside := filepath.Join(dir, "inside")
	file := filepath.Join(inside, "file")
	for _, err := range []error{os.Chmod(dir, 0o755), os.Mkdir(inside, 0o755), os.WriteFile(file, nil, 0o600)} {
		if err != nil {
			t.Fatal(err)
		}
	}
	u := byID(nobody)
	if u.Self() {
		t.Fatal("root is nobody")
	}
	if err := u.Read(file); !errors.Is(err, fs.ErrPermission) {
		t.Errorf("a 0600 file of root's: %v", err)
	}
	if at := u.Closed(file); at != "" {
		t.Errorf("%s is closed", at)
	}
	if err := u.Run(file); !errors.Is(err, fs.ErrPermission) {
		t.Errorf("a file that nobody may run: %v", err)
	}
	if err := errors.Join(u.Run("/bin/sh"), byID(0).Run("/bin/sh")); err != nil {
		t.Errorf("a program: %v", err)
	}
	if err := u.Run(filepath.Join(inside, "none")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a program that is not there: %v", err)
	}
	if u.Run(inside) == nil {
		t.Error("a directory is a program")
	}
	if err := u.Write(inside); !errors.Is(err, fs.ErrPermission) {
		t.Errorf("a directory of root's: %v", err)
	}
	if err := errors.Join(os.Chmod(file, 0o644), os.Chown(inside, nobody, nobody)); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(u.Read(file), u.Write(inside)); err != nil {
		t.Error(err)
	}
	// The older way to ask says the same.
	for at, want := range map[string]error{
		inside: nil, dir: fs.ErrPermission, filepath.Join(dir, "none"): fs.ErrNotExist,
	} {
		if err := u.as(func() error { return takesFiles(at) }); !errors.Is(err, want) {
			t.Errorf("%s takes files: %v, want %v", at, err, want)
		}
	}
	if left, err := os.ReadDir(inside); err != nil || len(left) != 1 {
		t.Errorf("it leaves %v, %v", left, err)
	}
	if err := os.Chmod(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if at := u.Closed(file); at != dir {
		t.Errorf("%q is closed, want %s", at, dir)
	}
	if err := byID(0).Read(file); err != nil {
		t.Errorf("this process has lost its own access: %v", err)
	}
	if got := OwnerOf(inside, "root"); got.id.uid != nobody {
		t.Errorf("the owner is %+v", got)
	}
	if got := OwnerOf(filepath.Join(dir, "none"), "root"); got.id.uid != 0 {
		t.Errorf("of a directory that is not there it is %+v", got)
	}
}

// Where root may not become another user, as in some containers, it answers for itself: it said
// that the service may read nothing.
func TestRootThatCannotBecomeAnother(t *testing.T) {
	if os.Getenv("TEST_OF_ACCESS") != "" {
		if err := byID(65534).Read(os.Args[0]); err != nil {
			t.Error(err)
		}
		return
	}
	t.Parallel()
	test := exec.Command(os.Args[0], "-test.run=^"+t.Name()+"$")
	test.Env = append(os.Environ(), "TEST_OF_ACCESS=1")
	ids := func(of int) []syscall.SysProcIDMap { return []syscall.SysProcIDMap{{HostID: of, Size: 1}} }
	test.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWUSER, UidMappings: ids(os.Getuid()),
		GidMappings: ids(os.Getgid())} // without the right to setgroups
	out, err := test.CombinedOutput()
	if errors.Is(err, fs.ErrPermission) || errors.Is(err, syscall.ENOSPC) {
		t.Skipf("no namespaces of users here: %v", err)
	}
	if err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}
