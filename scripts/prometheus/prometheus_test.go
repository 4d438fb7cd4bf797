// Package prometheus_test tries the rules and the dashboard for a box: Prometheus takes them, and
// what they ask for is there.
package prometheus_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/grafana/grafana-foundation-sdk/go/cog"
	"github.com/grafana/grafana-foundation-sdk/go/dashboard"
	"github.com/grafana/grafana-foundation-sdk/go/prometheus"
	"github.com/grafana/grafana-foundation-sdk/go/stat"
	"github.com/grafana/grafana-foundation-sdk/go/timeseries"

	"signalbox"
	"signalbox/internal/testkit"
)

const (
	alertsFile    = "alerts.yml"
	testsFile     = "alerts_test.yml"
	dashboardFile = "dashboard.json"
)

// Prometheus' own tool takes the rules, and each alert fires and is silent as its tests say.
func TestAlerts(t *testing.T) {
	t.Parallel()
	promtool(t, nil, "check", "rules", alertsFile)
	promtool(t, nil, "test", "rules", testsFile)
	tests := read(t, testsFile)
	for _, alert := range regexp.MustCompile(`- alert: (\w+)`).FindAllStringSubmatch(read(t, alertsFile), -1) {
		if n := strings.Count(tests, "alertname: "+alert[1]+"\n"); n != 2 {
			t.Errorf("%s has %d tests, want one in which it fires and one in which it does not", alert[1], n)
		}
	}
}

// What rules and dashboard ask for is there in a box that runs, and its text is as Prometheus wants
// it.
func TestMetricsAreThere(t *testing.T) {
	t.Parallel()
	text := scrape(t)
	there := map[string]bool{"up": true} // Prometheus makes it
	for _, line := range regexp.MustCompile(`(?m)^# TYPE (\w+) `).FindAllStringSubmatch(text, -1) {
		there[line[1]] = true
	}
	var exprs []string
	for _, rule := range regexp.MustCompile(`(?m)^ +expr: (?:>-\n((?: {10}.*\n)+)|(.*)\n)`).FindAllStringSubmatch(
		read(t, alertsFile), -1) {
		exprs = append(exprs, rule[1]+rule[2])
	}
	alerts := len(exprs)
	exprs = append(exprs, queries(t)...)
	if alerts < 10 || len(exprs) < alerts+20 {
		t.Fatalf("%d alerts and %d queries", alerts, len(exprs)-alerts)
	}
	metric := regexp.MustCompile(`\b((?:signalbox|process|go)_\w+|up)\b`)
	quoted := regexp.MustCompile(`"[^"]*"`)
	for _, expr := range exprs {
		names := metric.FindAllString(quoted.ReplaceAllString(expr, `""`), -1)
		if len(names) == 0 {
			t.Errorf("it asks for nothing: %s", expr)
		}
		for _, name := range names {
			if !there[name] {
				t.Errorf("no box has %s: %s", name, expr)
			}
		}
	}
	promtool(t, strings.NewReader(text), "check", "metrics")
}

// Prometheus understands each query of the dashboard.
func TestDashboardQueries(t *testing.T) {
	t.Parallel()
	var rules strings.Builder
	rules.WriteString("groups:\n  - name: dashboard\n    rules:\n")
	for i, query := range queries(t) {
		text, err := json.Marshal(strings.NewReplacer("$__rate_interval", "5m", "$instance", ".*").Replace(query))
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&rules, "      - {record: \"dashboard:query:%d\", expr: %s}\n", i, text)
	}
	file := filepath.Join(t.TempDir(), "dashboard.yml")
	if err := os.WriteFile(file, []byte(rules.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	promtool(t, nil, "check", "rules", file)
}

// Grafana's own types for dashboards know each field and take each value; none that it needs is
// missing.
func TestDashboardIsGrafanas(t *testing.T) {
	t.Parallel()
	kinds := cog.NewRuntime()
	kinds.RegisterPanelcfgVariant(stat.VariantConfig())
	kinds.RegisterPanelcfgVariant(timeseries.VariantConfig())
	kinds.RegisterDataqueryVariant(prometheus.VariantConfig())
	//lint:ignore SA1019 the file is of this version, which each Grafana imports
	var d dashboard.Dashboard
	err := d.UnmarshalJSONStrict([]byte(read(t, dashboardFile)))
	if err != nil && err.Error() != "" { // an empty list of faults is not nil
		t.Error(err)
	}
	if err := d.Validate(); err != nil {
		t.Error(err)
	}
}

// queries are those of the dashboard, whose panels each have an id of their own.
func queries(t *testing.T) (out []string) {
	t.Helper()
	var dashboard struct {
		Panels []struct {
			ID      int
			Type    string
			Title   string
			Targets []struct{ Expr string }
		}
	}
	if err := json.Unmarshal([]byte(read(t, dashboardFile)), &dashboard); err != nil {
		t.Fatal(err)
	}
	ids := map[int]bool{}
	for _, p := range dashboard.Panels {
		if ids[p.ID] || p.Title == "" || p.Type != "row" && len(p.Targets) == 0 {
			t.Errorf("panel %d, %q, has no id of its own, no title or no query", p.ID, p.Title)
		}
		ids[p.ID] = true
		for _, target := range p.Targets {
			out = append(out, target.Expr)
		}
	}
	return out
}

// scrape reads the metrics of a box that has tested itself.
func scrape(t *testing.T) string {
	t.Helper()
	cfg, err := signalbox.Load(signalbox.LoadOptions{Dev: true, Set: []string{
		"web.listen=127.0.0.1:0", "web.tls_listen=127.0.0.1:0", "turn.listen=127.0.0.1:0",
		"metrics.listen=127.0.0.1:0", "notify.self_test=12h", "turn.limits.total_per_month=1GB",
	}})
	if err != nil {
		t.Fatal(err)
	}
	state, err := signalbox.OpenState(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	app, err := signalbox.New(cfg, state, nil)
	if err == nil {
		err = app.Listen()
	}
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- app.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	for deadline := time.Now().Add(time.Minute); app.Status().SelfTest.At == 0; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("the box does not test itself")
		}
	}
	resp, err := http.Get("http://" + app.Addrs().Metrics + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// promtool runs Prometheus' tool, which must have nothing to complain about.
func promtool(t *testing.T, in io.Reader, args ...string) {
	t.Helper()
	testkit.Need(t, "promtool") // of Debian's package prometheus
	var out bytes.Buffer
	cmd := exec.CommandContext(t.Context(), "promtool", args...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = in, &out, &out
	if err := cmd.Run(); err != nil {
		t.Errorf("promtool %s: %v\n%s", strings.Join(args, " "), err, &out)
	}
}

func read(t *testing.T, file string) string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
