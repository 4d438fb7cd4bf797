package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"signalbox/internal/config"
	"signalbox/internal/term"

	"github.com/coreos/go-systemd/v22/journal"
)

// logWords are log.level and log.format in force.
type logWords struct {
	level slog.LevelVar
	json  atomic.Bool
}

// apply puts those of a valid configuration into force, for loggers that exist, too.
func (w *logWords) apply(cfg config.Config) {
	var level slog.Level
	_ = level.UnmarshalText([]byte(cfg.Log.Level)) // it was validated
	w.level.Set(level)
	w.json.Store(cfg.Log.Format == "json")
}

// logger writes to out as the configuration says, and then as words does. Nobody who logs waits for
// out; lines must be closed at the end.
func logger(cfg config.Config, out io.Writer) (log *slog.Logger, words *logWords, lines *lineQueue) {
	words = &logWords{}
	words.apply(cfg)
	journal := toJournal(out)
	lines = newLineQueue(out, func(n uint64) []byte {
		var line bytes.Buffer
		r := slog.NewRecord(time.Now(), slog.LevelWarn, "lines of the log are lost: nobody read them in time", 0)
		r.AddAttrs(slog.Uint64("lines", n))
		_ = newLogHandler(words, &line, journal).Handle(context.Background(), r) // whatever log.level is
		return line.Bytes()
	})
	return slog.New(newLogHandler(words, lines, journal)), words, lines
}

// toJournal reports whether systemd's journal reads what is written there.
func toJournal(out io.Writer) bool {
	if out != io.Writer(os.Stderr) {
		return false
	}
	is, err := journal.StderrIsJournalStream()
	return err == nil && is
}

// withoutTime leaves out the time of a line, which the journal has.
func withoutTime(groups []string, a slog.Attr) slog.Attr {
	if len(groups) == 0 && a.Key == slog.TimeKey {
		return slog.Attr{}
	}
	return a
}

// journalLines puts before each line the priority by which `journalctl -p` selects (sd-daemon(3)).
type journalLines struct {
	to io.Writer

	mu       sync.Mutex // one line at a time
	priority journal.Priority
}

func (j *journalLines) Write(line []byte) (int, error) {
	if _, err := fmt.Fprintf(j.to, "<%d>%s", j.priority, line); err != nil {
		return 0, err
	}
	return len(line), nil
}

// handle has a handler write a line.
func (j *journalLines) handle(ctx context.Context, r slog.Record, h slog.Handler) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	switch {
	case r.Level >= slog.LevelError:
		j.priority = journal.PriErr
	case r.Level >= slog.LevelWarn:
		j.priority = journal.PriWarning
	case r.Level >= slog.LevelInfo:
		j.priority = journal.PriInfo
	default:
		j.priority = journal.PriDebug
	}
	return h.Handle(ctx, r)
}

// lastWords writes the error that ends the program.
func lastWords(err error) {
	text := "signalbox: " + term.Lines(err.Error())
	if toJournal(os.Stderr) {
		priority := fmt.Sprintf("<%d>", journal.PriErr)
		text = priority + strings.ReplaceAll(text, "\n", "\n"+priority)
	}
	out := newLineQueue(os.Stderr, func(uint64) []byte { return nil })
	fmt.Fprintln(out, text)
	out.close(farewell)
}

// logHandler writes in either format. A logger may be older than the format that is in force, so
// each has both.
type logHandler struct {
	words      *logWords
	lines      *journalLines // nil: no journal reads it
	text, json slog.Handler
}

func newLogHandler(words *logWords, out io.Writer, journal bool) logHandler {
	options := &slog.HandlerOptions{Level: &words.level}
	h := logHandler{words: words}
	if journal {
		h.lines = &journalLines{to: out}
		options.ReplaceAttr = withoutTime
		out = h.lines
	}
	h.text = slog.NewTextHandler(term.Writer(out), options)
	h.json = slog.NewJSONHandler(term.JSONWriter(out), options)
	return h
}

func (h logHandler) inForce() slog.Handler {
	if h.words.json.Load() {
		return h.json
	}
	return h.text
}

// Enabled implements slog.Handler.
func (h logHandler) Enabled(ctx context.Context, level slog.Level) bool {
	return h.inForce().Enabled(ctx, level)
}

// Handle implements slog.Handler.
func (h logHandler) Handle(ctx context.Context, r slog.Record) error {
	if h.lines != nil {
		return h.lines.handle(ctx, r, h.inForce())
	}
	return h.inForce().Handle(ctx, r)
}

// WithAttrs implements slog.Handler.
func (h logHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	h.text, h.json = h.text.WithAttrs(attrs), h.json.WithAttrs(attrs)
	return h
}

// WithGroup implements slog.Handler.
func (h logHandler) WithGroup(name string) slog.Handler {
	h.text, h.json = h.text.WithGroup(name), h.json.WithGroup(name)
	return h
}
