//go:build linux

package lab_test

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
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
	file, err := os.ReadFile("../container/Dockerfile")
	if err != nil {
		t.Fatal(err)
	}
	user := regexp.MustCompile(`(?m)^USER (\d+:\d+)$`).FindSubmatch(file)
	env := regexp.MustCompile(`(?m)^ENV (\S+)$`).FindSubmatch(file)
	if user == nil || env == nil {
		t.Fatal("the Dockerfile names no user, or no environment")
	}
	image := t.TempDir()
	state := filepath.Join(image, "var/lib/signalbox")
	for _, dir := range []string{state, filepath.Join(image, "etc/signalbox")} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	config := "[web]\nlisten = \":80\"\ntls_listen = \":443\"\n"
	if err := os.WriteFile(filepath.Join(image, "etc/signalbox/config.toml"), []byte(config), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, step := range [][]string{
		{"env", "CGO_ENABLED=0", "go", "build", "-o", filepath.Join(image, "signalbox"), "../../cmd/signalbox"},
		{"setcap", "cap_net_bind_service=+ep", filepath.Join(image, "signalbox")},
		{"chown", string(user[1]), state}, {"chmod", "0700", state},
	} {
		if out, err := exec.CommandContext(t.Context(), step[0], step[1:]...).CombinedOutput(); err != nil {
			t.Fatalf("%v: %v\n%s", step, err, out)
		}
	}

	l := lab.New(t, lab.FullCone, lab.FullCone)
	inside := func(ctx context.Context, args ...string) *exec.Cmd {
		return l.Server.Command(ctx, "env", append([]string{"-i", string(env[1]), chroot, "--userspec=" +
			string(user[1]), image, "/signalbox"}, args...)...)
	}
	box := inside(t.Context())
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
	healthy := func() ([]byte, error) { return inside(t.Context(), "status").CombinedOutput() }
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
