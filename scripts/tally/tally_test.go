package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// The tests run the real go test, since it is its habits that a tally has to
// know: what it says of a panic, an exit, a package that doesn't compile.
func TestTally(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name      string
		source    string
		args      []string
		skipsFail bool
		want      string // the last line
		says      string // somewhere before
		ok        bool
	}{
		{
			name: "passes",
			source: `func TestA(t *testing.T) {}; func Example() {};
				func FuzzA(f *testing.F) { f.Add(1); f.Fuzz(func(*testing.T, int) {}) }`,
			// the fuzz target counts by its seed; an example without output isn't run
			want: "2 passed, 0 failed, 0 skipped", ok: true,
		},
		{
			name: "subtests count, their parents don't",
			source: `func TestA(t *testing.T) {
				for _, n := range []string{"x", "y"} { t.Run(n, func(t *testing.T) {}) } }`,
			want: "2 passed, 0 failed, 0 skipped", ok: true,
		},
		{
			name: "a failing subtest counts once",
			source: `func TestA(t *testing.T) {
				t.Run("x", func(t *testing.T) { t.Error("broken pipe") }); t.Run("y", func(t *testing.T) {}) }`,
			want: "1 passed, 1 failed, 0 skipped", says: "broken pipe",
		},
		{
			name:   "a parent that fails by itself counts",
			source: `func TestA(t *testing.T) { t.Run("x", func(t *testing.T) {}); t.Error("at the end") }`,
			want:   "1 passed, 1 failed, 0 skipped", says: "at the end",
		},
		{
			name:   "skips are named with their reason",
			source: `func TestA(t *testing.T) { t.Skip("no tool here") }; func TestB(t *testing.T) {}`,
			want:   "1 passed, 0 failed, 1 skipped", says: "sample.TestA: a_test.go:3: no tool here", ok: true,
		},
		{
			name:      "skips fail where nothing may be skipped",
			source:    `func TestA(t *testing.T) { t.Skip("no tool here") }; func TestB(t *testing.T) {}`,
			skipsFail: true,
			want:      "1 passed, 0 failed, 1 skipped", says: "nothing may be skipped",
		},
		{
			name:   "only skips is no success",
			source: `func TestA(t *testing.T) { t.Skip("no tool here") }`,
			want:   "0 passed, 0 failed, 1 skipped", says: "no test ran",
		},
		{
			name:   "a panic",
			source: `func TestA(t *testing.T) { panic("out of steam") }`,
			want:   "0 passed, 1 failed, 0 skipped", says: "out of steam",
		},
		{
			name: "an exit leaves tests unfinished",
			source: `func TestA(t *testing.T) { t.Parallel(); select {} }
				func TestB(t *testing.T) { t.Parallel(); os.Exit(3) }`,
			want: "0 passed, 2 failed, 0 skipped", says: "sample.TestA (did not finish)",
		},
		{
			name: "a failure after the tests",
			source: `func TestA(t *testing.T) {};
				func TestMain(m *testing.M) { m.Run(); println("leaked"); os.Exit(1) }`,
			want: "1 passed, 1 failed, 0 skipped", says: "leaked",
		},
		{
			name:   "does not compile",
			source: `func TestA(t *testing.T) { undefinedName() }`,
			want:   "0 passed, 1 failed, 0 skipped", says: "undefinedName",
		},
		{
			name: "no such package",
			args: []string{"./nowhere"},
			want: "0 passed, 1 failed, 0 skipped", says: "./nowhere (outside of its tests)",
		},
		{
			name: "go test does not even start",
			args: []string{"-timeout=soon"},
			want: "0 passed, 1 failed, 0 skipped", says: "without naming a test",
		},
		{
			name:   "no tests",
			source: ``,
			want:   "0 passed, 0 failed, 0 skipped", says: "no test ran",
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var out strings.Builder
			sum := newTally(&out)
			if err := sum.read(strings.NewReader(goTest(t, tt.source, tt.args...))); err != nil {
				t.Fatal(err)
			}
			if ok := sum.finish(tt.skipsFail); ok != tt.ok {
				t.Errorf("all is well: %v, want %v", ok, tt.ok)
			}
			lines := strings.Split(strings.TrimSpace(out.String()), "\n")
			if last := lines[len(lines)-1]; last != tt.want {
				t.Errorf("the last line is %q, want %q", last, tt.want)
			}
			if !strings.Contains(out.String(), tt.says) {
				t.Errorf("no word of %q", tt.says)
			}
			if t.Failed() {
				t.Logf("the output:\n%s", &out)
			}
		})
	}
}

// goTest runs `go test -json` on a package with the given tests.
func goTest(t *testing.T, source string, args ...string) string {
	t.Helper()
	dir := t.TempDir()
	imports := `import "testing";`
	if strings.Contains(source, "os.") {
		imports += ` import "os";`
	}
	for name, content := range map[string]string{
		"go.mod":    "module sample\n\ngo 1.26\n",
		"a_test.go": "package sample\n" + imports + "var _ testing.T\n" + source + "\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.CommandContext(t.Context(), "go", append([]string{"test", "-json"}, args...)...)
	cmd.Dir = dir
	out, err := cmd.Output()
	if err != nil {
		out = append(out, exitMark+"1\n"...)
	}
	return string(out)
}

// What makes the whole take long is named, without what is within it.
func TestLongestAreNamed(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	events := `{"Action":"run","Package":"p","Test":"TestSlow"}
{"Action":"run","Package":"p","Test":"TestSlow/part"}
{"Action":"pass","Package":"p","Test":"TestSlow/part","Elapsed":25}
{"Action":"pass","Package":"p","Test":"TestSlow","Elapsed":25.5}
{"Action":"run","Package":"p","Test":"TestQuick"}
{"Action":"pass","Package":"p","Test":"TestQuick","Elapsed":0.1}
{"Action":"pass","Package":"p","Elapsed":26}
`
	if err := newTally(&out).read(strings.NewReader(events)); err != nil {
		t.Fatal(err)
	}
	said := out.String()
	if !strings.Contains(said, "TestSlow ") || !strings.Contains(said, " 25.5s\n") || strings.Count(said, "\n") != 2 {
		t.Errorf("it says\n%s", said)
	}
}
