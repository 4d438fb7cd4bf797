//go:build linux

package main

import (
	"strings"
	"testing"
)

// Ratios are those within a round: what slows a whole round down does not count.
func TestTable(t *testing.T) {
	t.Parallel()
	r := row{work: work{name: "bursts up", unit: "us/packet"}, figures: map[string][]figures{
		"coturn":    {{value: 10, loss: 0.01, p99: 1000, past: 500}, {value: 20, past: 500}, {value: 10, past: 500}},
		"signalbox": {{value: 5}, {value: 10}, {value: 6}},
		"pion":      {{value: 0}, {value: 0}, {value: 0}},
	}}
	var out strings.Builder
	servers := []*server{{name: "coturn"}, {name: "signalbox"}, {name: "pion"}}
	if err := table(&out, servers, []row{r}); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	const want = "| bursts up | 10 us/packet | **0.50** (0.50-0.60) | too little to tell | 0.0 %, 0.0 %, 0.0 % | " +
		"0.5, 0.0 ms, 0.0 ms, 0.0 ms |"
	if len(lines) != 3 || lines[2] != want {
		t.Errorf("the table is\n%s\nwant\n%s", &out, want)
	}
	for _, line := range lines {
		if strings.Count(line, "|") != strings.Count(lines[0], "|") {
			t.Errorf("%q has another number of columns", line)
		}
	}
}
