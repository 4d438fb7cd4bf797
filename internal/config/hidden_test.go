package config

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// What leads to the operator's own services may be their secret: the path of a webhook, and what a
// command is given.
func TestEffectiveHidesWhereNoticesGo(t *testing.T) {
	t.Parallel()
	defaults, err := os.ReadFile("../../config.toml")
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "config.toml")
	if err := os.WriteFile(file, []byte(`
[notify]
webhook = "https://hooks.example.org/T0/B0/confidential?x=confidential"
command = ["/usr/bin/mail", "-H", "confidential"]
[webhook]
url = "https://u:confidential@example.org/"
secret = "confidential-confidential-confidential"
`), 0o600); err != nil {
		t.Fatal(err)
	}
	_, given, err := LoadGiven(string(defaults), LoadOptions{File: file})
	if err != nil {
		t.Fatal(err)
	}
	text, err := given.TOML()
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(text, "confidential") {
		t.Errorf("it tells a secret:\n%s", text)
	}
	for _, want := range []string{`"https://hooks.example.org/`, `"/usr/bin/mail"`, `"https://example.org/"`} {
		if !strings.Contains(text, want) {
			t.Errorf("it does not say %s:\n%s", want, text)
		}
	}
}
