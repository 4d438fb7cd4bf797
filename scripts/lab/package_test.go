//go:build linux

package lab_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"signalbox/scripts/lab"
)

// The npm package works where it is installed: built by Vite, with React, and by webpack, in plain
// scripts, and in Node. Two pages of each kind meet Node and a Go client in a room, and exchange
// text with everybody on data channels.
func TestPackage(t *testing.T) {
	besideOthers(t)
	lab.RequireBrowser(t, lab.Chromium)
	lab.Require(t, "npm", "tar")
	dir := installPackage(t)
	output := runIn(t, dir, "node", "build.mjs")
	if strings.Contains(output, "warn") {
		t.Errorf("the builds say:\n%s", output)
	}

	l := lab.New(t, lab.Symmetric, lab.Symmetric) // so that all go through the relay
	server := lab.StartServer(t, l.Server, lab.Config, "--set", "web.root="+filepath.Join(dir, "root"))
	startProgram(t, l.B, dir, "node", "peer.mjs", server.HTTP+"/signal", "tea")
	echo := filepath.Join(t.TempDir(), "echo")
	runIn(t, ".", "go", "build", "-buildvcs=false", "-o", echo, "signalbox/signal/client/example")
	startProgram(t, l.B, dir, echo, server.HTTPS, "tea", "insecure")

	b := lab.StartBrowser(t, l.A, lab.BrowserOptions{})
	members := 2
	for _, kind := range []string{"webpack", "script"} {
		p := b.Open(server.HTTPS+"/"+kind+"/", lab.PageOptions{})
		p.Await(5*time.Second, "it has every name", `["connect", "SignalboxError", "Data", "Media", "MediaError",
			"Meter", "Stats", "verdictOf", "verdictWords"].every(name => typeof sdk[name] == "function")`)
		p.Await(5*time.Second, "it says that it has no url", `sdk.connect().then(() => false, error =>
			error instanceof sdk.SignalboxError && error.code == "no-url")`)
		p.Eval(`(async () => {
			window.heard = [];
			window.session = await sdk.connect({ url: "/signal", name: "`+kind+`" });
			window.room = session.room("tea");
			room.on("message", ({ peer, data }) => heard.push(peer.name + " " + data));
			room.on("open", ({ peer }) => peer.send("hello"));
			await room.join();
		})()`, nil)
		for _, far := range []string{"node", "echo"} {
			p.Await(15*time.Second, kind+" hears from "+far, `heard.includes("`+far+` echo: hello")`)
		}
		// Node can't restart ICE: another connection takes the place of the one that there is.
		p.Eval(`Promise.all([...room.peers.values()].map(peer => peer.restartIce()))`, nil)
		p.Await(15*time.Second, kind+" has another connection with node", `[...room.peers.values()].some(peer =>
			peer.name == "node" && peer.rebuilds == 1 && peer.state == "connected")`)
		for _, far := range []string{"node", "echo"} {
			p.Await(15*time.Second, kind+" hears again from "+far,
				`(room.send("again"), heard.includes("`+far+` echo: again"))`)
		}
		members++
	}
	react(t, b, server, members)
}

// react tries the example's hook, which is built for React's StrictMode, as Vite's template has it.
func react(t *testing.T, b *lab.Browser, server *lab.Server, others int) {
	t.Helper()
	watcher := b.Open(server.HTTPS+"/script/", lab.PageOptions{})
	watcher.Eval(`(async () => {
		window.names = [];
		const session = await sdk.connect({ url: "/signal", name: "watcher" });
		window.room = session.room("tea", { dataChannel: true });
		room.on("peer", ({ peer }) => peer.name == "react" && names.push("+"));
		room.on("left", ({ peer }) => peer.name == "react" && names.push("-"));
		await room.join();
	})()`, nil)
	p := b.Open(server.HTTPS+"/vite/?room=tea&user=react&url=/signal", lab.PageOptions{})
	all := others + 1
	p.Await(20*time.Second, "everybody is connected",
		fmt.Sprintf(`document.querySelector("#peers")?.textContent.match(/ connected/g)?.length == %d`, all))
	p.Fill("input", "hello from React")
	p.Click("form button")
	for _, far := range []string{"node", "echo"} {
		p.Await(10*time.Second, "React hears from "+far,
			`document.body.textContent.includes("`+far+`: echo: hello from React")`)
	}
	watcher.Await(5*time.Second, "StrictMode has left one session", `names.join("") == "+"`)
	p.Click("#toggle")
	watcher.Await(5*time.Second, "it ends with its component", `names.join("") == "+-"`)
	p.Click("#toggle")
	watcher.Await(5*time.Second, "and begins again", `names.join("") == "+-+"`)
}

// installPackage makes the package by npm, and unpacks it in a project of its own.
func installPackage(t *testing.T) (project string) {
	t.Helper()
	dir, project := t.TempDir(), t.TempDir()
	runIn(t, dir, lab.Binary(t), "sdk", "package")
	packed := strings.TrimSpace(runIn(t, filepath.Join(dir, "package"), "npm", "pack", "--silent", "--offline"))
	modules := filepath.Join(project, "node_modules")
	if err := os.MkdirAll(modules, 0o755); err != nil {
		t.Fatal(err)
	}
	runIn(t, modules, "tar", "-xf", filepath.Join(dir, "package", packed))
	installed := filepath.Join(modules, "signalbox")
	if err := os.Rename(filepath.Join(modules, "package"), installed); err != nil {
		t.Fatal(err)
	}
	have, err := filepath.Abs("browser/node_modules")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"vite", "webpack", "react", "react-dom", "ws", "node-datachannel"} {
		if _, err := os.Stat(filepath.Join(have, name)); err != nil {
			lab.Require(t, name+" (npm ci in scripts/lab/browser)") // which is no command
		}
		if err := os.Symlink(filepath.Join(have, name), filepath.Join(modules, name)); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.CopyFS(project, os.DirFS("testdata/package")); err != nil {
		t.Fatal(err)
	}
	script := filepath.Join(project, "root", "script")
	if err := os.MkdirAll(script, 0o755); err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob(filepath.Join(installed, "*.iife.js"))
	if err != nil || len(files) == 0 {
		t.Fatalf("the package has no plain scripts: %v", err)
	}
	for _, file := range append(files, filepath.Join(project, "script.html")) {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		name := strings.Replace(filepath.Base(file), "script.html", "index.html", 1)
		if err := os.WriteFile(filepath.Join(script, name), text, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return project
}

// runIn runs a command in a folder, and returns what it says.
func runIn(t *testing.T, dir, name string, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), name, args...)
	cmd.Dir = dir
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
	return string(out)
}

// startProgram starts a program in a namespace and a folder. With the test it is interrupted.
func startProgram(t *testing.T, in *lab.Namespace, dir, name string, args ...string) {
	t.Helper()
	ctx, kill := context.WithCancel(context.Background())
	cmd := in.Command(ctx, name, args...)
	cmd.Dir = dir
	var said strings.Builder
	cmd.Stdout, cmd.Stderr = &said, &said
	if err := cmd.Start(); err != nil {
		kill()
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Signal(os.Interrupt) //nolint:errcheck // it may have ended
		stuck := time.AfterFunc(10*time.Second, kill)
		err := cmd.Wait()
		stuck.Stop()
		kill()
		if err != nil {
			t.Errorf("%s does not end in good order", name)
		}
		if t.Failed() {
			t.Logf("%s ends with %v and has said:\n%s", name, err, said.String())
		}
	})
}
