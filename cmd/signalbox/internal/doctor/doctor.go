// Package doctor explains why calls don't connect, and what to do.
//
// Client asks as any caller would: HTTP, the signaling protocol, and STUN and TURN on every address
// that the box hands out. Host also examines this machine and the configuration. Each question is a
// Check. A check ends by itself, within Options.Timeout or a small multiple of it, and all checks
// of a box end within four times that, whatever it does not answer.
package doctor

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	"signalbox/internal/term"
	"signalbox/internal/trouble"
)

// Verdict is the outcome of a check.
type Verdict string

// The verdicts. Skipped means that doctor can't tell from here; it does not count as a failure.
const (
	OK      Verdict = "ok"
	Warning Verdict = "warning"
	Failed  Verdict = "failed"
	Skipped Verdict = "skipped"
)

// Check is one question and its answer.
type Check struct {
	Name    string  `json:"name"`
	Verdict Verdict `json:"verdict"`
	Detail  string  `json:"detail"`
	// Code is the fault that a warning or a failure names, of the table in package trouble.
	Code trouble.Code `json:"code,omitempty"`
	Fix  string       `json:"fix,omitempty"` // what to do about it
	MS   float64      `json:"ms"`            // how long it took, in milliseconds
}

// Report is the outcome of all checks.
type Report struct {
	Checks   []Check `json:"checks"`
	Failed   int     `json:"failed"`
	Warnings int     `json:"warnings"`
	Verdict  string  `json:"verdict"` // a sentence
}

// Doctor collects checks and reports each when it ends.
type Doctor struct {
	say    func(Check)
	report Report

	local   bool // Host has examined this machine
	shut    bool // a box can't read or write what it must
	asked   bool // Client has asked a box
	reached bool // a signalbox has answered
	unsure  bool // its certificate is not trusted, so the token was not sent
	meet    bool // two sessions have met in a room
	relays  bool // data came through a relay
	outside bool // the box has an outside address that this machine can't reach
	blocked bool // relay ports can't be reached

	astray trouble.Code // the fault of the box's name, if it does not lead here
}

// New makes a Doctor that calls say with each check, in order. say may be nil.
func New(say func(Check)) *Doctor {
	if say == nil {
		say = func(Check) {}
	}
	return &Doctor{say: say, report: Report{Checks: []Check{}}}
}

// Report sums up.
func (d *Doctor) Report() Report {
	r := d.report
	switch {
	case d.shut:
		r.Verdict = "This machine is not ready: signalbox does not start, or not again, until access is given."
		return r
	case !d.asked && r.Failed > 0:
		r.Verdict = "This machine is not ready: fix what failed, then run doctor again."
	case !d.asked && r.Warnings > 0:
		r.Verdict = "signalbox can start here: see the warnings first, then run doctor again for the rest."
	case !d.asked:
		r.Verdict = "This machine is ready: start signalbox, then run doctor again for the rest."
	case !d.reached:
		r.Verdict = "The box can't be reached, so nothing else could be checked."
	case d.unsure:
		r.Verdict = "The certificate is not trusted, so nothing else could be checked: see what failed."
	case !d.meet:
		r.Verdict = "No call can start: signaling does not work."
	case !d.relays && d.outside:
		r.Verdict = "Calls start. Whether the relay works shows from another network only: run signalbox doctor URL " +
			"there."
		return r
	case !d.relays:
		r.Verdict = "Calls start, but no relay works: callers behind a strict NAT or firewall do not connect."
	case d.blocked:
		r.Verdict = "The relay works, but its ports are closed to the outside: many relayed calls fail."
	case r.Failed > 0:
		r.Verdict = "Calls connect from here, but not in every way: see what failed."
	case r.Warnings > 0:
		r.Verdict = "Calls connect from here, also through the relay. See the warnings."
	default:
		r.Verdict = "Everything works: calls connect from here, also through the relay."
	}
	if d.local && d.meet {
		r.Verdict += " This was tested from this machine. What a firewall does shows from another network only: run " +
			"signalbox doctor URL there."
	}
	return r
}

// add records a check that has ended.
func (d *Doctor) add(c Check) Verdict {
	c.Name, c.Detail, c.Fix = term.Text(c.Name), term.Text(c.Detail), term.Text(c.Fix)
	c.MS = math.Round(c.MS*100) / 100
	switch c.Verdict {
	case Failed:
		d.report.Failed++
	case Warning:
		d.report.Warnings++
	}
	d.report.Checks = append(d.report.Checks, c)
	d.say(c)
	return c.Verdict
}

// check runs one check, unless ctx is done.
func (d *Doctor) check(ctx context.Context, name string, timeout time.Duration,
	run func(context.Context) Check) Verdict {
	if ctx.Err() != nil {
		return Skipped
	}
	c := timed(ctx, name, timeout, run)
	if interrupted(ctx) {
		return Skipped // it was cut short, and knows nothing
	}
	return d.add(c)
}

// errTooSlow ends the context of all checks of a box.
var errTooSlow = errors.New("the checks take too long in all")

// interrupted reports whether ctx is done, and not by errTooSlow.
func interrupted(ctx context.Context) bool {
	return ctx.Err() != nil && !errors.Is(context.Cause(ctx), errTooSlow)
}

func timed(ctx context.Context, name string, timeout time.Duration, run func(context.Context) Check) Check {
	within, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	start := time.Now()
	c := run(within)
	if c.Verdict != OK && errors.Is(context.Cause(ctx), errTooSlow) {
		c = skipped("it had no time left, and knows nothing")
	}
	c.Name, c.MS = name, milliseconds(time.Since(start))
	return c
}

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// ms writes a duration with the digits that matter.
func ms(d time.Duration) string {
	switch v := milliseconds(d); {
	case v < 1:
		return fmt.Sprintf("%.2f ms", v)
	case v < 10:
		return fmt.Sprintf("%.1f ms", v)
	case v < 10_000:
		return fmt.Sprintf("%.0f ms", v)
	}
	return fmt.Sprintf("%.0f s", d.Seconds())
}

func ok(format string, args ...any) Check {
	return Check{Verdict: OK, Detail: fmt.Sprintf(format, args...)}
}

func skipped(format string, args ...any) Check {
	return Check{Verdict: Skipped, Detail: fmt.Sprintf(format, args...)}
}

func warning(code trouble.Code, fix, format string, args ...any) Check {
	return Check{Verdict: Warning, Code: code, Detail: fmt.Sprintf(format, args...), Fix: cmp.Or(fix, fixOf(code))}
}

// failed needs no fix if that of the table says it all.
func failed(code trouble.Code, fix, format string, args ...any) Check {
	return Check{Verdict: Failed, Code: code, Detail: fmt.Sprintf(format, args...), Fix: cmp.Or(fix, fixOf(code))}
}
