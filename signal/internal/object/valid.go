package object

import (
	"strings"
	"unicode/utf8"
)

// maxDepth is how deep JSON may be nested, in levels of arrays and objects within each other:
// parsers of clients recurse.
const maxDepth = 512

// Valid reports whether a text is JSON in UTF-8 that is not nested too deeply. It is json.Valid for
// texts that are mostly long strings, as descriptions are.
func Valid(text []byte) bool {
	end := valueEnd(text, skipSpace(text, 0), maxDepth)
	return end >= 0 && skipSpace(text, end) == len(text)
}

// Elements appends the elements of a JSON array, each of which shares memory with the text. ok is
// false if the text is not Valid, or no array.
func Elements(text []byte, to [][]byte) (elements [][]byte, ok bool) {
	i := skipSpace(text, 0)
	if i == len(text) || text[i] != '[' {
		return to, false
	}
	i = skipSpace(text, i+1)
	if i < len(text) && text[i] == ']' {
		return to, skipSpace(text, i+1) == len(text)
	}
	for {
		end := valueEnd(text, i, maxDepth-1)
		if end < 0 {
			return to, false
		}
		to = append(to, text[i:end:end])
		if i = skipSpace(text, end); i == len(text) {
			return to, false
		}
		switch text[i] {
		case ']':
			return to, skipSpace(text, i+1) == len(text)
		case ',':
			i = skipSpace(text, i+1)
		default:
			return to, false
		}
	}
}

// valueEnd is the index behind the value that begins at i, with so many levels at most; -1: it is
// none.
func valueEnd(text []byte, i, most int) int {
	switch {
	case i == len(text):
		return -1
	case text[i] == '"':
		return stringEnd(text, i)
	case text[i] == '{' || text[i] == '[':
		return nestedEnd(text, i, most)
	}
	return wordEnd(text, i)
}

// levels are the arrays and objects that are open, at most maxDepth: of each, whether it is an
// object.
type levels struct {
	objects [maxDepth / 64]uint64
	depth   int
}

func (l *levels) open(c byte) {
	bit := uint64(1) << (l.depth % 64)
	l.objects[l.depth/64] &^= bit
	if c == '{' {
		l.objects[l.depth/64] |= bit
	}
	l.depth++
}

// inObject reports whether the innermost level is an object.
func (l *levels) inObject() bool { return l.objects[(l.depth-1)/64]&(1<<((l.depth-1)%64)) != 0 }

// closes reports whether a character ends the innermost level.
func (l *levels) closes(c byte) bool { return c == '}' && l.inObject() || c == ']' && !l.inObject() }

// nestedEnd is valueEnd for an array or an object.
func nestedEnd(text []byte, i, most int) int {
	var open levels
	for {
		// A value begins at i.
		if i == len(text) {
			return -1
		}
		switch c := text[i]; c {
		case '{', '[':
			if open.depth == most {
				return -1
			}
			open.open(c)
			i = skipSpace(text, i+1)
			if i < len(text) && open.closes(text[i]) { // it is empty
				break
			}
			if i = open.itemBegin(text, i); i < 0 {
				return -1
			}
			continue
		case '"':
			i = stringEnd(text, i)
		default:
			i = wordEnd(text, i)
		}
		if i < 0 {
			return -1
		}
		// A value has ended at i, or an empty one ends there.
		for i = skipSpace(text, i); i < len(text) && open.closes(text[i]); i = skipSpace(text, i+1) {
			if open.depth--; open.depth == 0 {
				return i + 1
			}
		}
		if i == len(text) || text[i] != ',' {
			return -1
		}
		if i = open.itemBegin(text, skipSpace(text, i+1)); i < 0 {
			return -1
		}
	}
}

// itemBegin is where the value begins of what begins at i, an element or a field; -1: it is none.
func (l *levels) itemBegin(text []byte, i int) int {
	if l.inObject() {
		return keyEnd(text, i)
	}
	return i
}

func skipSpace(text []byte, i int) int {
	for i < len(text) && (text[i] == ' ' || text[i] == '\t' || text[i] == '\r' || text[i] == '\n') {
		i++
	}
	return i
}

// keyEnd is where the value begins whose name begins at i; -1: that is no name.
func keyEnd(text []byte, i int) int {
	if i == len(text) || text[i] != '"' {
		return -1
	}
	if i = stringEnd(text, i); i < 0 {
		return -1
	}
	if i = skipSpace(text, i); i == len(text) || text[i] != ':' {
		return -1
	}
	return skipSpace(text, i+1)
}

// StringEnd is the index behind the string that begins at i; -1: it is none.
func StringEnd(text []byte, i int) int { return stringEnd(text, i) }

// stringEnd is the index behind the string that begins at i; -1: it is none. Most of a description
// is looked at here.
func stringEnd(text []byte, i int) int {
	start := i + 1
	for i = start; ; {
	plain:
		for ; i+4 <= len(text); i += 4 { // twice as fast as one by one
			switch four := text[i : i+4 : i+4]; {
			case stops[four[0]] != 0:
				break plain
			case stops[four[1]] != 0:
				i++
				break plain
			case stops[four[2]] != 0:
				i += 2
				break plain
			case stops[four[3]] != 0:
				i += 3
				break plain
			}
		}
		for i < len(text) && stops[text[i]] == 0 {
			i++
		}
		switch {
		case i == len(text):
			return -1
		case text[i] == '"':
			if !utf8.Valid(text[start:i]) {
				return -1
			}
			return i + 1
		case text[i] != '\\':
			return -1
		case i+1 < len(text) && (text[i+1] == 'n' || text[i+1] == 'r'):
			i += 2
		default:
			if i = escapeEnd(text, i); i < 0 {
				return -1
			}
		}
	}
}

// escapeEnd is the index behind the escape that begins at i; -1: it is none.
func escapeEnd(text []byte, i int) int {
	if i++; i == len(text) {
		return -1
	}
	switch text[i] {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return i + 1
	case 'u':
		for range 4 {
			if i++; i == len(text) || !isHex(text[i]) {
				return -1
			}
		}
		return i + 1
	}
	return -1
}

// stops has a 1 for each byte that is not just part of a string: a quote, a backslash, a control
// character.
const (
	zeros8  = "\x00\x00\x00\x00\x00\x00\x00\x00"
	zeros32 = zeros8 + zeros8 + zeros8 + zeros8
	ones8   = "\x01\x01\x01\x01\x01\x01\x01\x01"

	stops = ones8 + ones8 + ones8 + ones8 + // ' '
		"\x00\x00\x01" + zeros32 + zeros8 + zeros8 + zeros8 + "\x00" + // '\\'
		"\x01" + zeros32 + zeros32 + zeros32 + zeros32 + zeros32 + "\x00\x00\x00"
)

func isHex(c byte) bool { return '0' <= c && c <= '9' || 'a' <= c && c <= 'f' || 'A' <= c && c <= 'F' }

// wordEnd is the index behind the number, or true, false or null, that begins at i; -1: it is none.
func wordEnd(text []byte, i int) int {
	for _, word := range []string{"true", "false", "null"} {
		if len(text)-i >= len(word) && string(text[i:i+len(word)]) == word {
			return i + len(word)
		}
	}
	return numberEnd(text, i)
}

func numberEnd(text []byte, i int) int {
	has := func(any string) bool {
		if i == len(text) || strings.IndexByte(any, text[i]) < 0 {
			return false
		}
		i++
		return true
	}
	digits := func() bool {
		start := i
		for has("0123456789") {
		}
		return i > start
	}
	has("-")
	if !has("0") && !digits() || has(".") && !digits() {
		return -1
	}
	if has("eE") {
		has("+-")
		if !digits() {
			return -1
		}
	}
	return i
}
