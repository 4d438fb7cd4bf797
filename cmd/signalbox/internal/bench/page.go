package bench

import (
	_ "embed"
	"fmt"
	"html/template"
	"io"
	"strings"
)

//go:embed page.html
var pageText string

// Page writes the report as one page that needs nothing else.
func (r *Report) Page(out io.Writer) error {
	page, err := template.New("page").Funcs(template.FuncMap{
		"latency": func(us float64) string { return strings.Replace(latency(us), "us", "µs", 1) },
		"percent": percent,
		"round":   func(v float64) string { return fmt.Sprintf("%.0f", v) },
		"two":     func(v float64) string { return fmt.Sprintf("%.2f", v) },
		"kib":     func(n *int64) string { return fmt.Sprintf("%.1f", float64(*n)/(1<<10)) },
		"mib":     func(n int64) string { return fmt.Sprintf("%.1f", float64(n)/(1<<20)) },
		"cpu":     func(v *float64) string { return fmt.Sprintf("%.0f", *v) },
		"sum":     func(a, b float64) float64 { return a + b },
	}).Parse(pageText)
	if err != nil {
		return err
	}
	return page.Execute(out, struct {
		*Report
		Charts []chart
		Words  words
	}{r, r.charts(), r.Load.words()})
}
