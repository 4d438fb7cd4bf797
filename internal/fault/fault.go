// Package fault is the error of a configuration key: rooms name the key at fault, and the code that
// reports it to the operator need not parse their sentences.
package fault

import (
	"errors"
	"fmt"
)

// Fault is what is wrong with a key.
type Fault struct {
	Key string // dotted; or several keys: "tls.cert, tls.key"
	Err error  // what is wrong, and what to do
}

func (f *Fault) Error() string { return f.Key + ": " + f.Err.Error() }
func (f *Fault) Unwrap() error { return f.Err }

// New is fmt.Errorf for a key.
func New(key, format string, args ...any) error { return &Fault{key, fmt.Errorf(format, args...)} }

// Split returns an error's key, or otherwise if it names none, and what is wrong.
func Split(err error, otherwise string) (key, text string) {
	var f *Fault
	if errors.As(err, &f) {
		return f.Key, f.Err.Error()
	}
	return otherwise, err.Error()
}
