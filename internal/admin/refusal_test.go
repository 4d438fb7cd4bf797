package admin

import (
	"go/ast"
	"go/parser"
	gotoken "go/token"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Whatever the API refuses or warns of has a code, and /admin has words for each in each language.
func TestRefusalsHaveWords(t *testing.T) {
	t.Parallel()
	keys := map[string]string{
		"BadRequest": "refusal." + string(BadRequest), "Unauthorized": "refusal." + string(Unauthorized),
		"NotFound": "refusal." + string(NotFound), "TooManyTries": "refusal." + string(TooManyTries),
		"OnlyLooks": "refusal." + string(OnlyLooks), "NoSuchRoom": "refusal." + string(NoSuchRoom),
		"TooManyBans": "refusal." + string(TooManyBans), "TooManyPages": "refusal." + string(TooManyPages),
		"Impossible": "refusal." + string(Impossible),
		"NotKept":    "warning." + string(NotKept), "SourceStay": "warning." + string(SourceStay),
	}
	file, err := parser.ParseFile(new(gotoken.FileSet), "refusal.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	ast.Inspect(file, func(node ast.Node) bool {
		if spec, ok := node.(*ast.ValueSpec); ok {
			n++
			if keys[spec.Names[0].Name] == "" {
				t.Errorf("%s is not looked for", spec.Names[0].Name)
			}
		}
		return true
	})
	if n != len(keys) {
		t.Errorf("%d codes, of which %d are looked for", n, len(keys))
	}
	for _, language := range []string{"en", "zh-CN"} {
		var texts string
		for _, file := range []string{language, language + "/admin"} { // what pages share, and its own
			text, err := os.ReadFile("../../webui/static/js/lang/" + file + ".js")
			if err != nil {
				t.Fatal(err)
			}
			texts += string(text)
		}
		for _, key := range keys {
			if !strings.Contains(texts, `"`+key+`": "`) {
				t.Errorf("%s has no words for %s", language, key)
			}
		}
	}
	files, err := filepath.Glob("*.go")
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	for _, name := range files {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if name == "refusal.go" || strings.HasSuffix(name, "_test.go") {
			continue
		}
		if strings.Contains(string(text), "answer.Error(") {
			t.Errorf("%s refuses without a Code", name)
		}
	}
}
