package signal_test

import (
	"encoding/json"
	"os"
	"strings"
	"testing"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

	"signalbox/signal"
)

// What others see of a name. The pages have the same rule in JavaScript, tested with the same file.
func TestVisible(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("testdata/names.json")
	if err != nil {
		t.Fatal(err)
	}
	var names [][2]string
	if err := json.Unmarshal(text, &names); err != nil || len(names) < 30 {
		t.Fatalf("%d names: %v", len(names), err)
	}
	for _, name := range names {
		if got := signal.Visible(name[0]); got != name[1] {
			t.Errorf("of %+q is seen %+q, not %+q", name[0], got, name[1])
		}
	}
}

func FuzzVisible(f *testing.F) {
	for _, seed := range []string{"bob", "a\u0301\u0301\u0301\u0301\u0301", "\u2764\ufe0f\u200d", " \u0646\u200c "} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, s string) {
		seen := signal.Visible(s)
		if !utf8.ValidString(seen) || strings.ContainsFunc(seen, signal.Unprintable) {
			t.Errorf("of %+q is seen %+q", s, seen)
		}
		if again := signal.Visible(seen); again != seen {
			t.Errorf("of %+q is seen %+q, and of that %+q", s, seen, again)
		}
		if utf8.ValidString(s) && utf8.RuneCountInString(seen) > utf8.RuneCountInString(norm.NFC.String(s)) {
			t.Errorf("%+q has grown to %+q", s, seen)
		}
	})
}

// One character may be three in NFC (U+FB2C), which is what the hub keeps: they count.
func TestLengthOfANameIsThatOfWhatIsKept(t *testing.T) {
	t.Parallel()
	for s, ok := range map[string]bool{
		strings.Repeat("e\u0301", signal.MaxUser):      true,
		strings.Repeat("e\u0301", signal.MaxUser+1):    false,
		strings.Repeat("\ufb2c", signal.MaxUser/3):     true,
		strings.Repeat("\ufb2c", (signal.MaxUser/3)+1): false,
	} {
		if err := signal.CheckText("user", s, signal.MaxUser); (err == nil) != ok {
			t.Errorf("%+q: %v", s, err)
		}
	}
}
