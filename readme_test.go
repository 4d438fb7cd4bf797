package signalbox_test

import (
	"os"
	"regexp"
	"strings"
	"testing"
)

// Every path that the READMEs name in their tables and links exists.
func TestReadmePathsExist(t *testing.T) {
	t.Parallel()
	link := regexp.MustCompile(`\]\(([^)#:]+)\)`)
	path := regexp.MustCompile("`([\\w./-]+)`")
	for _, name := range []string{"README.md", "README.zh-CN.md"} {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		checked := 0
		exists := func(p string) {
			checked++
			if _, err := os.Stat(p); err != nil {
				t.Errorf("%s names %s: %v", name, p, err)
			}
		}
		for _, m := range link.FindAllStringSubmatch(string(text), -1) {
			exists(m[1])
		}
		where := false
		for _, line := range strings.Split(string(text), "\n") {
			if strings.HasPrefix(line, "## ") {
				where = line == "## Where is what" || line == "## 在哪里找什么"
			}
			if !where || !strings.HasPrefix(line, "|") {
				continue
			}
			for _, m := range path.FindAllStringSubmatch(line[strings.LastIndex(strings.TrimSuffix(line, "|"), "|"):],
				-1) {
				exists(m[1])
			}
		}
		if checked < 40 {
			t.Errorf("%s: only %d paths were checked", name, checked)
		}
	}
}

// What the READMEs tell to write into a reverse proxy's configuration is what the lab runs.
func TestReadmeProxiesAreTested(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"README.md", "README.zh-CN.md"} {
		readme, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range []string{"nginx.conf", "Caddyfile"} {
			text, err := os.ReadFile("scripts/lab/testdata/" + file)
			if err != nil {
				t.Fatal(err)
			}
			if !strings.Contains(string(readme), "\n"+string(text)+"```") {
				t.Errorf("%s does not have %s as it is", name, file)
			}
		}
	}
}
