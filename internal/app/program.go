package app

import "errors"

// What the admin API asks of the program that the box is, see App.Leave and App.Effective. See also
// readAgain.

// errEmbedded answers what only a program of its own can do.
var errEmbedded = errors.New("this box is a part of another program, which does that")

func leave(end func()) error {
	if end == nil {
		return errEmbedded
	}
	end()
	return nil
}

func effective(text func() (string, error)) (string, error) {
	if text == nil {
		return "", errEmbedded
	}
	return text()
}
