//go:build linux

package main

import (
	"fmt"
	"io"
	"slices"
	"strings"
)

// work is something that each server does.
type work struct {
	name  string
	flags []string
	fresh bool // by a server that has just started
	unit  string
	value func(report) float64 // what is compared
}

// overTLS reports whether the load comes over TLS.
func (w *work) overTLS() bool { return slices.Contains(w.flags, "tls") }

// figures are those of one run.
type figures struct{ value, loss, p99, past float64 }

func (w *work) figures(r report) figures {
	f := figures{value: w.value(r), past: r.Control.P99}
	for _, way := range r.Ways {
		f.loss, f.p99 = max(f.loss, way.LossPart), max(f.p99, way.P99)
	}
	return f
}

func cpu(r report) float64       { return r.Process.User + r.Process.System }
func delivered(r report) float64 { return r.Ways[0].PerSecond / 1000 }

func memory(r report) float64 {
	if r.SetUp.Memory == nil {
		return 0
	}
	return *r.SetUp.Memory / 1024
}

func setUp(r report) float64 {
	if r.SetUp.CPU == nil {
		return 0
	}
	return *r.SetUp.CPU
}

func works() []work {
	const us, k = "us/packet", "k/s"
	loaded := func(name, flags string) work {
		return work{name: name, flags: strings.Fields("--rate 30000 " + flags), unit: us, value: cpu}
	}
	full := func(name, flags string) work {
		return work{name: name + ", full load", flags: strings.Fields("--full " + flags), unit: k, value: delivered}
	}
	many := func(allocations int) work { // coturn keeps them for a while
		w := loaded(fmt.Sprint("singles down, ", allocations, " allocations"),
			fmt.Sprint("--to peer --direction down --load audio --clients ", allocations))
		w.fresh = true
		return w
	}
	const allocations = "--clients 2000 --rate 1000 --duration 200ms"
	return []work{
		loaded("bursts up", "--to peer --direction up"),
		loaded("bursts down", "--to peer --direction down"),
		loaded("singles up", "--to peer --direction up --load audio"),
		loaded("singles down", "--to peer --direction down --load audio"),
		loaded("relay to relay", "--to relay"),
		loaded("bursts up, TCP", "--to peer --direction up --transport tcp"),
		loaded("bursts down, TCP", "--to peer --direction down --transport tcp"),
		loaded("bursts up, TLS", "--to peer --direction up --transport tls --insecure"),
		loaded("bursts down, TLS", "--to peer --direction down --transport tls --insecure"),
		loaded("singles up, TCP", "--to peer --direction up --load audio --transport tcp"),
		loaded("singles down, TCP", "--to peer --direction down --load audio --transport tcp"),
		many(10), many(100), many(1000), many(10_000),
		full("bursts up", "--to peer --direction up"),
		full("bursts down", "--to peer --direction down"),
		full("singles up", "--to peer --direction up --load audio"),
		full("relay to relay", "--to relay"),
		{name: "memory of an allocation", flags: strings.Fields(allocations), fresh: true, unit: "KiB", value: memory},
		{name: "set-up of an allocation", flags: strings.Fields(allocations), fresh: true, unit: "us", value: setUp},
	}
}

// talks are what hubs do.
func talks() []work {
	const us, k = "us/message", "k/s"
	const pairs = "--pairs 100 --size 1500 "
	return []work{
		{name: "messages", flags: strings.Fields(pairs + "--rate 5000"), unit: us, value: cpu},
		{name: "messages, full load", flags: strings.Fields(pairs + "--full"), unit: us, value: cpu},
		{name: "messages delivered, full load", flags: strings.Fields(pairs + "--full"), unit: k, value: delivered},
		{name: "memory of an idle session", flags: strings.Fields("--idle 4000 --pairs 1 --rate 100 --duration 200ms"),
			fresh: true, unit: "KiB", value: memory},
	}
}

// row is what all servers did of one work, round by round.
type row struct {
	work
	figures map[string][]figures
}

// table writes the comparison in Markdown: the first server's figures, and ratios to it.
func table(out io.Writer, servers []*server, rows []row) error {
	var b strings.Builder
	first := servers[0].name
	var names []string
	for _, s := range servers {
		names = append(names, s.name)
	}
	fmt.Fprintf(&b, "| work | %s |", first)
	for _, name := range names[1:] {
		fmt.Fprintf(&b, " %s / %s |", name, first)
	}
	all := strings.Join(names, ", ")
	fmt.Fprintf(&b, " lost: %s | p99 latency: past the server, %s |\n|%s\n", all, all,
		strings.Repeat("---|", len(names)+3))
	for _, r := range rows {
		of := func(name string, get func(figures) float64) float64 {
			var list []float64
			for _, f := range r.figures[name] {
				list = append(list, get(f))
			}
			return median(list)
		}
		value := func(f figures) float64 { return f.value }
		fmt.Fprintf(&b, "| %s | %.3g %s |", r.name, of(first, value), r.unit)
		for _, name := range names[1:] {
			fmt.Fprintf(&b, " %s |", r.ratio(name, first))
		}
		for i, name := range names {
			fmt.Fprintf(&b, "%s%.1f %%", separator(i), 100*of(name, func(f figures) float64 { return f.loss }))
		}
		fmt.Fprintf(&b, " | %.1f", of(first, func(f figures) float64 { return f.past })/1000)
		for _, name := range names {
			fmt.Fprintf(&b, ", %.1f ms", of(name, func(f figures) float64 { return f.p99 })/1000)
		}
		b.WriteString(" |\n")
	}
	_, err := io.WriteString(out, b.String())
	return err
}

func separator(i int) string {
	if i == 0 {
		return " "
	}
	return ", "
}

// ratio compares a server with another one, within each round.
func (r *row) ratio(name, with string) string {
	var list []float64
	for i, f := range r.figures[name] {
		if other := r.figures[with][i].value; other > 0 && f.value > 0 {
			list = append(list, f.value/other)
		}
	}
	if len(list) == 0 {
		return "too little to tell"
	}
	return fmt.Sprintf("**%.2f** (%.2f-%.2f)", median(list), slices.Min(list), slices.Max(list))
}

func median(list []float64) float64 {
	if len(list) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(list))
	return (sorted[(len(sorted)-1)/2] + sorted[len(sorted)/2]) / 2
}
