package signalbox

import (
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// State is the directory in which the appliance keeps what it made itself: secrets and its own
// certificate. Every file in it is readable by its owner only.
type State struct{ dir string }

// StateDir returns the directory to use: explicit if given, else systemd's, else the user's.
func StateDir(explicit string) (string, error) {
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
		return "", fmt.Errorf("state directory: there is no home directory: say where with --state DIR")
	}
	return filepath.Join(home, ".local", "state", "signalbox"), nil
}

// OpenState makes the directory if it is not there.
func OpenState(dir string) (*State, error) {
	abs, err := filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("state directory: %w", err)
	}
	if err := os.MkdirAll(abs, 0o700); err != nil {
		return nil, fmt.Errorf("state directory: %w: make it writable, or name another with --state DIR", err)
	}
	return &State{abs}, nil
}

// ReadState is a state directory that is only read: nothing is made in it.
func ReadState(dir string) *State { return &State{dir} }

// Dir returns the directory's absolute path.
func (s *State) Dir() string { return s.dir }

// Secret returns the secret of that name: 32 random bytes in base64, made when it is first asked
// for.
func (s *State) Secret(name string) (Secret, error) {
	var b [32]byte
	rand.Read(b[:]) //nolint:errcheck // it never fails
	if err := s.create(name, []byte(base64.RawURLEncoding.EncodeToString(b[:])+"\n")); err != nil &&
		!errors.Is(err, fs.ErrExist) {
		return "", err
	}
	return s.existingSecret(name)
}

// existingSecret returns a secret that a first start has made.
func (s *State) existingSecret(name string) (Secret, error) {
	text, err := s.read(name)
	if errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("there is no secret in %s: start signalbox first, or name its state directory with "+
			"--state DIR", s.dir)
	}
	if err != nil {
		return "", err
	}
	secret := strings.TrimSpace(string(text))
	if len(secret) < 16 {
		return "", fmt.Errorf("state: %s holds no secret: delete the file and a new one is made",
			filepath.Join(s.dir, name))
	}
	return Secret(secret), nil
}

func (s *State) read(name string) ([]byte, error) {
	b, err := os.ReadFile(filepath.Join(s.dir, name))
	if err != nil {
		return nil, fmt.Errorf("state: %w", err)
	}
	return b, nil
}

// create writes a new file whole or not at all. The error is fs.ErrExist if there is one: two
// processes that start at once then have the same secret.
func (s *State) create(name string, data []byte) error {
	if _, err := os.Stat(filepath.Join(s.dir, name)); err == nil {
		return fs.ErrExist
	}
	return s.put(name, data, os.Link)
}

// write replaces a file whole or not at all.
func (s *State) write(name string, data []byte) error { return s.put(name, data, os.Rename) }

// put writes a temporary file and has place bring it to its name.
func (s *State) put(name string, data []byte, place func(from, to string) error) error {
	f, err := os.CreateTemp(s.dir, "."+name+"-*") // 0600
	if err != nil {
		return fmt.Errorf("state: %w: make the directory writable for this user, or name another with --state DIR", err)
	}
	defer os.Remove(f.Name()) // fails once it is renamed
	_, err = f.Write(data)
	if err == nil {
		err = f.Sync()
	}
	if err := errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("state: write %s: %w", name, err)
	}
	if err := place(f.Name(), filepath.Join(s.dir, name)); err != nil {
		return fmt.Errorf("state: %w", err)
	}
	return nil
}
