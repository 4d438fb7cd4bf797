// Package notify tells the operator that something is wrong with the box, and that it is right
// again: by a POST to a URL, or to a command that gets the text of a mail.
//
// The POST is JSON:
//
//	{"state":"failing","box":"call.example.org","at":1767229200000,"text":"...",
//	 "faults":[{"code":"acme-failed","detail":"...","since":1767229200000,"what":"...",
//	  "fix":"..."}]}
//
// state is "failing", "recovered" or "test"; text says the same in words, and is what chat servers
// show. Any answer from 200 to 299 confirms it; otherwise the box sends it again, after 1 min, 2
// min and so on up to an hour. Redirects are not followed. The command gets a mail with a Subject
// on its standard input, and must end with 0 within 30 s.
//
// A change of what is wrong is told once, what stays wrong once a day, and the end of it, also over
// a restart: what was told stands in the state directory. Another URL or command, put in the place
// of one, is told at once what is wrong then, and else the end of what that one was told last: it
// is the same operator who reads it. Nothing waits for any of this.
package notify

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"signalbox/internal/state"
	"signalbox/internal/status"
	"signalbox/internal/term"
	"signalbox/internal/trouble"
)

// Options say how to tell. Both ways may be used. They may change while the box runs.
type Options struct {
	Webhook string   // a URL; empty: no POSTs
	Command []string // a program and its arguments; empty: none
	Box     string   // the box's name in what is told
}

// The states of a notice.
const (
	Failing   = "failing"
	Recovered = "recovered"
	Test      = "test"
)

// notice is what is told, and the body of a POST.
type notice struct {
	State  string  `json:"state"`
	Box    string  `json:"box"`
	At     int64   `json:"at"` // Unix milliseconds
	Text   string  `json:"text"`
	Faults []fault `json:"faults"`
}

type fault struct {
	status.Fault
	What string `json:"what"`
	Fix  string `json:"fix"`
}

const (
	remind     = 24 * time.Hour
	firstRetry = time.Minute // doubled with each failure
	lastRetry  = time.Hour
)

// Notifier tells.
type Notifier struct {
	log  *slog.Logger
	ways []*way
	book book

	mu      sync.Mutex
	inForce Options
	known   bool           // what is wrong: Tell was called
	faults  []status.Fault // what is wrong now
	counted status.Notices
}

// way is one of the ways to tell. Each has a loop of its own: one that fails is tried again without
// the other ones'.
type way struct {
	name    string                // what the book calls it
	changed chan struct{}         // has a token when there is something to look at
	to      func(*Options) string // where it leads; empty: it is off
	send    func(context.Context, *Options, *notice) error
	problem string // why the last attempt failed; guarded by Notifier.mu
}

// New makes a Notifier that keeps what it has told in dir; see Apply and Run.
func New(dir *state.Dir, log *slog.Logger) *Notifier {
	return &Notifier{log: log, ways: newWays(), book: book{dir: dir, log: log}}
}

func newWays() []*way {
	return []*way{
		{name: "webhook", changed: make(chan struct{}, 1), send: byWebhook,
			to: func(o *Options) string { return o.Webhook }},
		{name: "command", changed: make(chan struct{}, 1), send: byCommand,
			to: func(o *Options) string { return strings.Join(o.Command, "\x00") }},
	}
}

func (w *way) on(o *Options) bool { return w.to(o) != "" }

// Apply puts options into force.
func (n *Notifier) Apply(o Options) {
	n.mu.Lock()
	n.inForce = o
	n.mu.Unlock()
	n.poke()
}

// Tell notes what is wrong now. It does not wait.
func (n *Notifier) Tell(faults []status.Fault) {
	n.mu.Lock()
	n.known, n.faults = true, slices.Clone(faults)
	n.mu.Unlock()
	n.poke()
}

func (n *Notifier) poke() {
	for _, w := range n.ways {
		select {
		case w.changed <- struct{}{}:
		default:
		}
	}
}

// Status counts what was told.
func (n *Notifier) Status() status.Notices {
	n.mu.Lock()
	defer n.mu.Unlock()
	s := n.counted
	for _, w := range n.ways {
		s.On = s.On || w.on(&n.inForce)
		s.Problem = cmp.Or(s.Problem, w.problem)
	}
	return s
}

// Run tells, until ctx is done.
func (n *Notifier) Run(ctx context.Context) {
	n.book.open()
	var wg sync.WaitGroup
	for _, w := range n.ways {
		wg.Go(func() { n.run(ctx, w) })
	}
	wg.Wait()
}

func (n *Notifier) run(ctx context.Context, w *way) {
	told := n.book.of(w.name)
	failures, tried := 0, ""
	retry := time.NewTimer(0)
	defer retry.Stop()
	for {
		again := false
		select {
		case <-ctx.Done():
			return
		case <-w.changed:
		case <-retry.C:
			again = true
		}
		o, faults, known := n.now()
		if to := w.to(&o); to != tried {
			failures, tried = 0, to
		} else if failures > 0 && !again {
			continue // the timer is set
		}
		now, to := codes(faults), mark(tried)
		due := known && (!slices.Equal(now, told.Codes) || len(now) > 0 && (told.To != to || told.age() >= remind))
		if !w.on(&o) || !due {
			failures = 0
			n.note(w, nil, false)
			continue
		}
		state := Failing
		if len(now) == 0 {
			state = Recovered
		}
		err := w.send(ctx, &o, newNotice(&o, state, faults))
		n.note(w, err, true)
		if err == nil {
			told, failures = entry{Codes: now, At: time.Now().UnixMilli(), To: to}, 0
			n.book.note(w.name, told)
			continue
		}
		retry.Reset(min(firstRetry<<min(failures, 10), lastRetry))
		failures++
	}
}

// now is what is in force, and what is wrong, in an order of its own, if that is known yet.
func (n *Notifier) now() (o Options, faults []status.Fault, known bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	faults = slices.Clone(n.faults)
	slices.SortStableFunc(faults, func(a, b status.Fault) int {
		return strings.Compare(string(a.Code),
			string(b.Code))
	})
	return n.inForce, faults, n.known
}

// note counts what became of a notice, if there was one. The log hears of the first failure.
func (n *Notifier) note(w *way, err error, sent bool) {
	n.mu.Lock()
	before := w.problem
	w.problem = ""
	switch {
	case err != nil:
		n.counted.Failures++
		w.problem = err.Error()
	case sent:
		n.counted.Sent++
		n.counted.Last = time.Now().UnixMilli()
	}
	n.mu.Unlock()
	if err != nil && before == "" {
		n.log.Warn("the operator can't be told: it is tried again", "err", err)
	}
}

// SendTest sends a notice that says that it is a test, once.
func SendTest(ctx context.Context, o Options) error {
	if o.Webhook == "" && len(o.Command) == 0 {
		return errors.New("neither notify.webhook nor notify.command says how: see [notify] in the configuration")
	}
	var failed []error
	for _, w := range newWays() {
		if w.on(&o) {
			failed = append(failed, w.send(ctx, &o, newNotice(&o, Test, nil)))
		}
	}
	return errors.Join(failed...)
}

func newNotice(o *Options, state string, faults []status.Fault) *notice {
	n := &notice{State: state, Box: term.Text(o.Box), At: time.Now().UnixMilli(), Faults: []fault{}}
	var b strings.Builder
	b.WriteString(subject(n, len(faults)))
	for _, f := range faults {
		t, _ := trouble.Of(f.Code)
		f.Detail = term.Text(f.Detail)
		n.Faults = append(n.Faults, fault{f, t.EN.What, t.EN.Fix})
		fmt.Fprintf(&b, "\n\n%s (%s)\n%s\n%s", t.EN.What, f.Code, f.Detail, t.EN.Fix)
	}
	n.Text = b.String()
	return n
}

// subject is a notice in one line.
func subject(n *notice, faults int) string {
	switch {
	case n.State == Test:
		return "signalbox " + n.Box + ": this is a test"
	case n.State == Recovered:
		return "signalbox " + n.Box + ": all is well again"
	case faults == 1:
		return "signalbox " + n.Box + ": 1 fault"
	}
	return fmt.Sprintf("signalbox %s: %d faults", n.Box, faults)
}

// body is the notice as JSON.
func (n *notice) body() []byte {
	text, _ := json.Marshal(n) // texts and numbers always have JSON
	return text
}

func codes(faults []status.Fault) (out []trouble.Code) {
	for _, f := range faults {
		if !slices.Contains(out, f.Code) {
			out = append(out, f.Code)
		}
	}
	return out
}
