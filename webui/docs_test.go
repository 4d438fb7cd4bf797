package webui

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

func newDocs(t *testing.T) *docs {
	t.Helper()
	d, err := loadDocs(content)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// Every exported name of the types is on the page, and each of its anchors is there once.
func TestDocsHaveEveryName(t *testing.T) {
	t.Parallel()
	_, body := get(t, newServer(t, Options{}).URL+"/docs/sdk")
	page := string(body)
	if size := packed(t, body); size > 40_000 {
		t.Errorf("/docs/sdk is %d bytes, compressed", size)
	} else {
		t.Logf("/docs/sdk: %d bytes, compressed", size)
	}
	ids := matches(`\sid="([^"]+)"`, page)
	slices.Sort(ids)
	if unique := slices.Compact(slices.Clone(ids)); len(unique) != len(ids) {
		t.Errorf("an id is there twice: %v", ids)
	}
	for _, name := range docModules() {
		source, err := content.ReadFile("static/" + name + ".d.ts")
		if err != nil {
			t.Fatal(err)
		}
		for _, exported := range matches(`(?m)^export (?:declare )?\w+ (\w+)`, string(source)) {
			if !regexp.MustCompile(`<h3 id="[\w-]+"><a [^>]*>` + exported + `</a>`).MatchString(page) {
				t.Errorf("/docs/sdk lacks %s of %s.d.ts", exported, name)
			}
		}
	}
	// Others link to these.
	for _, id := range []string{"connect", "session-join", "room-send", "call-hangup", "peer-path", "data-ask",
		"media-open", "stats-verdict", "error-no-such-peer", "examples", "errors", "compare"} {
		if !slices.Contains(ids, id) {
			t.Errorf("/docs/sdk has no #%s", id)
		}
	}
	for _, link := range matches(`href="#([^"]+)"`, page) {
		if !slices.Contains(ids, link) && !strings.HasPrefix(link, "i-") {
			t.Errorf("a link leads to #%s, which isn't there", link)
		}
	}
}

// packed is what a body weighs on the wire.
func packed(t *testing.T, body []byte) int {
	t.Helper()
	file, err := newAsset("page.html", body, newCompressor())
	if err != nil {
		t.Fatal(err)
	}
	return len(file.gzip.body)
}

// seen is what a translation keeps of the text that it was made of.
func seen(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:4])
}

// A comment in the types and its translation are changed together.
func TestDocsAreTranslated(t *testing.T) {
	t.Parallel()
	chinese, err := readTexts[[2]string](content, "docs/zh.json")
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range newDocs(t).all() {
		translation, found := chinese[entry.ID]
		delete(chinese, entry.ID)
		line := fmt.Sprintf("%q: [%q, \"...\"]", entry.ID, seen(entry.text))
		switch {
		case entry.text == "":
		case !found || translation[1] == "":
			t.Errorf("docs/zh.json lacks a line: %s, with the translation of:\n%s", line, entry.text)
		case translation[0] != seen(entry.text):
			t.Errorf("the English text of %s has changed. See that the translation says the same, and begin its line "+
				"in docs/zh.json so: %s. The text is:\n%s", entry.ID, line, entry.text)
		}
	}
	for _, name := range docExamples() {
		if chinese["example-"+name][1] == "" {
			t.Errorf("docs/zh.json lacks %q: [English, Chinese]", "example-"+name)
		}
		delete(chinese, "example-"+name)
	}
	for id := range chinese {
		t.Errorf("docs/zh.json has %q, which no type has any more", id)
	}
}

// Every code of an error says what to do next, in both languages.
func TestDocsHaveEveryErrorCode(t *testing.T) {
	t.Parallel()
	d := newDocs(t)
	told, codes := make(map[string]bool), make(map[string]bool)
	for _, row := range d.Errors {
		told[row.Key] = row.English != "" && row.Chinese != ""
	}
	for _, entry := range d.all() {
		if entry.Name != "ServerErrorCode" && entry.Name != "ClientErrorCode" {
			continue
		}
		for _, code := range matches(`'([\w-]+)'`, entry.Signature) {
			if !told[code] {
				t.Errorf(`docs/errors.json lacks %q: ["what to do next", "..."]`, code)
			}
			codes[code] = true
		}
	}
	for code := range told {
		if !codes[code] {
			t.Errorf("docs/errors.json has %q, which is no code", code)
		}
	}
}

// What the table claims for us is tested where it says, or it says no.
func TestDocsNameTestsThatExist(t *testing.T) {
	t.Parallel()
	compared := newDocs(t).Compare
	if len(compared) != 12 {
		t.Errorf("the table has %d rows", len(compared))
	}
	for _, row := range compared {
		name, dir, _ := strings.Cut(row.Proof, " in ")
		if name == "" {
			if !strings.HasPrefix(string(row.Ours), "<p>No, because ") {
				t.Errorf("%s: neither a test nor an honest no", row.What)
			}
			continue
		}
		if !declaresTest(t, "../"+dir, name) {
			t.Errorf("%s: there is no test %s in %s", row.What, name, dir)
		}
	}
}

func declaresTest(t *testing.T, dir, name string) bool {
	t.Helper()
	files, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		if !strings.HasSuffix(file.Name(), "_test.go") {
			continue
		}
		source, err := os.ReadFile(dir + "/" + file.Name())
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(source), "\nfunc "+name+"(") {
			return true
		}
	}
	return false
}

// Signatures, comments and members are read as they are written.
func TestReadTypes(t *testing.T) {
	t.Parallel()
	entries, err := readTypes("/** Why. */\nexport type Reason =\n  /** `a` has. */\n  | 'a'\n  | 'b';\n\n" +
		"interface Base<E> extends Emitter<E> {\n  /**\n   * One\n   * text:\n   * - a\n   */\n" +
		"  say(x: {\n    y: string;\n  }): void;\n}\n" +
		"export interface Room extends Base<X> {\n  readonly name: string;\n}\n")
	if err != nil {
		t.Fatal(err)
	}
	got := ""
	for _, entry := range entries {
		got += fmt.Sprintf("%s: %q", entry.Signature, entry.text)
		for _, member := range entry.Members {
			got += fmt.Sprintf(" | %s %s: %q", member.Name, member.Signature, member.text)
		}
		got += "\n"
	}
	want := "type Reason: \"Why.\" | a 'a': \"`a` has.\" | b 'b': \"\"\n" +
		"interface Room extends Base<X>: \"\" | name readonly name: string: \"\"" +
		" | say say(x: {\n  y: string;\n}): void: " +
		"\"One text:\\n- a\"\n"
	if got != want {
		t.Errorf("got:\n%s\nwant:\n%s", got, want)
	}
	if _, err := readTypes("export enum Color { red }\n"); err == nil {
		t.Error("what can't be documented is read without an error")
	}
}
