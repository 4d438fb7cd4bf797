package webui

import (
	"bytes"
	"context"
	"encoding/json"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestPackageHasWhatItSays(t *testing.T) {
	t.Parallel()
	made, err := packageFiles(content, "v1.2.3")
	if err != nil {
		t.Fatal(err)
	}
	var says struct {
		Version, License, Main, Types string
		Exports                       map[string]any
	}
	if err := json.Unmarshal(made["package.json"], &says); err != nil {
		t.Fatal(err)
	}
	if says.Version != "1.2.3" || says.License != "MIT" {
		t.Errorf("package.json says %+v", says)
	}
	named := matches(`"\./([\w.-]+\.(?:js|ts|json))"`, string(made["package.json"]))
	for _, name := range named {
		if made[name] == nil {
			t.Errorf("package.json names %s, which is not there", name)
		}
	}
	if len(named) < 10 {
		t.Errorf("package.json names only %v", named)
	}
	license, err := os.ReadFile("../LICENSE")
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(made["LICENSE"], license) {
		t.Error("npm/LICENSE is not LICENSE")
	}
	// Only what a box serves knows where it comes from, and a plain script may not even ask.
	for _, name := range slices.Sorted(maps.Keys(made)) {
		if strings.HasSuffix(name, ".js") && bytes.Contains(made[name], []byte("import.meta")) {
			t.Errorf("%s has import.meta", name)
		}
	}
}

func TestPackageVersionIsSemantic(t *testing.T) {
	t.Parallel()
	for version, want := range map[string]string{
		"v1.2.3":             "1.2.3",
		"1.2.3-rc.1":         "1.2.3-rc.1",
		"devel":              "0.0.0-devel",
		"devel-0123456789ab": "0.0.0-devel-0123456789ab",
		"2026.1 (test)":      "0.0.0-2026-1-test-",
	} {
		text, err := manifest([]byte(`{"version": "VERSION"}`), version)
		if err != nil || string(text) != `{"version": "`+want+`"}` {
			t.Errorf("%s is %s, %v; want %s", version, text, err, want)
		}
	}
}

// Whoever names a project's own folder does not lose what is in it.
func TestPackageOverwritesNothingElse(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	own := filepath.Join(dir, "package.json")
	if err := os.WriteFile(own, []byte(`{"name":"app"}`), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := WritePackage(dir, "v1.2.3"); err == nil {
		t.Error("the package is written into a project's folder")
	}
	if text, err := os.ReadFile(own); err != nil || string(text) != `{"name":"app"}` {
		t.Errorf("its package.json is %s, %v", text, err)
	}
	for _, version := range []string{"v1.2.3", "v1.2.4"} {
		if err := WritePackage(filepath.Join(dir, "vendor", "signalbox"), version); err != nil {
			t.Error(err)
		}
	}
}

// The package works in Node, and its types are found.
func TestPackageInNode(t *testing.T) {
	t.Parallel()
	node, err := exec.LookPath("node")
	if err != nil {
		lack(t, "node")
	}
	dir := t.TempDir()
	modules := filepath.Join(dir, "node_modules")
	if err := WritePackage(filepath.Join(modules, "signalbox"), "v1.2.3"); err != nil {
		t.Fatal(err)
	}
	have, err := filepath.Abs("../scripts/lab/browser/node_modules")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"node-datachannel", "typescript", "ws"} {
		if _, err := os.Stat(filepath.Join(have, name)); err != nil {
			lack(t, name+" (npm ci in scripts/lab/browser)")
		}
		if err := os.Symlink(filepath.Join(have, name), filepath.Join(modules, name)); err != nil {
			t.Fatal(err)
		}
	}
	for to, from := range map[string]string{
		"package.test.mjs": "testdata/package.test.mjs",
		"peer.mjs":         "../scripts/lab/testdata/package/peer.mjs",
		"app.mts":          "../scripts/lab/testdata/package/app.js",
	} {
		text, err := os.ReadFile(from)
		if err != nil {
			t.Fatal(err)
		}
		text = bytes.ReplaceAll(text, []byte("window."), []byte("export const ")) // no name of a window's
		if err := os.WriteFile(filepath.Join(dir, to), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	run := func(env string, args ...string) {
		t.Helper()
		ctx, cancel := context.WithTimeout(t.Context(), 4*time.Minute)
		defer cancel()
		command := exec.CommandContext(ctx, node, args...)
		command.Dir = dir
		command.Env = append(os.Environ(), env)
		if output, err := command.CombinedOutput(); err != nil {
			t.Errorf("node %s: %v\n%s", strings.Join(args, " "), err, output)
		}
	}
	for _, resolution := range []string{"bundler", "nodenext"} {
		module := map[string]string{"bundler": "preserve", "nodenext": "nodenext"}[resolution]
		run("", "node_modules/typescript/bin/tsc", "--noEmit", "--strict", "--target", "es2022", "--lib",
			"es2022,dom,dom.iterable", "--module", module, "--moduleResolution", resolution, "app.mts")
	}
	scripts, err := fs.Glob(os.DirFS(modules), "signalbox/*.js")
	if err != nil || len(scripts) < 9 {
		t.Fatalf("there are only %v: %v", scripts, err)
	}
	run("BOX="+startBox(t), "--test", "--test-reporter=spec", "package.test.mjs")
}

// startBox starts the appliance on loopback, and returns the URL of its hub.
func startBox(t *testing.T) string {
	t.Helper()
	command := exec.Command(buildBinary(t), "serve", "--dev", "--state", t.TempDir(), //nolint:gosec // our own
		"--set", "web.listen=127.0.0.1:0", "--set", `web.tls_listen=""`, "--set", "turn.listen=127.0.0.1:0")
	said, err := command.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	command.Stderr = command.Stdout
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	read := make(chan struct{})
	t.Cleanup(func() {
		command.Process.Signal(os.Interrupt) //nolint:errcheck // it runs
		<-read
		if err := command.Wait(); err != nil {
			t.Errorf("the appliance ends with %v", err)
		}
	})
	found := make(chan string, 1)
	go func() {
		defer close(read)
		address := regexp.MustCompile(`http://(?:localhost|127\.0\.0\.1):\d+/`)
		var all []byte
		for piece := make([]byte, 4096); ; {
			n, err := said.Read(piece)
			all = append(all, piece[:n]...)
			if url := address.Find(all); url != nil {
				select {
				case found <- strings.Replace(string(url), "localhost", "127.0.0.1", 1) + "signal":
				default:
				}
			}
			if err != nil {
				return
			}
		}
	}()
	select {
	case url := <-found:
		return url
	case <-time.After(time.Minute):
		t.Fatal("the appliance does not say where it is")
		return ""
	}
}
