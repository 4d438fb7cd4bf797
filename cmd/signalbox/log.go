package main

import (
	"context"
	"io"
	"log/slog"
	"sync/atomic"

	"signalbox/internal/config"
	"signalbox/internal/term"
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

// logger writes to out as the configuration says, and then as words does.
func logger(cfg config.Config, out io.Writer) (log *slog.Logger, words *logWords) {
	words = &logWords{}
	words.apply(cfg)
	options := &slog.HandlerOptions{Level: &words.level}
	return slog.New(logHandler{
		words: words,
		text:  slog.NewTextHandler(term.Writer(out), options),
		json:  slog.NewJSONHandler(term.JSONWriter(out), options),
	}), words
}

// logHandler writes in either format. A logger may be older than the format that is in force, so
// each has both.
type logHandler struct {
	words      *logWords
	text, json slog.Handler
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
	return h.inForce().Handle(ctx, r)
}

// WithAttrs implements slog.Handler.
func (h logHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return logHandler{h.words, h.text.WithAttrs(attrs), h.json.WithAttrs(attrs)}
}

// WithGroup implements slog.Handler.
func (h logHandler) WithGroup(name string) slog.Handler {
	return logHandler{h.words, h.text.WithGroup(name), h.json.WithGroup(name)}
}
