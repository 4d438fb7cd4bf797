// Package state keeps what the appliance made itself, in one directory: secrets, its own
// certificate authority, counts that outlive a restart.
package state

import (
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
)

// The secrets that the appliance keeps.
const (
	TURNSecret = "turn-secret" // signs TURN credentials
	AdminToken = "admin-token" // opens the admin API
	ResumeKey  = "resume-key"  // signs resume tokens
)

// Running is the file in which a running appliance says where it listens.
const Running = "running"

// MinSecret is the length of the shortest secret that nobody guesses, in characters.
const MinSecret = 16

// Secret is a string that no log and no error message shows.
type Secret string

func (Secret) String() string       { return "[secret]" }
func (Secret) GoString() string     { return "[secret]" }
func (Secret) LogValue() slog.Value { return slog.StringValue("[secret]") }

// Dir is a state directory. Every file in it is readable by its owner only.
type Dir struct{ path string }

// DefaultDir returns the directory to use: explicit if given, else systemd's, else the user's.
func DefaultDir(explicit string) (string, error) {
	if explicit != "" {
		return explicit, nil
	}
	if dir := os.Getenv("STATE_DIRECTORY"); dir != "" {
		first, _, _ := strings.Cut(dir, ":") // systemd lists several with colons
		return first, nil
	}
	if dir := os.Getenv("XDG_STATE_HOME"); filepath.IsAbs(dir) {
		return filepath.Join(dir, "signalbox"), nil
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return "", fmt.Errorf("state directory: there is no home directory: name one with --state DIR")
	}
	return filepath.Join(home, ".local", "state", "signalbox"), nil
}

// Open makes the directory if it is not there.
func Open(path string) (*Dir, error) {
	abs, err := filepath.Abs(path)
	if err != nil {
		return nil, fmt.Errorf("state directory: %w", err)
	}
	if err := os.MkdirAll(abs, 0o700); err != nil {
		return nil, fmt.Errorf("state directory: %w: make it writable, or name another with --state DIR", err)
	}
	return &Dir{abs}, nil
}

// Within returns a directory in this one, with the same owner, and makes it if it is not there.
func (d *Dir) Within(name string) (*Dir, error) {
	err := os.Mkdir(d.Path(name), 0o700)
	if err == nil {
		err = d.GiveToOwner(name)
	}
	if err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, fmt.Errorf("state: %w", err)
	}
	return &Dir{d.Path(name)}, nil
}

// Existing is a directory that is only read: nothing is made in it.
func Existing(path string) *Dir { return &Dir{path} }

// OpenToAll reports whether everybody on this machine may read a file, or look into a directory.
// Where permissions are not Unix's it knows of nothing.
func OpenToAll(path string) bool {
	const others = 0o007
	info, err := os.Stat(path)
	if err != nil || runtime.GOOS == "windows" {
		return false
	}
	if info.IsDir() {
		return info.Mode().Perm()&others != 0
	}
	return info.Mode().Perm()&0o004 != 0
}

// Exposed says what in the directory others than its owner may read, and what to do; nil: nothing.
func (d *Dir) Exposed() (found *Exposure) {
	if runtime.GOOS == "windows" {
		return nil
	}
	//nolint:errcheck // what this user can't look at is not exposed by it
	filepath.WalkDir(d.path, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.Type().IsRegular() {
			return nil
		}
		if info, err := entry.Info(); err == nil && info.Mode().Perm()&0o077 != 0 {
			found = &Exposure{path, "others than its owner may read it", "chmod 600 " + path}
			return fs.SkipAll
		}
		return nil
	})
	if found == nil && OpenToAll(d.path) {
		found = &Exposure{d.path, "everybody on this machine may look into it, and it is for secrets",
			"chmod 700 " + d.path}
	}
	return found
}

// Exposure is a file or directory that others may read.
type Exposure struct{ Path, Why, Fix string }

// Path returns the directory's path, or that of a file in it.
func (d *Dir) Path(name ...string) string { return filepath.Join(append([]string{d.path}, name...)...) }

// Secret returns the secret of that name: 32 random bytes in base64, made when it is first asked
// for.
func (d *Dir) Secret(name string) (Secret, error) {
	var b [32]byte
	rand.Read(b[:]) //nolint:errcheck // it never fails
	if err := d.Create(name, []byte(base64.RawURLEncoding.EncodeToString(b[:])+"\n")); err != nil &&
		!errors.Is(err, fs.ErrExist) {
		return "", err
	}
	return d.ExistingSecret(name)
}

// ExistingSecret returns a secret that a first start has made.
func (d *Dir) ExistingSecret(name string) (Secret, error) {
	text, err := d.Read(name)
	if errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("there is no secret in %s: start signalbox first, or name its state directory with "+
			"--state DIR", d.path)
	}
	if err != nil {
		return "", err
	}
	secret := strings.TrimSpace(string(text))
	if len(secret) < MinSecret {
		return "", fmt.Errorf("state: %s holds no secret: delete the file; a start then makes a new one",
			filepath.Join(d.path, name))
	}
	return Secret(secret), nil
}

// Read returns a file's content.
func (d *Dir) Read(name string) ([]byte, error) {
	b, err := os.ReadFile(filepath.Join(d.path, name))
	if err != nil {
		return nil, fmt.Errorf("state: %w", err)
	}
	return b, nil
}

// Create writes a new file whole or not at all. The error is fs.ErrExist if there is one: two
// processes that start at once then have the same secret.
func (d *Dir) Create(name string, data []byte) error {
	if _, err := os.Stat(filepath.Join(d.path, name)); err == nil {
		return fs.ErrExist
	}
	return d.put(name, data, os.Link)
}

// Write replaces a file whole or not at all.
func (d *Dir) Write(name string, data []byte) error { return d.put(name, data, os.Rename) }

// Remove removes a file.
func (d *Dir) Remove(name string) error { return os.Remove(filepath.Join(d.path, name)) }

// put writes a temporary file and has place bring it to its name.
func (d *Dir) put(name string, data []byte, place func(from, to string) error) error {
	f, err := os.CreateTemp(d.path, "."+name+"-*") // 0600
	if err != nil {
		return fmt.Errorf("state: %w: make the directory writable for this user, or name another with --state DIR", err)
	}
	defer os.Remove(f.Name()) // fails once it is renamed
	_, err = f.Write(data)
	if err == nil {
		err = giveToOwner(f, d.path)
	}
	if err == nil {
		err = f.Sync()
	}
	if err := errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("state: write %s: %w", name, err)
	}
	if err := place(f.Name(), filepath.Join(d.path, name)); err != nil {
		return fmt.Errorf("state: %w", err)
	}
	if err := syncDir(d.path); err != nil {
		return fmt.Errorf("state: write %s: %w", name, err)
	}
	return nil
}

// syncDir has the disk know the names in a directory, where systems and file systems can do that.
func syncDir(path string) error {
	if runtime.GOOS == "windows" {
		return nil
	}
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := f.Sync(); err != nil && !errors.Is(err, errors.ErrUnsupported) && !errors.Is(err, syscall.EINVAL) {
		return err
	}
	return nil
}
