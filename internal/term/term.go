// Package term writes to terminals what others have chosen: names, messages of servers, errors.
// Nothing of that moves the cursor, turns the direction of text or begins a line: what does not
// print is shown as an escape.
package term

import (
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"
)

// Text is s with an escape, as in a Go string, for each character that does not print: control
// characters, line breaks, those that steer the direction of text, bytes that are no UTF-8.
func Text(s string) string { return escape(s, "") }

// Lines is Text for messages that may have several lines.
func Lines(s string) string { return escape(s, "\n") }

func escape(s, keep string) string {
	var out strings.Builder
	for i := 0; i < len(s); {
		r, size := utf8.DecodeRuneInString(s[i:])
		switch {
		case r == utf8.RuneError && size == 1:
			fmt.Fprintf(&out, `\x%02x`, s[i])
		case unicode.IsPrint(r) || strings.ContainsRune(keep, r):
			out.WriteRune(r)
		default:
			quoted := strconv.QuoteRune(r)
			out.WriteString(quoted[1 : len(quoted)-1])
		}
		i += size
	}
	return out.String()
}

// Texts is Text of each.
func Texts(list []string) []string {
	out := make([]string, len(list))
	for i, s := range list {
		out[i] = Text(s)
	}
	return out
}

// JSON writes v as a line of JSON in which what does not print stands as an escape: other programs
// read the same value.
func JSON(w io.Writer, v any) error { return json.NewEncoder(JSONWriter(w)).Encode(v) }

// Writer passes on text, whole lines at a time, as Lines has it.
func Writer(w io.Writer) io.Writer { return writer{w, Lines} }

// JSONWriter passes on JSON, whole texts of it at a time, as JSON writes it.
func JSONWriter(w io.Writer) io.Writer { return writer{w, escapeJSON} }

type writer struct {
	to     io.Writer
	escape func(string) string
}

func (w writer) Write(text []byte) (int, error) {
	if _, err := io.WriteString(w.to, w.escape(string(text))); err != nil {
		return 0, err
	}
	return len(text), nil
}

// escapeJSON relies on that outside of its strings JSON prints, but for line breaks and tabs, and
// that within them those are escaped already.
func escapeJSON(text string) string {
	var out strings.Builder
	for _, r := range text {
		switch {
		case unicode.IsPrint(r) || r == '\n' || r == '\t':
			out.WriteRune(r)
		case r > 0xFFFF:
			high, low := utf16.EncodeRune(r)
			fmt.Fprintf(&out, `\u%04x\u%04x`, high, low)
		default:
			fmt.Fprintf(&out, `\u%04x`, r)
		}
	}
	return out.String()
}
