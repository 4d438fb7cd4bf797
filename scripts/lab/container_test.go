//go:build linux

package lab_test

import (
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"signalbox/internal/testkit"
	"signalbox/scripts/lab"
)

// What the Dockerfile puts into an image is enough: in a root that has nothing else, as a user
// without a name, the box opens ports below 1024, finds its configuration, keeps its state, and
// says that it is well.
func TestLongContainer(t *testing.T) {
	testkit.Long(t)
	lab.Require(t, "setcap", "chroot")
	chroot, err := exec.LookPath("chroot")
	if err != nil {
		t.Fatal(err)
	}
	image := makeImage(t, "../container/Dockerfile")
	state := filepath.Join(image.root, "var/lib/signalbox")
	dir := filepath.Join(image.root, "etc/signalbox")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	config := "[web]\nlisten = \":80\"\ntls_listen = \":443\"\n"
	if err := os.WriteFile(filepath.Join(dir, "config.toml"), []byte(config), 0o644); err != nil {
		t.Fatal(err)
	}

	l := lab.New(t, lab.FullCone, lab.FullCone)
	inside := func(ctx context.Context, command []string) *exec.Cmd {
		return l.Server.Command(ctx, "env", slices.Concat([]string{"-i"}, image.env, []string{chroot, "--userspec=" +
			image.user, image.root}, command)...)
	}
	box := inside(t.Context(), image.entrypoint)
	box.Cancel = func() error { return box.Process.Signal(syscall.SIGINT) }
	log, err := os.Create(filepath.Join(lab.Artifacts(t), "box.log"))
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	box.Stdout, box.Stderr = log, log
	if err := box.Start(); err != nil {
		t.Fatal(err)
	}
	healthy := func() ([]byte, error) { return inside(t.Context(), image.healthy).CombinedOutput() }
	out, err := healthy()
	for deadline := time.Now().Add(30 * time.Second); err != nil && time.Now().Before(deadline); {
		time.Sleep(100 * time.Millisecond)
		out, err = healthy()
	}
	if err != nil {
		t.Errorf("%v\n%s", err, out)
	}
	if err := box.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	if err := box.Wait(); err != nil {
		said, _ := os.ReadFile(log.Name()) // the log is its own file
		t.Errorf("%v\n%s", err, said)
	}
	if _, err := os.Stat(filepath.Join(state, "admin-token")); err != nil {
		t.Error(err)
	}
}

// image is what a container runs in.
type image struct {
	root                string // a directory
	user                string
	env                 []string
	entrypoint, healthy []string
}

// makeImage does what a Dockerfile says. What it installs into the first of its two stages, this
// machine has.
func makeImage(t *testing.T, dockerfile string) *image {
	t.Helper()
	text, err := os.ReadFile(dockerfile)
	if err != nil {
		t.Fatal(err)
	}
	joined := strings.ReplaceAll(string(text), "\\\n", "")
	made := t.TempDir()
	at := func(path string) string { return strings.ReplaceAll(path, "/box", made) } // of the first stage
	do := func(name string, args ...string) {
		cmd := exec.CommandContext(t.Context(), name, args...)
		cmd.Dir, cmd.Env = "../..", append(os.Environ(), "VERSION=devel")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%s %v: %v\n%s", name, args, err, out)
		}
	}
	i := &image{root: t.TempDir()}
	for _, line := range strings.Split(joined, "\n") {
		verb, rest, _ := strings.Cut(line, " ")
		switch {
		case verb == "RUN" && strings.Contains(rest, "/box"):
			do("sh", "-ec", at(rest))
		case verb == "COPY" && strings.HasPrefix(rest, "--from=build "):
			i.copy(rest, at, do)
		case verb == "USER":
			i.user = rest
		case verb == "ENV":
			i.env = append(i.env, rest)
		case verb == "ENTRYPOINT":
			i.entrypoint = words(t, rest)
		case verb == "HEALTHCHECK":
			_, command, _ := strings.Cut(rest, " CMD ")
			i.healthy = words(t, command)
		}
	}
	return i
}

// words are those of an instruction in the form of JSON.
func words(t *testing.T, list string) (words []string) {
	t.Helper()
	if err := json.Unmarshal([]byte(list), &words); err != nil {
		t.Fatalf("%s: %v", list, err)
	}
	return words
}

// copy does a COPY from the first stage: its options, where from, where to.
func (i *image) copy(what string, at func(string) string, do func(name string, args ...string)) {
	words := strings.Fields(what)
	from, to := at(words[len(words)-2]), filepath.Join(i.root, words[len(words)-1])
	do("mkdir", "-p", filepath.Dir(to))
	do("cp", "-a", from, to)
	for _, option := range words[:len(words)-2] {
		if name, value, _ := strings.Cut(strings.TrimPrefix(option, "--"), "="); name != "from" {
			do(name, value, to) // chown, chmod
		}
	}
}
