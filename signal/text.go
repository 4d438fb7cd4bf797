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

// CheckText refuses, as CodeBadFrame, what doesn't belong into a name of anything: other people's
// pages and terminals will show it. field is what the refusal calls it; the limit is in characters.
func CheckText(field, s string, limit int) error {
	if utf8.RuneCountInString(s) > limit {
		return Refuse(CodeBadFrame, fmt.Sprintf("%s is longer than %d characters", field, limit))
	}
	for _, r := range s {
		if unicode.IsControl(r) || reordersText(r) {
			return Refuse(CodeBadFrame, field+" has a control character in it")
		}
	}
	return nil
}

// reordersText finds the characters that break lines or turn the direction of what follows: with
// them one name is displayed as another ("Trojan Source").
func reordersText(r rune) bool {
	return r == '\u2028' || r == '\u2029' || '\u202a' <= r && r <= '\u202e' || '\u2066' <= r && r <= '\u2069'
}
