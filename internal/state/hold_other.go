//go:build !(darwin || dragonfly || freebsd || linux || netbsd || openbsd)

package state

import "os"

// hold does nothing: a file that is held could not be replaced here.
func hold(string) (*os.File, error) { return nil, nil }

// held takes it that whoever has left a file still runs.
func held(*os.File) bool { return true }
