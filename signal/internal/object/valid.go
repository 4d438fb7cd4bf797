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
	var open [maxDepth]byte
	depth := 0
	i := skipSpace(text, 0)
	for {
		// A value begins at i.
		if i == len(text) {
			return false
		}
		switch c := text[i]; {
		case c == '{' || c == '[':
			if depth == maxDepth {
				return false
			}
			open[depth] = c
			depth++
			i = skipSpace(text, i+1)
			if i < len(text) && text[i] == c+2 { // it is empty
				depth--
				i++
				break
			}
			if c == '{' {
				if i = keyEnd(text, i); i < 0 {
					return false
				}
			}
			continue
		case c == '"':
			i = stringEnd(text, i)
		default:
			i = wordEnd(text, i)
		}
		if i < 0 {
			return false
		}
		// A value has ended at i.
		for {
			i = skipSpace(text, i)
			if depth == 0 {
				return i == len(text)
			}
			if i == len(text) {
				return false
			}
			if text[i] != open[depth-1]+2 {
				break
			}
			depth--
			i++
		}
		if text[i] != ',' {
			return false
		}
		i = skipSpace(text, i+1)
		if open[depth-1] == '{' {
			if i = keyEnd(text, i); i < 0 {
				return false
			}
		}
	}
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

// stringEnd is the index behind the string that begins at i; -1: it is none.
func stringEnd(text []byte, i int) int {
	start := i + 1
	for i++; i < len(text); i++ {
		switch c := text[i]; {
		case c == '"':
			if !utf8.Valid(text[start:i]) {
				return -1
			}
			return i + 1
		case c < ' ':
			return -1
		case c == '\\':
			if i++; i == len(text) {
				return -1
			}
			switch text[i] {
			case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
			case 'u':
				for range 4 {
					if i++; i == len(text) || !isHex(text[i]) {
						return -1
					}
				}
			default:
				return -1
			}
		}
	}
	return -1
}

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
