package state

import (
	"fmt"
	"io"
	"io/fs"
	"os"
)

// Hold is Write for a file that says something of this process. It is held until release is called
// or the process ends, however it does. release does not remove it.
func (d *Dir) Hold(name string, data []byte) (release func(), err error) {
	var f *os.File
	err = d.put(name, data, func(from, to string) (err error) {
		if f, err = hold(from); err != nil {
			return err
		}
		return os.Rename(from, to)
	})
	if err != nil {
		f.Close() //nolint:errcheck // it may be nil
		return nil, err
	}
	return func() { f.Close() }, nil
}

// ReadHeld is Read for a file that somebody holds, on systems that know. The error is
// fs.ErrNotExist if nobody does: a process has left it that was killed, or a machine that lost its
// power.
func (d *Dir) ReadHeld(name string) ([]byte, error) {
	f, err := os.Open(d.Path(name))
	if err != nil {
		return nil, fmt.Errorf("state: %w", err)
	}
	defer f.Close()
	if !held(f) {
		return nil, fmt.Errorf("state: nobody holds %s: %w", name, fs.ErrNotExist)
	}
	text, err := io.ReadAll(f)
	if err != nil {
		return nil, fmt.Errorf("state: %w", err)
	}
	return text, nil
}
