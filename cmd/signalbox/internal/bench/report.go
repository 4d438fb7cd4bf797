package bench

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"signalbox/internal/term"
)

// Report is what a run has found. Times are in microseconds unless a name says otherwise.
type Report struct {
	Load  Work  `json:"load"`
	SetUp SetUp `json:"setUp"`
	Ways  []Way `json:"ways"`
	// Control is what happened to packets that went past the server meanwhile: what is late there
	// is late for other reasons.
	Control Way      `json:"control"`
	Process *Process `json:"process,omitempty"` // of the server
	// Generator is how many cores the generator itself took while it measured.
	Generator float64  `json:"generatorCores"`
	Strange   int64    `json:"strange"` // datagrams that came and were not of this run
	Warnings  []string `json:"warnings,omitempty"`
	Samples   []Sample `json:"samples"`

	seconds float64 // that were measured
}

// Work says what the server was loaded with.
type Work interface {
	String() string
	// words are what the work goes by.
	words() words
}

// words name what a report is about.
type words struct {
	Sent   string // packet, or message
	Opened string // allocations, or sessions
	With   string // " with a channel": what was done at set-up, too; or nothing
}

// Load is the work of a TURN server.
type Load struct {
	Server    string    `json:"server"`
	Clients   int       `json:"clients"`
	To        string    `json:"to"` // peer or relay
	Direction Direction `json:"direction"`
	Via       string    `json:"via"`   // channels or send
	Size      int       `json:"size"`  // bytes
	Burst     int       `json:"burst"` // packets
	Rate      int       `json:"rate"`  // packets a second in each direction; 0: full speed
	Seconds   float64   `json:"seconds"`
}

// SetUp is about allocations with a permission or a channel each, or about sessions.
type SetUp struct {
	Opened    int     `json:"opened"`
	Seconds   float64 `json:"seconds"`
	PerSecond float64 `json:"perSecond"`
	// CPU is the server's CPU time for one, Memory what its resident memory grew by for one, in
	// bytes. Both need the process, and so many allocations that they can be told.
	CPU    *float64 `json:"cpu,omitempty"`
	Memory *int64   `json:"memory,omitempty"`
}

// Way is what happened in one direction.
type Way struct {
	Direction Direction `json:"direction"`
	Sent      int64     `json:"sent"`
	Received  int64     `json:"received"`
	Lost      int64     `json:"lost"`
	LossPart  float64   `json:"lossPart"` // 0 to 1
	PerSecond float64   `json:"perSecond"`
	Mbits     float64   `json:"megabitsPerSecond"` // of payload
	P50       float64   `json:"p50"`
	P90       float64   `json:"p90"`
	P99       float64   `json:"p99"`
	P999      float64   `json:"p999"`
	Max       float64   `json:"max"`
	Curve     []Point   `json:"curve"`
}

// Point is a latency that a part of the packets does not exceed.
type Point struct {
	Part    float64 `json:"part"`
	Latency float64 `json:"latency"`
}

// Process is what the server's process took for each packet or message that arrived.
type Process struct {
	PID      int     `json:"pid"`
	Name     string  `json:"name"`
	User     float64 `json:"user"`
	System   float64 `json:"system"`
	Cores    float64 `json:"cores"`    // in all, while data went
	Resident int64   `json:"resident"` // bytes, with all that is open
}

// Sample is what happened since the one before.
type Sample struct {
	At    float64     `json:"at"` // seconds of the window
	Cores float64     `json:"cores"`
	Ways  []SampleWay `json:"ways"`
}

// SampleWay is a sample of one direction.
type SampleWay struct {
	PerSecond float64 `json:"perSecond"`
	P50       float64 `json:"p50"`
	P99       float64 `json:"p99"`
}

// fewTicks of CPU time tell nothing: the system counts hundredths of a second.
const fewTicks = 20 * tick

func micros(d time.Duration) float64 { return float64(d) / float64(time.Microsecond) }

func (s *Sample) progress(part float64) Progress {
	p := Progress{Phase: "measuring", Part: part, Cores: s.Cores}
	for _, w := range s.Ways {
		p.PerSecond += w.PerSecond
		p.P50 = max(p.P50, time.Duration(w.P50*float64(time.Microsecond)))
		p.P99 = max(p.P99, time.Duration(w.P99*float64(time.Microsecond)))
	}
	return p
}

func (r *Report) setUp(o *Options, took time.Duration, idle, ready usage) {
	load := Load{Server: o.Server.String(), Clients: o.Clients, To: "peer", Direction: o.Direction, Via: "channels",
		Size: o.Size, Burst: o.Burst, Rate: o.Rate, Seconds: o.Duration.Seconds()}
	if o.ToRelay {
		load.To = "relay"
	}
	if o.Send {
		load.Via = "send"
	}
	r.Load = load
	r.opened(o.Clients, took, o.PID, idle, ready)
}

// opened says what it took to open so many.
func (r *Report) opened(n int, took time.Duration, pid int, idle, ready usage) {
	r.SetUp = SetUp{Opened: n, Seconds: took.Seconds(), PerSecond: float64(n) / took.Seconds()}
	if pid == 0 {
		return
	}
	used := ready.minus(idle)
	if all := used.user + used.system; all >= fewTicks {
		cpu := micros(all) / float64(n)
		r.SetUp.CPU = &cpu
	}
	const few = 200 // less grows by what the process takes for other purposes
	if n >= few && used.resident > 0 {
		memory := used.resident / int64(n)
		r.SetUp.Memory = &memory
	}
	r.Process = &Process{PID: pid, Name: nameOf(pid), Resident: ready.resident}
}

// curve are the parts of packets that the plot of latencies shows.
func curve() []float64 {
	return []float64{0, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.98, 0.99, 0.995, 0.998, 0.999, 0.9995, 0.9998, 0.9999}
}

func (r *Report) measured(run *run, p *pass, server, self usage) {
	seconds := p.duration.Seconds()
	r.seconds = seconds
	var received int64
	for way, d := range p.ways {
		w := run.meters[way].way(d, p)
		r.Ways = append(r.Ways, w)
		received += w.Received
		if asked := float64(p.rate) * seconds; float64(w.Sent) < 0.97*asked {
			r.warn("%s: only %d of %.0f %ss could be sent in time: the generator or a connection was too slow for "+
				"--rate %d", d, w.Sent, asked, r.Load.words().Sent, p.rate)
		}
	}
	r.Control = run.meters[control].way("past it", p)
	r.Strange, r.Generator = run.strange.Load(), (self.user+self.system).Seconds()/seconds
	if r.Process == nil {
		return
	}
	if received > 0 {
		r.Process.User = micros(server.user) / float64(received)
		r.Process.System = micros(server.system) / float64(received)
	}
	r.Process.Cores = (server.user + server.system).Seconds() / seconds
	if server.user+server.system < fewTicks {
		r.warn("the server took too little CPU time to tell how much for each: the system counts hundredths of a " +
			"second; raise --rate or --duration")
	}
}

func (r *Report) warn(format string, args ...any) {
	r.Warnings = append(r.Warnings, fmt.Sprintf(format, args...))
}

// way is what the meter has counted.
func (m *meter) way(d Direction, p *pass) Way {
	var t tally
	m.latency.read(&t)
	w := Way{Direction: d, Sent: m.sent.Load(), Received: m.received.Load(),
		Max: micros(time.Duration(m.latency.max.Load()))}
	w.Lost = max(w.Sent-w.Received, 0)
	if w.Sent > 0 {
		w.LossPart = float64(w.Lost) / float64(w.Sent)
	}
	w.PerSecond = float64(w.Received) / p.duration.Seconds()
	w.Mbits = w.PerSecond * float64(p.size) * 8 / 1e6
	q := t.quantiles(0.5, 0.9, 0.99, 0.999)
	most := func(d time.Duration) float64 { return min(micros(d), w.Max) } // a bucket may end above it
	w.P50, w.P90, w.P99, w.P999 = most(q[0]), most(q[1]), most(q[2]), most(q[3])
	parts := curve()
	for i, latency := range t.quantiles(parts...) {
		w.Curve = append(w.Curve, Point{parts[i], most(latency)})
	}
	return w
}

// Text writes the report as a table.
func (r *Report) Text(out io.Writer) error {
	var text strings.Builder
	fmt.Fprintf(&text, "%s\n", r.Load)
	named := r.Load.words()
	fmt.Fprintf(&text, "set-up: %d %s%s in %.2f s, %.0f a second", r.SetUp.Opened, named.Opened, named.With,
		r.SetUp.Seconds, r.SetUp.PerSecond)
	if r.SetUp.CPU != nil {
		fmt.Fprintf(&text, "; each %.0f us of CPU", *r.SetUp.CPU)
	}
	if r.SetUp.Memory != nil {
		fmt.Fprintf(&text, "; each holds %.1f KiB of memory", float64(*r.SetUp.Memory)/1024)
	}
	text.WriteString("\n\n")
	table := tabwriter.NewWriter(&text, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprint(table, "\treceived/s\tMbit/s\tlost\tlatency p50\tp99\tp99.9\tmax\t\n")
	for _, w := range r.Ways {
		fmt.Fprintf(table, "%s\t%.0f\t%.1f\t%s\t%s\t%s\t%s\t%s\t\n", w.Direction, w.PerSecond, w.Mbits,
			percent(w.LossPart), latency(w.P50), latency(w.P99), latency(w.P999), latency(w.Max))
	}
	fmt.Fprintf(table, "%s\t\t\t%s\t%s\t%s\t%s\t%s\t\n", r.Control.Direction, percent(r.Control.LossPart),
		latency(r.Control.P50), latency(r.Control.P99), latency(r.Control.P999), latency(r.Control.Max))
	if err := table.Flush(); err != nil {
		return err
	}
	text.WriteByte('\n')
	if p := r.Process; p != nil {
		fmt.Fprintf(&text, "%s (%d): %.2f us of CPU for each %s received, %.2f user and %.2f system; %.2f cores; "+
			"%.1f MiB\n", term.Text(p.Name), p.PID, p.User+p.System, named.Sent, p.User, p.System, p.Cores,
			float64(p.Resident)/(1<<20))
	}
	fmt.Fprintf(&text, "the generator: %.2f cores\n", r.Generator)
	for _, w := range r.Warnings {
		fmt.Fprintf(&text, "warning: %s\n", w)
	}
	_, err := io.WriteString(out, text.String())
	return err
}

// String says it in words.
func (l Load) String() string {
	what := map[Direction]string{Up: "client to peer", Down: "peer to client", Both: "client to peer and back"}
	if l.To == "relay" {
		what = map[Direction]string{Up: "relay to relay", Down: "relay to relay", Both: "relay to relay, both ways"}
	}
	rate := "as fast as possible"
	if l.Rate > 0 {
		rate = fmt.Sprintf("%d a second", l.Rate)
		if l.Direction == Both {
			rate += " each way"
		}
	}
	packets := fmt.Sprintf("packets of %d bytes", l.Size)
	if l.Burst > 1 {
		packets = fmt.Sprintf("bursts of %d x %d bytes", l.Burst, l.Size)
	}
	return fmt.Sprintf("%s: %s over %s, %s, %d clients, %s, %.4g s", l.Server, what[l.Direction], l.Via, packets,
		l.Clients, rate, l.Seconds)
}

func (l Load) words() words {
	with := map[string]string{"channels": " with a channel", "send": " with a permission"}
	return words{"packet", "allocations", with[l.Via]}
}

func percent(part float64) string {
	if part == 0 {
		return "0 %"
	}
	return fmt.Sprintf("%.3g %%", 100*part)
}

// latency writes microseconds in a unit that fits.
func latency(us float64) string {
	if us < 1000 {
		return fmt.Sprintf("%.0f us", us)
	}
	return fmt.Sprintf("%.3g ms", us/1000)
}
