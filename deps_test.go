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
		but              string // a part of it that may be imported
	}{
		{from: "signalbox/turnsvc", never: "signalbox/signal", why: "components meet in glue.go only"},
		{from: "signalbox/turnsvc", never: "signalbox/webui", why: "components meet in glue.go only"},
		{from: "signalbox/signal", never: "signalbox/turnsvc", why: "components meet in glue.go only"},
		{from: "signalbox/signal", never: "signalbox/webui", why: "components meet in glue.go only"},
		{from: "signalbox/signal/client", never: "signalbox/signal",
			why: "the client knows the hub by its protocol only, as every other client does"},
		{from: "signalbox/webui", never: "signalbox/turnsvc", why: "components meet in glue.go only"},
		{from: "signalbox/webui", never: "signalbox/signal", why: "components meet in glue.go only"},
		{from: "signalbox/turnsvc/cred", never: "github.com/",
			why: "credentials are the standard library's business, so that anything can verify them"},
		{from: "signalbox/signal", never: "github.com/golang-jwt/jwt/v5",
			why: "who may enter is the assembly's matter; the hub asks its Guard"},
		{from: "signalbox", never: "github.com/caddyserver/certmagic", except: "signalbox",
			why: "certificates are the assembly's matter; components are handed them"},
		{from: "signalbox", never: "github.com/prometheus", except: "signalbox",
			why: "metrics.go makes them of snapshots; components count, and the packet path calls no metric"},
		{from: "signalbox/webui", never: "github.com/", why: "pages need nothing that others wrote"},
		{from: "signalbox", never: "rsc.io/qr", except: "signalbox", why: "trust.go draws the one QR code there is"},
		{from: "signalbox/cmd", never: "signalbox/turnsvc",
			why: "the command line talks to the assembly, never to a component"},
		// The client knows the protocol only: doctor is a client as any other program would be one.
		{from: "signalbox/cmd", never: "signalbox/signal", but: "signalbox/signal/client",
			why: "the command line talks to the assembly, never to a component"},
		{from: "signalbox/cmd", never: "signalbox/webui",
			why: "the command line talks to the assembly, never to a component"},
		{from: "signalbox", never: turn, except: "signalbox/turnsvc/internal/engine",
			why: "moving to another engine must stay a change of one package"},
		{from: "signalbox", never: "github.com/pion/stun/v2",
			why: "it has a remote crash without a fix (CVE-2026-54909)"},
		{from: "signalbox", never: "os/signal", except: "signalbox/cmd/signalbox",
			why: "libraries don't take the process's signals"},
		{from: "signalbox", never: "signalbox/internal/testkit",
			why: "it is for tests, and brings package testing along"},
		{from: "signalbox", never: "flag", why: "libraries read no command line; commands use cobra"},
	}
	for _, p := range packages(t) {
		for _, rule := range rules {
			if !within(p.ImportPath, rule.from) || p.ImportPath == rule.except ||
				within(p.ImportPath, "signalbox/scripts") ||
				within(p.ImportPath, "signalbox/internal") {
				continue
			}
			for _, imported := range p.Imports {
				if within(imported, strings.TrimSuffix(rule.never, "/")) && imported != rule.but {
					t.Errorf("%s imports %s: %s", p.ImportPath, imported, rule.why)
				}
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
