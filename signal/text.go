package signal

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// Limits of names, in characters (Unicode code points).
const (
	MaxName = 64
	MaxUser = 64
	MaxRoom = 128 // without the prefix of a dialect
)

// maxMarks is how many combining marks a letter may carry: Hebrew with points and accents has four.
const maxMarks = 4

// CheckText refuses, as CodeBadFrame, characters that don't belong into a name: other people's
// pages and terminals will show it. The refusal names field; the limit is in characters, of the
// normalization form NFC: that is what the hub keeps.
func CheckText(field, s string, limit int) error {
	if utf8.RuneCountInString(norm.NFC.String(s)) > limit {
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

// RoomName returns the name under which a room is known that somebody has called so: in the
// normalization form NFC, since the same letters are typed and stored in several ways ("é" as one
// character or as two).
func RoomName(s string) string { return norm.NFC.String(s) }

// Visible returns of a name what others can see, in the normalization form NFC: without characters
// that are invisible, marks that stand on nothing, all marks of a letter but the first four, and
// spaces at its ends. What joins the parts of an emoji or of a Persian word stays. So nobody is
// nameless by a name, and "bob" and "bob" with a zero-width space are one user. Of what it returns,
// it returns the same. The pages do so before they send a name (js/text.js); testdata/names.json is
// a test of both.
func Visible(s string) string {
	// Neighbors of what is taken out may be one character in NFC, and one mark less to count.
	for {
		seen := seenOnce(s)
		if seen == s {
			return s
		}
		s = seen
	}
}

func seenOnce(s string) string {
	var out []rune
	marks := 0 // that the last character carries, however it was typed
	for _, r := range norm.NFC.String(s) {
		last := lastOf(out)
		switch {
		case unicode.IsSpace(r):
			out, marks = append(unjoined(out), ' '), maxMarks
			if last == ' ' {
				out = out[:len(out)-1]
			}
		case r == '\u200c' || r == '\u200d' || '\ufe00' <= r && r <= '\ufe0f':
			if last >= '\u0590' && !isJoiner(last) && !isVariation(r, last) {
				out = append(out, r)
			}
		case isBlank(r):
		case unicode.In(r, unicode.Mn, unicode.Me):
			if marks++; len(out) > 0 && marks <= maxMarks {
				out = append(out, r)
			}
		default:
			out, marks = append(out, r), 0
		}
	}
	return norm.NFC.String(strings.Trim(string(unjoined(out)), " "))
}

// isBlank tells of a character that shows nothing: one that renderers ignore, or a letter or a
// pattern without any ink.
func isBlank(r rune) bool {
	return Unprintable(r) || r == '\u2800' || unicode.In(r, unicode.Cf, unicode.Cs,
		unicode.Other_Default_Ignorable_Code_Point, unicode.Variation_Selector)
}

func isJoiner(r rune) bool { return r == '\u200c' || r == '\u200d' }

// isVariation tells of a second variation selector in a row.
func isVariation(r, last rune) bool {
	return !isJoiner(r) && '\ufe00' <= last && last <= '\ufe0f'
}

// unjoined is the text without a joiner at its end, which joins nothing.
func unjoined(text []rune) []rune {
	if isJoiner(lastOf(text)) {
		return text[:len(text)-1]
	}
	return text
}

func lastOf(text []rune) rune {
	if len(text) == 0 {
		return 0
	}
	return text[len(text)-1]
}
