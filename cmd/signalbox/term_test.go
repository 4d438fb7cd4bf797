package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"unicode"

	"signalbox/internal/cert"
	"signalbox/internal/config"
	"signalbox/internal/status"
	"signalbox/internal/term"
	"signalbox/signal"
	"signalbox/turnsvc"
)

// hostile is a name that would clear the operator's terminal, begin a line of its own and turn the
// text behind it.
const hostile = "eve\x1b[2J\u009b1m\nroot\t\u202exy\x7f"

// wantPrintable fails if a terminal would do more than print the lines of text.
func wantPrintable(t *testing.T, what, text string, lines int) {
	t.Helper()
	if strings.ContainsFunc(text, func(r rune) bool { return !unicode.IsPrint(r) && r != '\n' && r != '\t' }) {
		t.Errorf("%s: %q", what, text)
	}
	if got := strings.Count(text, "\n"); got != lines {
		t.Errorf("%s has %d lines, want %d: %q", what, got, lines, text)
	}
}

// What strangers call themselves, and what a server at --url says, is printed and no more.
func TestAttackF10NamesFromOutsideInATerminal(t *testing.T) {
	t.Parallel()
	s := status.Status{
		Version: hostile, PublicIP: []string{hostile},
		Certificate: &cert.Status{Mode: hostile, Names: []string{hostile}, Problem: hostile},
		TURN: turnsvc.Snapshot{
			Transfer: turnsvc.Transfer{Month: hostile},
			Allocations: []turnsvc.Allocation{{ID: hostile, User: hostile, Class: hostile, Client: hostile,
				Transport: hostile, Relay: hostile, Permissions: []string{hostile}}},
		},
		Signal: signal.Snapshot{Rooms: []signal.RoomSnapshot{{
			Room: hostile, Members: []signal.MemberSnapshot{{ID: hostile, Name: hostile, User: hostile}},
		}}},
	}
	for name, c := range map[string]struct {
		print func(io.Writer, status.Status)
		lines int
	}{"status": {printStatus, 8}, "rooms": {printRooms, 2}, "allocations": {printAllocations, 2}} {
		var out bytes.Buffer
		c.print(&out, s)
		wantPrintable(t, name, out.String(), c.lines)
	}
}

// The same over the wire, with every form of output.
func TestAttackF10AServersWordsInATerminal(t *testing.T) {
	t.Parallel()
	refuse := false
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if refuse {
			w.WriteHeader(http.StatusBadRequest)
			fmt.Fprintf(w, `{"message":%q}`, "no\nsignalbox: all is well") //nolint:errcheck
			return
		}
		text, err := json.Marshal(map[string]any{"version": hostile, "turn": map[string]any{
			"allocations": []map[string]string{{"user": hostile}}}})
		if err != nil {
			t.Error(err)
		}
		w.Write(text) //nolint:errcheck
	}))
	t.Cleanup(server.Close)
	run := func(args ...string) (string, error) {
		root := command()
		var out bytes.Buffer
		root.SetOut(&out)
		root.SetErr(&out)
		root.SetArgs(append(args, "--url", server.URL, "--set", "admin.token=0123456789abcdef", "--state", t.TempDir()))
		err := root.Execute()
		return out.String(), err
	}
	for _, args := range [][]string{{"status", "--json"}, {"allocations", "--json"}, {"rooms", "--json"}} {
		out, err := run(args...)
		if err != nil {
			t.Fatal(err)
		}
		wantPrintable(t, strings.Join(args, " "), out, 1)
	}
	refuse = true
	for _, args := range [][]string{{"status"}, {"kick", "user:" + hostile}} {
		_, err := run(args...)
		if err == nil {
			t.Fatal("no error")
		}
		wantPrintable(t, args[0], err.Error(), 0)
	}
}

// The log prints, too, whatever its format.
func TestAttackF10TheLogInATerminal(t *testing.T) {
	t.Parallel()
	for _, format := range []string{"text", "json"} {
		var out bytes.Buffer
		var cfg config.Config
		cfg.Log.Level, cfg.Log.Format = "info", config.LogFormat(format)
		log, _, lines := logger(cfg, &out)
		log.Warn(hostile, "user", hostile, "err", os.ErrExist, "list", []string{hostile})
		lines.close(patience)
		wantPrintable(t, format, out.String(), 1)
	}
	if term.Text(hostile) == hostile {
		t.Error("the name is harmless")
	}
}
