package house

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode"
)

var readmes = map[string]string{"README.md": "## Where is what", "README.zh-CN.md": "## 在哪里找什么"}

func read(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, name))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// Every path that the READMEs name in their tables and links exists, and every production file has
// a row, itself or its folder.
func TestReadmeSaysWhereEverythingIs(t *testing.T) {
	t.Parallel()
	link := regexp.MustCompile(`\]\(([^)#:]+)\)`)
	path := regexp.MustCompile("`([\\w./-]+)`")
	for name, heading := range readmes {
		text := read(t, name)
		exists := func(p string) {
			if _, err := os.Stat(filepath.Join(root, p)); err != nil {
				t.Errorf("%s names %s: %v", name, p, err)
			}
		}
		for _, m := range link.FindAllStringSubmatch(text, -1) {
			exists(m[1])
		}
		rows := map[string]bool{}
		where := false
		for _, line := range strings.Split(text, "\n") {
			if strings.HasPrefix(line, "## ") {
				where = line == heading
			}
			if !where || !strings.HasPrefix(line, "|") {
				continue
			}
			for _, m := range path.FindAllStringSubmatch(line[strings.LastIndex(strings.TrimSuffix(line, "|"), "|"):],
				-1) {
				exists(m[1])
				rows[strings.TrimSuffix(m[1], "/")] = true
			}
		}
		if len(rows) < 40 {
			t.Errorf("%s: only %d paths have a row", name, len(rows))
		}
		for _, p := range packages(t) {
			dir, err := filepath.Rel(abs(t, root), p.Dir)
			if err != nil {
				t.Fatal(err)
			}
			for _, file := range p.GoFiles {
				if full := filepath.ToSlash(filepath.Join(dir, file)); !named(rows, full) {
					t.Errorf("%s: no row leads to %s", name, full)
				}
			}
		}
	}
}

// The READMEs begin with a list of their sections, each of which leads to one.
func TestReadmeListsItsSections(t *testing.T) {
	t.Parallel()
	for name := range readmes {
		var listed, sections []string
		text := read(t, name)
		for _, m := range regexp.MustCompile(`\]\(#([^)]+)\)`).FindAllStringSubmatch(text, -1) {
			listed = append(listed, m[1])
		}
		for _, m := range regexp.MustCompile(`(?m)^## (.+)$`).FindAllStringSubmatch(text, -1) {
			sections = append(sections, anchor(m[1]))
		}
		if len(sections) == 0 || !slices.Equal(listed, sections) {
			t.Errorf("%s lists the sections %q, and has %q", name, listed, sections)
		}
	}
}

// anchor is what Git forges make of a heading.
func anchor(heading string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == ' ':
			return '-'
		case r == '-' || r == '_' || unicode.IsLetter(r) || unicode.IsDigit(r):
			return unicode.ToLower(r)
		}
		return -1
	}, heading)
}

// named reports whether a file or a folder that it is directly in has a row. What is further up
// does not count: "turnsvc" would lead to everything in it.
func named(rows map[string]bool, file string) bool {
	return rows[file] || rows[filepath.ToSlash(filepath.Dir(file))]
}

func abs(t *testing.T, path string) string {
	t.Helper()
	out, err := filepath.Abs(path)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// The walks of CONTRIBUTING.md are lists of files in order: each is there, and none comes twice in
// one walk.
func TestWalksGoForward(t *testing.T) {
	t.Parallel()
	item := regexp.MustCompile("^\\d+\\. `([^`]+)`$")
	walks, seen := 0, map[string]bool{}
	steps := 0
	for _, line := range strings.Split(read(t, "CONTRIBUTING.md"), "\n") {
		if strings.HasPrefix(line, "#") {
			if steps > 0 {
				walks++
			}
			seen, steps = map[string]bool{}, 0
		}
		m := item.FindStringSubmatch(line)
		if m == nil {
			continue
		}
		steps++
		if seen[m[1]] {
			t.Errorf("a walk comes to %s twice", m[1])
		}
		seen[m[1]] = true
		if _, err := os.Stat(filepath.Join(root, m[1])); err != nil {
			t.Errorf("CONTRIBUTING.md names %s: %v", m[1], err)
		}
	}
	if steps > 0 {
		walks++
	}
	if walks != 5 {
		t.Errorf("%d walks, want five", walks)
	}
}

// Links of CONTRIBUTING.md lead somewhere.
func TestContributingLinks(t *testing.T) {
	t.Parallel()
	links := regexp.MustCompile(`\]\(([^)#:]+)\)`).FindAllStringSubmatch(read(t, "CONTRIBUTING.md"), -1)
	if len(links) < 10 {
		t.Errorf("only %d links", len(links))
	}
	for _, m := range links {
		if _, err := os.Stat(filepath.Join(root, m[1])); err != nil {
			t.Error(err)
		}
	}
}

// What the READMEs tell to write into the configuration of a proxy, and of the box behind it, is
// what the lab runs, but for comments.
func TestReadmeProxiesAreTested(t *testing.T) {
	t.Parallel()
	comment := regexp.MustCompile(`(?m) +#.*$`)
	for name := range readmes {
		readme := comment.ReplaceAllString(read(t, name), "")
		for _, file := range []string{"nginx.conf", "Caddyfile", "haproxy.cfg", "balancer.toml", "ports.toml"} {
			want := comment.ReplaceAllString(read(t, "scripts/lab/testdata/"+file), "")
			if !strings.Contains(readme, "\n"+want+"```") {
				t.Errorf("%s does not have %s as it is", name, file)
			}
		}
	}
}
