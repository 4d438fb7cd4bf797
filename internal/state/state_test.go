package state

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
)

// A secret is made once, also by two processes that start at once, and nobody else may read it.
func TestSecretIsMadeOnce(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "new", "state")
	secrets := make([]Secret, 8)
	var wg sync.WaitGroup
	for i := range secrets {
		wg.Go(func() {
			dir, err := Open(path)
			if err == nil {
				secrets[i], err = dir.Secret(TURNSecret)
			}
			if err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	for _, s := range secrets {
		if s != secrets[0] || len(s) < MinSecret {
			t.Fatalf("%d secrets, of %d characters", len(secrets), len(s))
		}
	}
	entries, err := os.ReadDir(path)
	if err != nil || len(entries) != 1 {
		t.Fatalf("%v %v", entries, err)
	}
	if info, err := entries[0].Info(); err != nil || runtime.GOOS != "windows" && info.Mode().Perm() != 0o600 {
		t.Errorf("%v %v", info.Mode(), err)
	}
}

// Who only reads makes nothing, and is told what to do.
func TestExistingIsOnlyRead(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "nowhere")
	dir := Existing(path)
	if _, err := dir.ExistingSecret(AdminToken); err == nil || !strings.Contains(err.Error(), "start signalbox first") {
		t.Errorf("%v", err)
	}
	if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the directory was made: %v", err)
	}
}

func TestBrokenSecretIsNoSecret(t *testing.T) {
	t.Parallel()
	dir, err := Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	if err := dir.Write(AdminToken, []byte("short\n")); err != nil {
		t.Fatal(err)
	}
	if s, err := dir.Secret(AdminToken); err == nil || !strings.Contains(err.Error(), dir.Path(AdminToken)) {
		t.Errorf("%d characters, %v", len(s), err)
	}
}

// A file is replaced whole, or stays as it was; no half of it is left behind.
func TestFilesAreWhole(t *testing.T) {
	t.Parallel()
	dir, err := Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	if err := dir.Create("x", []byte("first")); err != nil {
		t.Fatal(err)
	}
	if err := dir.Create("x", []byte("second")); !errors.Is(err, fs.ErrExist) {
		t.Errorf("%v", err)
	}
	if err := dir.Write("x", []byte("third")); err != nil {
		t.Fatal(err)
	}
	if text, err := dir.Read("x"); err != nil || string(text) != "third" {
		t.Errorf("%q %v", text, err)
	}
	if err := os.Mkdir(dir.Path("y"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := dir.Write("y", []byte("over a directory")); err == nil {
		t.Error("a directory was replaced")
	}
	if left, _ := filepath.Glob(dir.Path(".*")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

func TestDefaultDir(t *testing.T) {
	for _, c := range []struct{ explicit, systemd, xdg, want string }{
		{"/a", "/b:/c", "/d", "/a"},
		{"", "/b:/c", "/d", "/b"},
		{"", "", "/d", filepath.FromSlash("/d/signalbox")},
		{"", "", "relative", filepath.FromSlash("/home/ann/.local/state/signalbox")},
	} {
		t.Setenv("STATE_DIRECTORY", c.systemd)
		t.Setenv("XDG_STATE_HOME", c.xdg)
		t.Setenv("HOME", "/home/ann")
		if got, err := DefaultDir(c.explicit); err != nil || got != c.want {
			t.Errorf("%+v: %s, %v", c, got, err)
		}
	}
}

func TestSecretsAreNotShown(t *testing.T) {
	t.Parallel()
	for _, verb := range []string{"%v", "%+v", "%#v", "%s"} {
		if s := fmt.Sprintf(verb, Secret("hunter2")); strings.Contains(s, "hunter2") {
			t.Errorf("%s shows it", verb)
		}
	}
}

// What the directory itself makes is for its owner only; what others may read of it is found.
func TestExposed(t *testing.T) {
	t.Parallel()
	if runtime.GOOS == "windows" {
		t.Skip("permissions are others there")
	}
	path := filepath.Join(t.TempDir(), "state")
	dir, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := dir.Secret(AdminToken); err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(dir.Path("acme", "keys"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(dir.Path("acme", "keys", "key"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if e := dir.Exposed(); e != nil {
		t.Errorf("as it is made: %+v", e)
	}
	for _, tc := range []struct {
		path string
		mode os.FileMode
		want bool
	}{
		{path, 0o755, true}, {path, 0o701, true}, {path, 0o770, false},
		{dir.Path(AdminToken), 0o604, true}, {dir.Path(AdminToken), 0o640, true},
		{dir.Path("acme", "keys", "key"), 0o644, true},
	} {
		info, err := os.Stat(tc.path)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(tc.path, tc.mode); err != nil {
			t.Fatal(err)
		}
		if e := dir.Exposed(); (e != nil) != tc.want || e != nil && e.Path != tc.path {
			t.Errorf("%s with mode %o: %+v", tc.path, tc.mode, e)
		}
		if err := os.Chmod(tc.path, info.Mode()); err != nil {
			t.Fatal(err)
		}
	}
	if e := Existing(filepath.Join(path, "none")).Exposed(); e != nil {
		t.Errorf("what is not there: %+v", e)
	}
}

func TestOpenToAll(t *testing.T) {
	t.Parallel()
	if runtime.GOOS == "windows" {
		t.Skip("permissions are others there")
	}
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for mode, want := range map[os.FileMode]bool{0o600: false, 0o640: false, 0o660: false, 0o644: true, 0o604: true} {
		if err := os.Chmod(file, mode); err != nil {
			t.Fatal(err)
		}
		if got := OpenToAll(file); got != want {
			t.Errorf("%o: %v", mode, got)
		}
	}
	if OpenToAll(file + "x") {
		t.Error("what is not there is open")
	}
}
