package bench

import (
	"fmt"
	"html/template"
	"math"
	"strconv"
	"strings"
	"time"
)

// chart is a plot with one or more lines.
type chart struct {
	Title string
	Note  string
	Lines []line
	x, y  axis
}

// line is one of a chart. Its values are finite.
type line struct {
	Name   string
	Color  int // of the page's
	Dashed bool
	x, y   []float64
}

// axis maps values to a part of its length, 0 to 1.
type axis struct {
	scale func(float64) float64 // nil: as they are
	label func(float64) string
	ticks []float64 // the first and the last one are the ends
}

func (a *axis) place(v float64) float64 {
	scale := a.scale
	if scale == nil {
		scale = func(v float64) float64 { return v }
	}
	low, high := scale(a.ticks[0]), scale(a.ticks[len(a.ticks)-1])
	return min(max((scale(v)-low)/(high-low), 0), 1)
}

// linear is an axis from 0 to a round number that is not below most.
func linear(most float64, label func(float64) string) axis {
	const parts = 4
	step := math.Pow(10, math.Floor(math.Log10(max(most, 1e-6)/parts)))
	for _, factor := range []float64{1, 2, 2.5, 5, 10} {
		if step*factor*parts >= most {
			step *= factor
			break
		}
	}
	a := axis{label: label}
	for i := range parts + 1 {
		a.ticks = append(a.ticks, step*float64(i))
	}
	return a
}

// decades is a logarithmic axis of whole powers of ten.
func decades(least, most float64, label func(float64) string) axis {
	a := axis{scale: math.Log10, label: label}
	first := math.Floor(math.Log10(max(least, 1)))
	last := max(math.Ceil(math.Log10(max(most, 1))), first+1)
	for e := first; e <= last; e++ {
		a.ticks = append(a.ticks, math.Pow(10, e))
	}
	return a
}

// nines is an axis for parts of all packets, on which 90 %, 99 % and 99.9 % are as far from each
// other.
func nines() axis {
	return axis{
		scale: func(part float64) float64 { return -math.Log10(1 - min(part, 0.9999)) },
		label: func(part float64) string { return strconv.FormatFloat(part*100, 'g', 6, 64) + "%" },
		ticks: []float64{0, 0.9, 0.99, 0.999, 0.9999},
	}
}

// The picture, in its own units: a phone shows them as they are.
const (
	chartWidth, chartHeight  = 360, 200
	plotLeft, plotRight      = 48, 336
	plotTop, plotBottom      = 10, 172
	labelGap, labelBaseline  = 6, 16
	plotWidth, plotHeight    = plotRight - plotLeft, plotBottom - plotTop
	labelHeight, tickDecimal = 4, 1
)

// SVG draws the chart. It writes numbers and the axes' labels, which are our own.
func (c chart) SVG() template.HTML {
	var b strings.Builder
	fmt.Fprintf(&b, `<svg viewBox="0 0 %d %d" role="img" aria-label="%s">`, chartWidth, chartHeight,
		template.HTMLEscapeString(c.Title))
	for _, v := range c.y.ticks {
		y := plotBottom - plotHeight*c.y.place(v)
		fmt.Fprintf(&b, `<path class="grid" d="M%d %.1fH%d"/><text class="y" x="%d" y="%.1f">%s</text>`, plotLeft, y,
			plotRight, plotLeft-labelGap, y+labelHeight, template.HTMLEscapeString(c.y.label(v)))
	}
	for _, v := range c.x.ticks {
		fmt.Fprintf(&b, `<text class="x" x="%.1f" y="%d">%s</text>`, plotLeft+plotWidth*c.x.place(v),
			plotBottom+labelBaseline, template.HTMLEscapeString(c.x.label(v)))
	}
	for _, l := range c.Lines {
		class := fmt.Sprintf("line c%d", l.Color)
		if l.Dashed {
			class += " dashed"
		}
		fmt.Fprintf(&b, `<path class="%s" d="`, class)
		for i := range l.x {
			fmt.Fprintf(&b, "%c%.*f %.*f", "ML"[min(i, 1)], tickDecimal, plotLeft+plotWidth*c.x.place(l.x[i]),
				tickDecimal, plotBottom-plotHeight*c.y.place(l.y[i]))
		}
		b.WriteString(`"/>`)
	}
	b.WriteString("</svg>")
	return template.HTML(b.String()) //nolint:gosec // see above
}

func short(v float64) string {
	switch {
	case v >= 1e6:
		return strconv.FormatFloat(v/1e6, 'g', 3, 64) + "M"
	case v >= 1e3:
		return strconv.FormatFloat(v/1e3, 'g', 3, 64) + "k"
	}
	return strconv.FormatFloat(v, 'g', 3, 64)
}

// brief is a latency as an axis has it.
func brief(us float64) string {
	return (time.Duration(us) * time.Microsecond).String()
}

// charts are the report's plots.
func (r *Report) charts() []chart {
	seconds := func(v float64) string { return strconv.FormatFloat(v, 'g', 3, 64) + "s" }
	overTime, sent := linear(r.seconds, seconds), r.Load.words().Sent+"s"
	// Latency, for which there may be no least: nothing arrived.
	least, most := math.Inf(1), 0.0
	spread := chart{Title: "Latency of the " + sent, x: nines(),
		Note: "So many per cent of the " + sent + " arrive within that time."}
	rate := chart{Title: "Received " + sent + " a second", x: overTime}
	late := chart{Title: "Latency over time", x: overTime}
	cores := chart{Title: "Cores that the server takes", x: overTime}
	see := func(us float64) bool {
		if us > 0 {
			least, most = min(least, us), max(most, us)
		}
		return us > 0
	}
	fastest, busiest := 0.0, 0.0
	for i, w := range r.Ways {
		name := string(w.Direction)
		l := line{Name: name, Color: i}
		for _, p := range w.Curve {
			if see(p.Latency) {
				l.x, l.y = append(l.x, p.Part), append(l.y, p.Latency)
			}
		}
		spread.Lines = append(spread.Lines, l)
		per := line{Name: name, Color: i}
		p50, p99 := line{Name: name + ", half", Color: i}, line{Name: name + ", 99 %", Color: i, Dashed: true}
		for _, s := range r.Samples {
			v := s.Ways[i]
			fastest = max(fastest, v.PerSecond)
			per.x, per.y = append(per.x, s.At), append(per.y, v.PerSecond)
			if see(v.P50) && see(v.P99) {
				p50.x, p50.y = append(p50.x, s.At), append(p50.y, v.P50)
				p99.x, p99.y = append(p99.x, s.At), append(p99.y, v.P99)
			}
		}
		rate.Lines = append(rate.Lines, per)
		late.Lines = append(late.Lines, p50, p99)
	}
	cpu := line{Name: "cores"}
	for _, s := range r.Samples {
		busiest = max(busiest, s.Cores)
		cpu.x, cpu.y = append(cpu.x, s.At), append(cpu.y, s.Cores)
	}
	rate.y, cores.y = linear(fastest, short), linear(busiest, short)
	spread.y = decades(min(least, most), most, brief)
	late.y = spread.y
	out := []chart{rate, spread, late}
	if r.Process != nil {
		cores.Lines = []line{cpu}
		out = append(out, cores)
	}
	return out
}
