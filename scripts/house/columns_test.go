package house

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"
)

// Lines fit on a screen beside another one. A tab is four columns.
func TestColumns(t *testing.T) {
	t.Parallel()
	const text, code = 100, 120
	for pattern, comment := range map[string]string{"*.go": "//", "*.toml": "#"} {
		for _, file := range tracked(t, pattern) {
			content, err := os.ReadFile(filepath.Join(root, file))
			if err != nil {
				t.Fatal(err)
			}
			for i, line := range strings.Split(string(content), "\n") {
				most, word := code, strings.TrimSpace(line)
				if strings.HasPrefix(word, comment) && !strings.HasPrefix(word, "//go:") {
					most = text
				}
				if n := utf8.RuneCountInString(line) + 3*strings.Count(line, "\t"); n > most {
					t.Errorf("%s:%d has %d columns, want %d at most", file, i+1, n, most)
				}
			}
		}
	}
}

// tracked lists the repository's files that match a pattern of git's.
func tracked(t *testing.T, pattern string) []string {
	t.Helper()
	list := exec.Command("git", "ls-files", "--cached", "--others", "--exclude-standard", pattern)
	list.Dir = root
	out, err := list.Output()
	if err != nil {
		t.Fatalf("git ls-files: %v", err)
	}
	var files []string
	for _, name := range strings.Fields(string(out)) {
		if _, err := os.Stat(filepath.Join(root, name)); err == nil { // not one that is deleted and not yet committed
			files = append(files, name)
		}
	}
	if len(files) == 0 {
		t.Fatalf("no files %s", pattern)
	}
	return files
}
