package admin

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

// Whatever the API refuses or warns of has a code, and /admin has words for each in each language.
func TestRefusalsHaveWords(t *testing.T) {
	t.Parallel()
	var keys []string
	for prefix, typ := range map[string]reflect.Type{
		"refusal.": reflect.TypeFor[Code](), "warning.": reflect.TypeFor[Warning](),
	} {
		for _, code := range wordsOf(t).ofType[typ] {
			keys = append(keys, prefix+code)
		}
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
