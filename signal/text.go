package signal

import (
	"fmt"
	"unicode"
	"unicode/utf8"
)

// Limits of names, in characters (Unicode code points).
const (
	MaxName = 64
	MaxUser = 64
	MaxRoom = 128 // without the prefix of a dialect
)

// CheckText refuses, as CodeBadFrame, characters that don't belong into a name: other people's
// pages and terminals will show it. The refusal names field; the limit is in characters.
func CheckText(field, s string, limit int) error {
	if utf8.RuneCountInString(s) > limit {
		return Refuse(CodeBadFrame, fmt.Sprintf("%s is longer than %d characters", field, limit))
	}
	for _, r := range s {
		if Unprintable(r) {
			return Refuse(CodeBadFrame, field+" contains a control character")
		}
	}
	return nil
}

// Unprintable reports whether a character controls how the text around it is shown: a control
// character, one that breaks lines, or one that turns the direction of what follows, with which one
// name is displayed as another ("Trojan Source").
func Unprintable(r rune) bool {
	return unicode.IsControl(r) || r == '\u2028' || r == '\u2029' || '\u202a' <= r && r <= '\u202e' || '\u2066' <= r &&
		r <= '\u2069'
}
