package state

import (
	"errors"
	"io/fs"
	"runtime"
	"testing"
)

// What a process that was killed has left is nobody's word any more.
func TestHold(t *testing.T) {
	t.Parallel()
	if runtime.GOOS == "windows" {
		t.Skip("nothing is held there")
	}
	d, err := Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	wantNone := func(when string) {
		t.Helper()
		if text, err := d.ReadHeld("x"); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: %q, %v", when, text, err)
		}
	}
	wantNone("before")
	first, err := d.Hold("x", []byte("first"))
	if err != nil {
		t.Fatal(err)
	}
	second, err := d.Hold("x", []byte("second"))
	if err != nil {
		t.Fatal(err)
	}
	first()
	for range 2 { // reading it takes nothing away
		if text, err := d.ReadHeld("x"); err != nil || string(text) != "second" {
			t.Errorf("%q, %v", text, err)
		}
	}
	second()
	wantNone("after")
	if text, err := d.Read("x"); err != nil || string(text) != "second" {
		t.Errorf("the file has %q, %v", text, err)
	}
}
