package trouble

import (
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode"
)

var update = flag.Bool("update", false, "write TROUBLES.md")

// Each code has words in both languages, once.
func TestEachCodeHasWordsInBothLanguages(t *testing.T) {
	t.Parallel()
	source := read(t, "table.go")
	declared := regexp.MustCompile(`(?m)^\t(\w+) +Code = "([a-z-]+)"`).FindAllStringSubmatch(source, -1)
	if len(declared) != len(All()) {
		t.Errorf("%d codes are declared, %d are in the table", len(declared), len(All()))
	}
	for _, d := range declared {
		row, known := Of(Code(d[2]))
		if !known {
			t.Errorf("%s has no row", d[1])
			continue
		}
		for _, text := range []string{row.EN.What, row.EN.Fix} {
			if !strings.HasSuffix(text, ".") || strings.ContainsFunc(text, chinese) {
				t.Errorf("%s in English: %q", row.Code, text)
			}
		}
		for _, text := range []string{row.ZH.What, row.ZH.Fix} {
			if !strings.ContainsFunc(text, chinese) && row.Code != UDPBuffer {
				t.Errorf("%s in Chinese: %q", row.Code, text)
			}
		}
		if strings.Count(source, "{Code: "+d[1]+",") != 1 {
			t.Errorf("%s has not one row", d[1])
		}
	}
}

func chinese(r rune) bool { return unicode.Is(unicode.Han, r) }

// What the page /check says of a box, in either language, has a code, and no two.
func TestThePageNamesTheSameFaults(t *testing.T) {
	t.Parallel()
	// The browser's own matters, and the page's: nothing is wrong with the box.
	others := []string{"overall.nowebrtc", "server.invalid", "server.nothing", "server.port"}
	about := regexp.MustCompile(`(?m)^  "((?:code|server|box|why|relay|reach|overall|refusal)\.[\w.]+)\.fix":`)
	for _, language := range []string{"en", "zh-CN"} {
		const texts = "../../webui/static/js/lang/"
		text := read(t, texts+language+".js") + read(t, texts+language+"/check.js")
		for _, key := range about.FindAllStringSubmatch(text, -1) {
			if !slices.Contains(others, key[1]) && len(withPage(key[1])) != 1 {
				t.Errorf("%s in %s stands for the codes %v, want one", key[1], language, withPage(key[1]))
			}
		}
		for _, row := range All() {
			for _, key := range row.Page {
				if !strings.Contains(text, `"`+key+`":`) && !strings.Contains(text, `"`+key+`.`) {
					t.Errorf("%s: the page has no %s in %s", row.Code, key, language)
				}
			}
		}
	}
}

func withPage(key string) (codes []Code) {
	for _, row := range All() {
		if slices.Contains(row.Page, key) {
			codes = append(codes, row.Code)
		}
	}
	return codes
}

// The log says what the table says that it says, and the page knows the relay's reasons by the same
// codes.
func TestTheLogNamesTheSameFaults(t *testing.T) {
	t.Parallel()
	var sources strings.Builder
	for _, pattern := range []string{"../../turnsvc/*.go", "../app/*.go", "../cert/*.go"} {
		files, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			if !strings.HasSuffix(file, "_test.go") {
				sources.WriteString(read(t, file))
			}
		}
	}
	for _, row := range All() {
		for _, words := range row.Log {
			if !strings.Contains(sources.String(), `"`+words) {
				t.Errorf("%s: nothing logs %q", row.Code, words)
			}
		}
	}
	reason := regexp.MustCompile(`(?m)^  (?:'(.+)'|(\w+)): '(\w+)',$`)
	reasons := reason.FindAllStringSubmatch(read(t, "../../webui/static/js/check/box.js"), -1)
	if len(reasons) < 10 {
		t.Fatalf("the page knows %d reasons", len(reasons))
	}
	for _, r := range reasons {
		words, key := strings.ReplaceAll(r[1]+r[2], `\'`, `'`), "why."+r[3]
		codes := withPage(key)
		if len(codes) != 1 {
			t.Errorf("%s stands for %v", key, codes)
			continue
		}
		if row, _ := Of(codes[0]); !slices.Contains(row.Log, words) {
			t.Errorf("%s, %s on the page: the log says %q, the table %q", row.Code, key, words, row.Log)
		}
	}
}

// Answers to clients have words.
func TestOfAnswer(t *testing.T) {
	t.Parallel()
	seen := map[int]Code{}
	for _, row := range All() {
		for _, code := range row.Clients {
			if other, twice := seen[code]; twice {
				t.Errorf("%d stands for %s and %s", code, other, row.Code)
			}
			seen[code] = row.Code
			if got := OfAnswer(code); got.Code != row.Code {
				t.Errorf("%d is %s, want %s", code, got.Code, row.Code)
			}
		}
	}
	if got := OfAnswer(999); got.Code != Refused {
		t.Errorf("999 is %s", got.Code)
	}
}

func TestDocument(t *testing.T) {
	t.Parallel()
	const file = "TROUBLES.md"
	if *update {
		if err := os.WriteFile(file, []byte(Document()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if read(t, file) != Document() {
		t.Errorf("%s is not what the table says: go test ./internal/trouble -update", file)
	}
}

func read(t *testing.T, file string) string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
