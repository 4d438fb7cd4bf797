package signalbox_test

import (
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"strings"
	"testing"
)

// TestImportRules keeps imports one-way. Each rule says why.
func TestImportRules(t *testing.T) {
	t.Parallel()
	const turn = "github.com/pion/turn/v4"
	rules := []struct {
		from, never, why string
		except           string // a package that may
	}{
		{from: "signalbox/turnsvc", never: "signalbox/signal", why: "components meet in glue.go only"},
		{from: "signalbox/turnsvc", never: "signalbox/webui", why: "components meet in glue.go only"},
		{from: "signalbox/signal", never: "signalbox/turnsvc", why: "components meet in glue.go only"},
		{from: "signalbox/signal", never: "signalbox/webui", why: "components meet in glue.go only"},
		{from: "signalbox/webui", never: "signalbox/turnsvc", why: "components meet in glue.go only"},
		{from: "signalbox/webui", never: "signalbox/signal", why: "components meet in glue.go only"},
		{from: "signalbox/turnsvc/cred", never: "github.com/", why: "credentials are the standard library's business, so that anything can verify them"},
		{from: "signalbox/webui", never: "github.com/", why: "pages need nothing that others wrote"},
		{from: "signalbox/cmd", never: "signalbox/turnsvc", why: "the command line talks to the assembly, never to a component"},
		{from: "signalbox/cmd", never: "signalbox/signal", why: "the command line talks to the assembly, never to a component"},
		{from: "signalbox/cmd", never: "signalbox/webui", why: "the command line talks to the assembly, never to a component"},
		{from: "signalbox", never: turn, except: "signalbox/turnsvc", why: "pion/turn is an engine behind turnsvc/pion.go, and moving to the next one must stay a change of one file"},
		{from: "signalbox", never: "github.com/pion/stun/v2", why: "it has a remote crash without a fix (CVE-2026-54909)"},
		{from: "signalbox", never: "os/signal", except: "signalbox/cmd/signalbox", why: "libraries don't take the process's signals"},
		{from: "signalbox", never: "flag", why: "libraries read no command line; commands use cobra"},
	}
	for _, p := range packages(t) {
		for _, rule := range rules {
			if !within(p.ImportPath, rule.from) || p.ImportPath == rule.except || within(p.ImportPath, "signalbox/scripts") {
				continue
			}
			for _, imported := range p.Imports {
				if within(imported, strings.TrimSuffix(rule.never, "/")) {
					t.Errorf("%s imports %s: %s", p.ImportPath, imported, rule.why)
				}
			}
		}
		if p.ImportPath == "signalbox/turnsvc" {
			out, err := exec.Command("grep", "-l", `"`+turn+`"`, "-r", "--include=*.go", "turnsvc").Output()
			if err != nil || strings.TrimSpace(string(out)) != "turnsvc/pion.go" {
				t.Errorf("files that import %s: %s (%v), want turnsvc/pion.go alone", turn, out, err)
			}
		}
	}
}

func within(pkg, tree string) bool { return pkg == tree || strings.HasPrefix(pkg, tree+"/") }

type goPackage struct {
	ImportPath string
	Imports    []string
}

func packages(t *testing.T) []goPackage {
	t.Helper()
	out, err := exec.Command("go", "list", "-json=ImportPath,Imports", "./...").Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	var all []goPackage
	for dec := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p goPackage
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			return all
		} else if err != nil {
			t.Fatal(err)
		}
		all = append(all, p)
	}
}

// TestStunFloor: turn's own minimum of pion/stun crashes (CVE-2026-54909), so go.mod must ask for more.
func TestStunFloor(t *testing.T) {
	t.Parallel()
	out, err := exec.Command("go", "list", "-m", "-f", "{{.Version}}", "github.com/pion/stun/v3").Output()
	if err != nil {
		t.Fatal(err)
	}
	if v := strings.TrimSpace(string(out)); v < "v3.1.7" || len(v) != len("v3.1.7") {
		t.Errorf("pion/stun is %s, want v3.1.7 or later", v)
	}
}
