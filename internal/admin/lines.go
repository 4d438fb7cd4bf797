package admin

import (
	"bytes"
	"cmp"
	"context"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync"

	"signalbox/internal/admission"
	"signalbox/internal/status"
)

// Line is a line of the log.
type Line struct {
	N     uint64 `json:"n"`  // 1, 2, 3 ... since the start
	At    int64  `json:"at"` // Unix milliseconds
	Level string `json:"level"`
	Text  string `json:"text"`
}

// Log has the last lines, the oldest first.
type Log struct {
	Lines []Line `json:"lines"`
}

const (
	maxLines = 200  // of warnings, and of refusals
	maxLine  = 1000 // bytes
)

// refusals are the messages that tell of strangers who were refused, at any level. They have places
// of their own: however many come, the warnings stay.
var refusals = []string{status.RequestRefused, status.RequestsRefused, admission.EntryRefused, loginRefused}

const loginRefused = "admin login refused"

// Lines keeps the last lines of the log that warn of something, and the last ones that tell of a
// refusal. Nil keeps none.
type Lines struct {
	mu                sync.Mutex
	text              bytes.Buffer // of one line
	n                 uint64
	warnings, refused []Line
}

// Tee returns a handler that hands everything to next, and keeps what Lines is for, at any log
// level.
func (l *Lines) Tee(next slog.Handler) slog.Handler {
	text := slog.NewTextHandler(&l.text, &slog.HandlerOptions{
		Level: slog.LevelDebug,
		ReplaceAttr: func(groups []string, a slog.Attr) slog.Attr {
			if len(groups) == 0 && (a.Key == slog.TimeKey || a.Key == slog.LevelKey) {
				return slog.Attr{}
			}
			return a
		},
	})
	return tee{lines: l, next: next, text: text}
}

type tee struct {
	lines      *Lines
	next, text slog.Handler
}

// Enabled implements slog.Handler. Refusals are told at the level info.
func (t tee) Enabled(ctx context.Context, level slog.Level) bool {
	return level >= slog.LevelInfo || t.next.Enabled(ctx, level)
}

// Handle implements slog.Handler.
func (t tee) Handle(ctx context.Context, r slog.Record) error {
	switch {
	case slices.Contains(refusals, r.Message):
		t.lines.add(&t.lines.refused, ctx, r, t.text)
	case r.Level >= slog.LevelWarn:
		t.lines.add(&t.lines.warnings, ctx, r, t.text)
	}
	if !t.next.Enabled(ctx, r.Level) {
		return nil
	}
	return t.next.Handle(ctx, r)
}

// WithAttrs implements slog.Handler.
func (t tee) WithAttrs(attrs []slog.Attr) slog.Handler {
	t.next, t.text = t.next.WithAttrs(attrs), t.text.WithAttrs(attrs)
	return t
}

// WithGroup implements slog.Handler.
func (t tee) WithGroup(name string) slog.Handler {
	t.next, t.text = t.next.WithGroup(name), t.text.WithGroup(name)
	return t
}

// add adds a line to one of the two lists.
func (l *Lines) add(to *[]Line, ctx context.Context, r slog.Record, text slog.Handler) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.text.Reset()
	if text.Handle(ctx, r) != nil { // never: it writes to memory
		return
	}
	line := bytes.TrimSpace(l.text.Bytes())
	if len(line) > maxLine {
		line = append(bytes.ToValidUTF8(line[:maxLine], nil), "…"...)
	}
	if len(*to) == maxLines {
		*to = append((*to)[:0], (*to)[1:]...)
	}
	l.n++
	*to = append(*to, Line{l.n, r.Time.UnixMilli(), strings.ToLower(r.Level.String()), string(line)})
}

// last is the number of the last line; 0: there was none.
func (l *Lines) last() uint64 {
	if l == nil {
		return 0
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.n
}

// after returns the lines that follow on that one.
func (l *Lines) after(n uint64) []Line {
	out := []Line{}
	if l == nil {
		return out
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, line := range slices.Concat(l.warnings, l.refused) {
		if line.N > n {
			out = append(out, line)
		}
	}
	slices.SortFunc(out, func(a, b Line) int { return cmp.Compare(a.N, b.N) })
	return out
}

func (a *API) serveLog(w http.ResponseWriter, r *http.Request) {
	goingOn(w, r, func(after int64) any { return Log{a.o.Lines.after(uint64(after))} })
}
