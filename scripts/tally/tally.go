package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
)

// An event is a line of `go test -json` (go doc test2json).
type event struct {
	Action  string
	Package string
	Test    string
	Output  string
	Elapsed float64 // seconds
}

// A tally counts tests as they end and shows what a reader needs of them.
type tally struct {
	out io.Writer

	passed, failed, skipped int
	failures, skips         []string // for the list at the end
	packages                map[string]*packageTally
	exits                   int // of go test, other than zero
}

type packageTally struct {
	passed, failed, skipped int
	running                 map[string]*testRun
	long                    []string        // lines about tests that took long
	output                  strings.Builder // what belongs to no test
}

type testRun struct {
	output      strings.Builder
	hasSubtests bool
	failedBelow bool // a subtest failed, and was counted
}

func newTally(out io.Writer) *tally {
	return &tally{out: out, packages: map[string]*packageTally{}}
}

// longTest is after how many seconds a test without a parent is named with its package: whoever
// wants the whole to be quicker looks there first.
const longTest = 20

// exitMark begins a line that the caller writes after a `go test` that failed,
// such as "exit status 1". Some failures make no event: a pattern that matches
// nothing, a broken go.mod.
const exitMark = "exit status "

// read takes in the output of one or several runs of `go test -json`.
func (t *tally) read(r io.Reader) error {
	lines := bufio.NewReader(r)
	for {
		line, err := lines.ReadString('\n')
		var e event
		switch {
		case strings.HasPrefix(line, "{") && json.Unmarshal([]byte(line), &e) == nil:
			t.add(e)
		case strings.HasPrefix(line, exitMark):
			t.exits++
		case line != "":
			fmt.Fprint(t.out, line)
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

func (t *tally) add(e event) {
	if e.Action == "build-output" {
		fmt.Fprint(t.out, e.Output)
		return
	}
	if e.Package == "" {
		return
	}
	p := t.packages[e.Package]
	if p == nil {
		p = &packageTally{running: map[string]*testRun{}}
		t.packages[e.Package] = p
	}
	if e.Test == "" {
		t.addToPackage(p, e)
		return
	}
	switch e.Action {
	case "run":
		p.running[e.Test] = &testRun{}
		if parent := p.running[parentOf(e.Test)]; parent != nil {
			parent.hasSubtests = true
		}
	case "output":
		if run := p.running[e.Test]; run != nil {
			run.output.WriteString(e.Output)
		}
	case "pass", "fail", "skip":
		if run := p.running[e.Test]; run != nil {
			t.end(p, e.Package, e.Test, e.Action, run)
			if e.Elapsed >= longTest && parentOf(e.Test) == "" {
				p.long = append(p.long, fmt.Sprintf("     %-40s %16.1fs", e.Test, e.Elapsed))
			}
		}
	}
}

// end counts a test that ended. One with subtests is no test of its own, unless
// it fails while they pass.
func (t *tally) end(p *packageTally, pkg, name, outcome string, run *testRun) {
	delete(p.running, name)
	if parent := p.running[parentOf(name)]; parent != nil && outcome == "fail" {
		parent.failedBelow = true
	}
	if run.hasSubtests && (outcome != "fail" || run.failedBelow) {
		if outcome == "fail" {
			fmt.Fprint(t.out, run.output.String())
		}
		return
	}
	switch outcome {
	case "pass":
		p.passed++
		if line := lastFuzzLine(run.output.String()); line != "" {
			fmt.Fprintf(t.out, "     %s.%s: %s\n", pkg, name, line)
		}
	case "skip":
		p.skipped++
		t.skips = append(t.skips, fmt.Sprintf("%s.%s: %s", pkg, name, reason(run.output.String())))
	case "fail":
		p.failed++
		t.failures = append(t.failures, pkg+"."+name)
		fmt.Fprint(t.out, run.output.String())
	}
}

func (t *tally) addToPackage(p *packageTally, e event) {
	switch e.Action {
	case "output":
		p.output.WriteString(e.Output)
		return
	case "pass", "fail", "skip":
	default:
		return
	}
	if e.Action == "fail" {
		// A panic or an exit in one test leaves those without an outcome that ran at
		// the same time.
		for _, name := range slices.Sorted(maps.Keys(p.running)) {
			run := p.running[name]
			if !strings.HasPrefix(name, "Benchmark") && !run.hasSubtests {
				p.failed++
				t.failures = append(t.failures, e.Package+"."+name+" (did not finish)")
				fmt.Fprint(t.out, run.output.String())
			}
		}
		if p.failed == 0 {
			p.failed++
			t.failures = append(t.failures, e.Package+" (outside of its tests)")
		}
		fmt.Fprint(t.out, p.output.String())
	}
	if n := p.passed + p.failed + p.skipped; n > 0 {
		word := map[string]string{"pass": "ok  ", "fail": "FAIL", "skip": "ok  "}[e.Action]
		fmt.Fprintf(t.out, "%s %-40s %4d tests %7.1fs\n", word, e.Package, n, e.Elapsed)
		for _, line := range p.long {
			fmt.Fprintln(t.out, line)
		}
	}
	t.passed += p.passed
	t.failed += p.failed
	t.skipped += p.skipped
	delete(t.packages, e.Package)
}

// finish shows the sum, its last line being that of the totals, and tells
// whether all is well.
func (t *tally) finish(skipsFail bool) bool {
	// Only a go test that was killed leaves packages without an end.
	for _, name := range slices.Sorted(maps.Keys(t.packages)) {
		t.failed++
		t.failures = append(t.failures, name+" (did not finish)")
		fmt.Fprint(t.out, t.packages[name].output.String())
	}
	if t.failed == 0 && t.exits > 0 {
		t.failed++
		t.failures = append(t.failures, "go test (it failed without naming a test)")
	}
	for _, s := range t.skips {
		fmt.Fprintln(t.out, "skipped:", s)
	}
	for _, f := range t.failures {
		fmt.Fprintln(t.out, "failed:", f)
	}
	ok := t.failed == 0
	if t.passed == 0 && ok {
		fmt.Fprintln(t.out, "no test ran")
		ok = false
	}
	if skipsFail && t.skipped > 0 {
		fmt.Fprintln(t.out, "nothing may be skipped here")
		ok = false
	}
	fmt.Fprintf(t.out, "%d passed, %d failed, %d skipped\n", t.passed, t.failed, t.skipped)
	return ok
}

func parentOf(test string) string {
	if i := strings.LastIndexByte(test, '/'); i >= 0 {
		return test[:i]
	}
	return ""
}

// reason returns what a test said before it was skipped.
func reason(output string) string {
	var said []string
	for line := range strings.Lines(output) {
		line = strings.TrimSpace(line)
		if line != "" && !strings.HasPrefix(line, "=== ") && !strings.HasPrefix(line, "--- ") {
			said = append(said, line)
		}
	}
	if len(said) == 0 {
		return "for no reason"
	}
	return strings.Join(said, " ")
}

func lastFuzzLine(output string) string {
	var last string
	for line := range strings.Lines(output) {
		if strings.HasPrefix(line, "fuzz: elapsed:") {
			last = strings.TrimSpace(line)
		}
	}
	return last
}
