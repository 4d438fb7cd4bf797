package house

import (
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// root is where the repository begins, seen from here.
const root = "../.."

// order is the appliance from the ground up. A room imports rooms of earlier floors only, so there
// is no way round in a circle, and what a room needs of a higher one is handed in.
var order = [][]string{
	{"netaddr", "nonblock", "fault", "answer", "state", "term", "garbage", "access",
		"trouble", "post"}, // leaves: they know nobody
	{"source", "turnclient"},           // count by address; ask a server at one
	{"publicip", "admission", "usage"}, // decide on parsed values; keep counts
	{"config", "cert"},                 // config validates what the floors below would refuse
	{"edge", "status"},                 // the sockets; the words for what is there
	{"iceserver", "metrics", "admin", "rooms", "webhook", "selftest",
		"notify"}, // what is made of sockets and status
	{"site"}, // every route to the rooms above
	{"app"},  // the assembly
}

const internal = "signalbox/internal/"

func floor(room string) int {
	return slices.IndexFunc(order, func(rooms []string) bool { return slices.Contains(rooms, room) })
}

func TestRoomsImportFloorsBelow(t *testing.T) {
	t.Parallel()
	for _, p := range packages(t) {
		room, ok := strings.CutPrefix(p.ImportPath, internal)
		if !ok || within(p.ImportPath, internal+"testkit") {
			continue
		}
		if floor(room) < 0 {
			t.Errorf("%s stands on no floor: add it to the order", p.ImportPath)
			continue
		}
		for _, imported := range p.Imports {
			other, ok := strings.CutPrefix(imported, internal)
			if ok && floor(other) >= floor(room) {
				t.Errorf("%s imports %s, which stands no lower: hand in a func or a small interface", p.ImportPath,
					imported)
			}
		}
	}
}

// rule says what a tree of packages never imports, and why.
type rule struct {
	from, never, why string
	except           []string // packages that may
	but              []string // parts of it that may be imported
}

var components = []string{"signalbox/turnsvc", "signalbox/signal", "signalbox/webui"}

func rules() []rule {
	leaves := []string{internal + "netaddr", internal + "source", internal + "nonblock"}
	all := []rule{
		{from: "signalbox/signal/client", never: "signalbox/signal", but: []string{"signalbox/signal/client"},
			why: "the client knows the hub by its protocol only, as every other client does"},
		{from: "signalbox/turnsvc/cred", never: "github.com/",
			why: "credentials are the standard library's business, so that anything can verify them"},
		{from: "signalbox/signal", never: "github.com/golang-jwt/jwt/v5",
			why: "who may enter is admission's matter; the hub asks its Guard"},
		{from: "signalbox", never: internal + "config",
			except: []string{"signalbox", internal + "app", "signalbox/cmd/signalbox",
				"signalbox/cmd/signalbox/internal/doctor"},
			why: "only the assembly knows the whole configuration; rooms take Options of parsed values"},
		{from: "signalbox", never: internal + "app",
			except: []string{"signalbox", "signalbox/cmd/signalbox", "signalbox/cmd/signalbox/internal/doctor"},
			why:    "nobody reaches for the assembly; it hands out"},
		{from: internal, never: "signalbox/turnsvc", but: []string{"signalbox/turnsvc/cred"},
			except: []string{internal + "app", internal + "status"},
			why:    "only the assembly makes the TURN server; the status has its snapshot"},
		{from: internal, never: "signalbox/webui", except: []string{internal + "app", internal + "site"},
			why: "only the assembly makes the pages, and only the site mounts them"},
		{from: "signalbox", never: "github.com/caddyserver/certmagic", except: []string{internal + "cert"},
			why: "certificates are one room's matter; everybody else is handed them"},
		{from: "signalbox", never: "github.com/prometheus", except: []string{internal + "metrics"},
			why: "metrics are made of snapshots; components count, and the packet path calls no metric"},
		{from: "signalbox", never: "github.com/BurntSushi/toml", except: []string{internal + "config",
			"signalbox/cmd/signalbox/internal/conf"},
			why: "values are parsed once, in one room; to write a text is not to parse it"},
		{from: "signalbox/webui", never: "github.com/", why: "pages need nothing that others wrote"},
		{from: "signalbox", never: "rsc.io/qr", except: []string{internal + "site"},
			why: "the site draws the one QR code there is"},
		{from: "signalbox", never: "github.com/pion/turn/v4", except: []string{"signalbox/turnsvc/internal/engine"},
			why: "pion/turn is an engine behind one package: moving to the next one must be a change of that one only"},
		{from: "signalbox", never: "github.com/pion/stun/v2",
			why: "it has a remote crash without a fix (CVE-2026-54909)"},
		{from: "signalbox", never: "os/signal",
			except: []string{"signalbox/cmd/signalbox", "signalbox/signal/client/example"},
			why:    "libraries don't take the process's signals"},
		{from: "signalbox", never: internal + "testkit", why: "it is for tests, and brings package testing along"},
		{from: "signalbox", never: "flag", why: "libraries read no command line; commands use cobra"},
	}
	for _, c := range components {
		all = append(all,
			rule{from: c, never: internal, but: leaves,
				why: "components can be used without the appliance; only leaves about sockets, addresses are shared"},
			// The client knows the protocol only: doctor is a client as any other program would be
			// one.
			rule{from: "signalbox/cmd", never: c, but: []string{"signalbox/signal/client"},
				why: "the command line talks to the assembly, never to a component"})
		for _, other := range components {
			if other != c {
				all = append(all, rule{from: c, never: other, why: "components meet in internal/app only"})
			}
		}
	}
	return all
}

func TestImportRules(t *testing.T) {
	t.Parallel()
	for _, p := range packages(t) {
		for _, r := range rules() {
			if !within(p.ImportPath, r.from) || slices.Contains(r.except, p.ImportPath) ||
				within(p.ImportPath, "signalbox/scripts") {
				continue
			}
			for _, imported := range p.Imports {
				if within(imported, r.never) && !slices.Contains(r.but, imported) {
					t.Errorf("%s imports %s: %s", p.ImportPath, imported, r.why)
				}
			}
		}
	}
}

// The root has the package that others import, an example of that, the documents and the trees.
func TestRootHasNothingElse(t *testing.T) {
	t.Parallel()
	want := []string{
		".ci", ".gitignore", "BENCHMARKS.md", "CHANGELOG.md", "CONTRIBUTING.md", "LICENSE", "README.md",
		"README.zh-CN.md", "cmd", "config.toml", "example_test.go", "go.mod", "go.sum", "internal", "scripts", "signal",
		"signalbox.go", "turnsvc", "webui",
	}
	var got []string
	for _, file := range tracked(t, "*") {
		if first, _, _ := strings.Cut(file, "/"); !slices.Contains(got, first) {
			got = append(got, first)
		}
	}
	slices.Sort(got)
	if !slices.Equal(got, want) {
		t.Errorf("at the root stand %v, want %v: the rest has rooms under internal", got, want)
	}
}

// What grows by itself if nobody counts: the methods of the assembly.
func TestAppIsNoPlaceToHangThingsOn(t *testing.T) {
	t.Parallel()
	methods := 0
	for _, file := range tracked(t, "internal/app/*.go") {
		methods += strings.Count("\n"+read(t, file), "\nfunc (a *App) ")
	}
	if methods == 0 || methods > 20 {
		t.Errorf("App has %d methods, want 20 at most", methods)
	}
}

// within reports whether a package is a tree's root or in it. A tree that ends with a slash has no
// root of its own.
func within(pkg, tree string) bool {
	return pkg == tree || strings.HasPrefix(pkg, strings.TrimSuffix(tree, "/")+"/")
}

type goPackage struct {
	ImportPath string
	Dir        string
	GoFiles    []string
	Imports    []string
}

// packages are those of every system that is built for: a file for one of them has imports, too.
func packages(t *testing.T) (all []goPackage) {
	t.Helper()
	for _, system := range []string{"linux", "darwin", "windows"} {
		list := exec.Command("go", "list", "-json=ImportPath,Dir,GoFiles,Imports", "./...")
		list.Dir, list.Env = root, append(os.Environ(), "GOOS="+system, "CGO_ENABLED=0")
		out, err := list.Output()
		if err != nil {
			t.Fatalf("go list for %s: %v", system, err)
		}
		for dec := json.NewDecoder(strings.NewReader(string(out))); ; {
			var p goPackage
			if err := dec.Decode(&p); errors.Is(err, io.EOF) {
				break
			} else if err != nil {
				t.Fatal(err)
			}
			all = append(all, p)
		}
	}
	return all
}
