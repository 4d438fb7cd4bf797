package metrics

import (
	"os"
	"regexp"
	"slices"
	"testing"
)

// The READMEs name metrics that there are. Those of alerts and dashboard: scripts/prometheus.
func TestReadmesNameMetricsThatThereAre(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"README.md", "README.zh-CN.md"} {
		text, err := os.ReadFile("../../" + name)
		if err != nil {
			t.Fatal(err)
		}
		found := regexp.MustCompile(`\bsignalbox_\w+`).FindAllString(string(text), -1)
		if len(found) == 0 {
			t.Errorf("%s names %v", name, found)
		}
		for _, m := range found {
			if !slices.Contains(Names(), m) {
				t.Errorf("%s: there is no metric %s", name, m)
			}
		}
	}
}
