//go:build linux

// Command bench compares the box with coturn, plain pion/turn and Socket.IO in one run:
//
//	go run ./scripts/bench [-rounds 7] [-duration 3s] [-only REGEXP] [-peers N] [-raw FILE]
//
// For Socket.IO it takes node, and npm's server: npm ci in scripts/lab/browser.
//
// Server and load are hosts of their own, in network namespaces joined by a veth pair, each on a
// core of its own. The servers take turns within each round, and the first round does not count.
// COTURN names another turnserver than the one on the path, with flags, if any. It takes root.
//
// It prints ratios: the median of the rounds, and the least and the greatest.
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"syscall"
	"time"
)

func main() {
	if len(os.Args) == 3 && os.Args[1] == mergeCommand {
		exit(mergePackets(os.Args[2]))
	}
	runtime.LockOSThread() // children die with the thread that has started them (Pdeathsig)
	var p plan
	flag.IntVar(&p.rounds, "rounds", 7, "how often each server is measured; the first round does not count")
	flag.DurationVar(&p.duration, "duration", 3*time.Second, "how long each time")
	only := flag.String("only", "", "only the work whose name matches this `regexp`")
	flag.IntVar(&p.peers, "peers", 0, "as bench turn has it")
	raw := flag.String("raw", "", "append each run's JSON to this `file`")
	flag.Parse()
	var err error
	if p.only, err = regexp.Compile(*only); err != nil || p.rounds < 2 || flag.NArg() > 0 {
		fmt.Fprintln(os.Stderr, "bench: want two rounds at least, and a regular expression for -only:", err)
		os.Exit(2)
	}
	p.raw = io.Discard
	if *raw != "" {
		file, err := os.OpenFile(*raw, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o644)
		if err != nil {
			exit(err)
		}
		p.raw = file
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	exit(p.run(ctx))
}

func exit(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
	os.Exit(0)
}

// plan is what is measured.
type plan struct {
	rounds   int
	duration time.Duration
	only     *regexp.Regexp
	peers    int // of bench turn
	raw      io.Writer
}

// report is what bench turn and bench signal print, as far as it is used here.
type report struct {
	SetUp struct {
		PerSecond float64
		CPU       *float64
		Memory    *float64
	}
	Ways []struct {
		PerSecond, LossPart, P50, P99 float64
	}
	Control struct{ P99 float64 } // of packets past the server
	Process struct{ User, System float64 }
}

func (p *plan) run(ctx context.Context) (err error) {
	if os.Geteuid() != 0 {
		return errors.New("network namespaces take root")
	}
	r, err := raise()
	if r != nil {
		defer func() { err = errors.Join(err, r.lower()) }()
	}
	if err != nil {
		return err
	}
	for _, c := range comparisons(p.peers) {
		if err := p.compare(ctx, r, c); err != nil {
			return err
		}
	}
	return nil
}

// comparison is works that the same servers do.
type comparison struct {
	command string // of signalbox bench
	servers []*server
	works   []work
}

// compare has the servers do each work that was asked for, and writes the table.
func (p *plan) compare(ctx context.Context, r *rig, c comparison) error {
	works := slices.DeleteFunc(c.works, func(w work) bool { return !p.only.MatchString(w.name) })
	if len(works) == 0 {
		return nil
	}
	defer func() {
		for _, s := range c.servers {
			s.stop()
		}
	}()
	for _, s := range c.servers {
		if err := s.start(r); err != nil {
			return err
		}
	}
	var rows []row
	for _, w := range works {
		row := row{work: w, figures: map[string][]figures{}}
		for round := range p.rounds {
			for i := range c.servers {
				s := c.servers[(i+round)%len(c.servers)]
				p.say("%s: round %d of %d, %s", w.name, round+1, p.rounds, s.name)
				rep, err := p.measure(ctx, r, c.command, w, s)
				if err != nil {
					return fmt.Errorf("%s, %s: %w", w.name, s.name, err)
				}
				if round > 0 {
					row.figures[s.name] = append(row.figures[s.name], w.figures(rep))
				}
			}
		}
		rows = append(rows, row)
	}
	p.say("")
	return table(os.Stdout, c.servers, rows)
}

// say replaces the line that says how far the run is. Only a terminal has one.
func (p *plan) say(format string, args ...any) {
	if info, err := os.Stderr.Stat(); err == nil && info.Mode()&os.ModeCharDevice != 0 {
		fmt.Fprintf(os.Stderr, "\r\x1b[K"+format, args...)
	}
}

// measure has one server do one work.
func (p *plan) measure(ctx context.Context, r *rig, command string, w work, s *server) (report, error) {
	var rep report
	if w.fresh {
		s.stop()
		if err := s.start(r); err != nil {
			return rep, err
		}
	}
	port := s.port
	if w.overTLS() {
		port = s.tls
	}
	args := append([]string{filepath.Join(r.dir, "signalbox"), "bench", command, "--json", "--server",
		fmt.Sprint(serverIP, ":", port), "--pid", strconv.Itoa(s.cmd.Process.Pid), "--duration", p.duration.String()},
		s.flags...)
	args = append(args, w.flags...)
	cmd := r.in(ctx, r.load, args...)
	var fault bytes.Buffer
	cmd.Stderr = &fault
	out, err := cmd.Output()
	if err != nil {
		return rep, fmt.Errorf("%w\n%s", err, &fault)
	}
	line, err := json.Marshal(map[string]any{"work": w.name, "server": s.name, "report": json.RawMessage(out)})
	if err != nil {
		return rep, err
	}
	if _, err := p.raw.Write(append(line, '\n')); err != nil {
		return rep, err
	}
	return rep, json.Unmarshal(out, &rep)
}
