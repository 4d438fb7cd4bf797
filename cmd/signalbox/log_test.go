package main

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
)

// `journalctl -p warning` shows warnings, and each line once with its time.
func TestJournalHasPriorities(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	lines := &journalLines{to: &out}
	options := &slog.HandlerOptions{Level: slog.LevelDebug, ReplaceAttr: withoutTime}
	for _, h := range []slog.Handler{slog.NewTextHandler(lines, options), slog.NewJSONHandler(lines, options)} {
		words := &logWords{}
		log := slog.New(logHandler{words: words, lines: lines, text: h, json: h}).With("part", "test")
		log.Debug("a")
		log.Info("b")
		log.Warn("c")
		log.Error("d", "err", errors.New("e"))
		log.Log(context.Background(), slog.LevelError+4, "f")
	}
	var got []string
	for line := range strings.Lines(out.String()) {
		got = append(got, line[:3])
		if strings.Contains(line, "time") {
			t.Errorf("a time of its own: %s", line)
		}
	}
	if want := "<7> <6> <4> <3> <3> <7> <6> <4> <3> <3>"; strings.Join(got, " ") != want {
		t.Errorf("the priorities are %v, want %s", got, want)
	}
}
