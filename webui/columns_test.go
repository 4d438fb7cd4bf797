package webui

import (
	"io/fs"
	"os"
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"
)

// A line has 120 columns at most, and one that is a comment has 100; a tab counts as four. The
// texts are left out, since each is one line of JSON.
func TestColumns(t *testing.T) {
	t.Parallel()
	comment := regexp.MustCompile(`^\s*(//|/\*|\*|<!--|\{\{/\*)`)
	err := fs.WalkDir(os.DirFS("."), ".", func(name string, entry fs.DirEntry, err error) error {
		endings := []string{".go", ".js", ".mjs", ".ts", ".css", ".html"}
		if err != nil || !slices.Contains(endings, path.Ext(name)) || strings.HasPrefix(name, "static/js/lang/") {
			return err
		}
		text, err := os.ReadFile(name)
		number := 0
		for line := range strings.Lines(string(text)) {
			number++
			line = strings.ReplaceAll(strings.TrimRight(line, "\n"), "\t", "    ")
			most := 120
			if comment.MatchString(line) {
				most = 100
			}
			if width := utf8.RuneCountInString(line); width > most {
				t.Errorf("%s:%d has %d columns, %d are the most: %s", name, number, width, most, line)
			}
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}
