package term

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"strings"
	"testing"
	"unicode"
)

// hostile are names as somebody chooses them who wants to write on the operator's terminal.
var hostile = []string{
	"\x1b[2J\x1b]0;root\x07", "\u009b31m", "\x7f", "a\rb", "a\nb", "a\tb", "\x00",
	"\u202eeye", "\u2066x\u2069", "\u200f",
	"\u2028", "\u200b", "\xff\xfe", "\U000e0041", "Zoë 茶 🫖", "",
}

func TestTextPrints(t *testing.T) {
	t.Parallel()
	for s, want := range map[string]string{
		"Zoë 茶 🫖": "Zoë 茶 🫖", "\x1b[31m": `\x1b[31m`, "a\nb\tc": `a\nb\tc`,
		"\u202eeye": `\u202eeye`, "\u009b": `\u009b`,
		"\xff": `\xff`, "\U000e0041": `\U000e0041`, "\ufffd": "\ufffd", `C:\x`: `C:\x`, "it's": "it's",
	} {
		if got := Text(s); got != want {
			t.Errorf("%q: %s, want %s", s, got, want)
		}
	}
	for _, s := range hostile {
		for _, got := range append(Texts([]string{s}), Text(s)) {
			if strings.ContainsFunc(got, func(r rune) bool { return !unicode.IsPrint(r) }) {
				t.Errorf("%q: %q", s, got)
			}
		}
	}
	if got := Lines("one\ntwo\x1b"); got != "one\ntwo\\x1b" {
		t.Errorf("%q", got)
	}
}

// What programs read is what was written, and what a terminal shows prints.
func TestJSONPrintsAndMeansTheSame(t *testing.T) {
	t.Parallel()
	for _, s := range hostile {
		s = strings.ToValidUTF8(s, "\ufffd")
		var out bytes.Buffer
		if err := JSON(&out, []string{s}); err != nil {
			t.Fatal(err)
		}
		line, ends := strings.CutSuffix(out.String(), "\n")
		if !ends || strings.ContainsFunc(line, func(r rune) bool { return !unicode.IsPrint(r) }) {
			t.Errorf("%q: %q", s, line)
		}
		var back []string
		if err := json.Unmarshal(out.Bytes(), &back); err != nil || back[0] != s {
			t.Errorf("%q comes back as %q, %v", s, back, err)
		}
	}
}

// Both kinds of log print. (Go's text handler quotes most of what does not, its JSON handler
// little.)
func TestLogsPrint(t *testing.T) {
	t.Parallel()
	for _, s := range hostile {
		var text, lines bytes.Buffer
		slog.New(slog.NewTextHandler(Writer(&text), nil)).Info(s, "user", s, "err", &json.UnsupportedValueError{Str: s})
		slog.New(slog.NewJSONHandler(JSONWriter(&lines), nil)).Info(s, "user", s)
		for _, log := range []string{text.String(), lines.String()} {
			line, _ := strings.CutSuffix(log, "\n")
			if strings.ContainsFunc(line, func(r rune) bool { return !unicode.IsPrint(r) }) {
				t.Errorf("%q: %q", s, line)
			}
		}
	}
}
