package webui

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// sdkBudgets are what the modules of the SDK may weigh on the wire. An application loads the first
// before its first call, and the others if it uses them.
func sdkBudgets() map[string]int {
	return map[string]int{
		"signalbox.js": 14_000, "signalbox-data.js": 4_000, "signalbox-media.js": 6_000, "signalbox-stats.js": 4_000,
	}
}

func TestSDKFitsItsBudget(t *testing.T) {
	t.Parallel()
	ui, err := New(Options{})
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range sdkNames() {
		budget := sdkBudgets()[name]
		if size := len(ui.assets.files[name].gzip.body); size == 0 || size > budget {
			t.Errorf("%s is %d bytes, compressed; the budget is %d", name, size, budget)
		} else {
			t.Logf("%s: %d bytes, compressed", name, size)
		}
	}
}

// The scripts are tested in Node, as far as they need no browser: those of the pages as they are,
// the SDK as it is served, joined, and by its modules.
func TestModules(t *testing.T) {
	t.Parallel()
	node, err := exec.LookPath("node")
	if err != nil {
		lack(t, "node")
	}
	// Beside a package.json that calls .js files modules, which Node asks for and browsers don't.
	dir := t.TempDir()
	for name, files := range map[string]fs.FS{
		"npm": content, "static": content, "sdk": content, "testdata": os.DirFS("."),
	} {
		part, err := fs.Sub(files, name)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.CopyFS(filepath.Join(dir, name), part); err != nil {
			t.Fatal(err)
		}
	}
	ui, err := New(Options{})
	if err != nil {
		t.Fatal(err)
	}
	sdk, err := fs.Sub(content, "sdk")
	if err != nil {
		t.Fatal(err)
	}
	joined, err := join(sdk, sdkNames()...)
	if err != nil {
		t.Fatal(err)
	}
	made := map[string][]byte{"package.json": []byte(`{"type":"module"}`)}
	for _, name := range sdkNames() {
		made["static/"+name] = ui.assets.files[name].plain.body
		made["joined/"+name] = joined[name] // for tests of what has another name when it is served
	}
	if err := os.Mkdir(filepath.Join(dir, "joined"), 0o700); err != nil {
		t.Fatal(err)
	}
	for name, text := range made {
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	run := func(t *testing.T, name string, env ...string) {
		t.Helper()
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
		defer cancel()
		command := exec.CommandContext(ctx, node, "--test", "--test-reporter=spec", name)
		command.Dir = filepath.Join(dir, "testdata")
		command.Env = append(os.Environ(), env...)
		if output, err := command.CombinedOutput(); err != nil {
			t.Errorf("node --test %s: %v\n%s", name, err, output)
		}
	}
	hub, err := filepath.Abs("../signal") // with what it and these have in common
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{
		"admin", "box", "chat", "data", "devices", "errors", "format", "fragment", "health", "language", "policy",
		"recording", "room", "rooms", "saved", "sdk", "silent", "stats", "trouble", "verdict",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			run(t, name+".test.mjs", "NAMES="+hub+"/testdata/names.json", "PROTOCOL="+hub+"/PROTOCOL.md")
		})
	}
	t.Run("session", func(t *testing.T) {
		t.Parallel()
		run(t, "session.test.mjs", "HUB="+newHub(t), "WEBSOCKET="+webSocketFor(t, node))
	})
	for _, name := range []string{"hostile", "peer", "rebuild", "second"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			run(t, name+".test.mjs", "WEBSOCKET="+webSocketPackage(t))
		})
	}
	t.Run("hub", func(t *testing.T) {
		t.Parallel()
		run(t, "hub.test.mjs", "SIGNALBOX="+buildBinary(t), "WEBSOCKET="+webSocketFor(t, node))
	})
	for _, name := range []string{"names", "ringing"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			run(t, name+".test.mjs", "SIGNALBOX="+buildBinary(t), "WEBSOCKET="+webSocketPackage(t))
		})
	}
}

// The types are complete, and an application in TypeScript gets along with them.
func TestTypes(t *testing.T) {
	t.Parallel()
	node, err := exec.LookPath("node")
	if err != nil {
		lack(t, "node")
	}
	compiler, err := filepath.Abs("../scripts/lab/browser/node_modules/typescript/bin/tsc")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(compiler); err != nil {
		lack(t, "TypeScript (npm ci in scripts/lab/browser)")
	}
	check := func(options string, files ...string) (string, error) {
		arguments := slices.Concat([]string{compiler}, strings.Fields(options), files)
		output, err := exec.CommandContext(t.Context(), node, arguments...).CombinedOutput()
		return string(output), err
	}
	const common = "--noEmit --target es2022 --lib es2022,dom,dom.iterable --module preserve " +
		"--moduleResolution bundler "
	if said, err := check(common+"--strict --exactOptionalPropertyTypes --noUncheckedIndexedAccess",
		"testdata/types/sample.ts"); err != nil {
		t.Errorf("tsc: %v\n%s", err, said)
	}
	// The modules have no types of their own, but every name in them is one that they declare,
	// import or find in browsers. The joiner can't tell this of names that no module has.
	var modules []string
	for _, pattern := range []string{"sdk/*.js", "sdk/*/*.js"} {
		files, err := filepath.Glob(pattern)
		if err != nil || len(files) == 0 {
			t.Fatalf("there are no modules %s: %v", pattern, err)
		}
		modules = append(modules, files...)
	}
	said, err := check(common+"--allowJs --checkJs", modules...)
	if exit := (&exec.ExitError{}); err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	unknown := matches(`(?m)^(.*(?:Cannot find|has no exported member|Duplicate identifier).*)$`, said)
	if len(unknown) > 0 {
		t.Errorf("tsc: %s", strings.Join(unknown, "\n"))
	}
}

// buildBinary returns the path of the appliance. SIGNALBOX_LAB_BINARY names one that is built
// already.
func buildBinary(t *testing.T) string {
	t.Helper()
	if binary := os.Getenv("SIGNALBOX_LAB_BINARY"); binary != "" {
		return binary
	}
	binary := filepath.Join(t.TempDir(), "signalbox")
	command := exec.CommandContext(t.Context(), "go", "build", "-buildvcs=false", "-o", binary,
		"signalbox/cmd/signalbox")
	if output, err := command.CombinedOutput(); err != nil {
		t.Fatalf("build the appliance: %v\n%s", err, output)
	}
	return binary
}

// webSocketFor returns the file that gives this node a WebSocket: one of the driver's packages. It
// is empty for a node that has a WebSocket of its own, as from version 22 on; Debian 12 and Ubuntu
// 24.04 have 18.
func webSocketFor(t *testing.T, node string) string {
	t.Helper()
	has, err := exec.CommandContext(t.Context(), node, "-p", "typeof WebSocket").Output()
	if err != nil {
		t.Fatalf("ask node for its WebSocket: %v", err)
	}
	if strings.TrimSpace(string(has)) == "function" {
		return ""
	}
	return webSocketPackage(t)
}

// webSocketPackage returns the file of the driver's package for WebSockets, which has a server,
// too.
func webSocketPackage(t *testing.T) string {
	t.Helper()
	file, err := filepath.Abs("../scripts/lab/browser/node_modules/ws/wrapper.mjs")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(file); err != nil {
		lack(t, "the package for WebSockets (npm ci in scripts/lab/browser)")
	}
	return file
}

// lack ends a test for want of a tool. Where everything was to be installed, that is a failure.
func lack(t *testing.T, tool string) {
	t.Helper()
	words := "the JavaScript modules are tested in Node; this needs " + tool + ", which scripts/test installs"
	if os.Getenv("SIGNALBOX_TEST_ALL") != "" {
		t.Fatal(words)
	}
	t.Skip(words)
}
