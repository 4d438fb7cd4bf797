package app

import (
	"context"
	"log/slog"
	"slices"
	"testing"

	"signalbox/internal/state"
	"signalbox/internal/testkit"
	"signalbox/turnsvc"
)

// What a process has relayed is what the next one goes on from, of all months that it knows.
func TestTransfersOutliveTheProcess(t *testing.T) {
	t.Parallel()
	dir, err := state.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	want := []turnsvc.Transfer{{Month: "2026-11", Bytes: 500}, {Month: "1970-01", Bytes: 3}}
	calls := 0
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	keepTransfers(ctx, dir, func() []turnsvc.Transfer {
		calls++
		return want[:min(calls, len(want))] // there is more than at the start
	}, slog.New(slog.DiscardHandler))
	if got := readTransfers(dir, slog.New(slog.DiscardHandler)); !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}

func TestTransfersThatCannotBeRead(t *testing.T) {
	t.Parallel()
	dir, err := state.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	for text, want := range map[string][]turnsvc.Transfer{
		`{"month":"2026-11","bytes":7}`: {{Month: "2026-11", Bytes: 7}},
		`{"month":"2026-11","bytes":7,"earlier":[{"month":"2026-10","bytes":9}]}`: {
			{Month: "2026-11", Bytes: 7}, {Month: "2026-10", Bytes: 9},
		},
		"": nil, "{}": nil, `{"month":"2026-11"`: nil, `{"month":"2026-11","bytes":-7}`: nil,
		`{"month":"soon","bytes":7}`: nil,
		`{"month":"2026-11","bytes":7,"earlier":[{"month":"2026-10","bytes":-9}]}`: nil,
	} {
		if err := dir.Write(transferFile, []byte(text)); err != nil {
			t.Fatal(err)
		}
		var log testkit.Log
		got := readTransfers(dir, log.Logger())
		if !slices.Equal(got, want) {
			t.Errorf("%s: %v, want %v", text, got, want)
		}
		if n := log.Count("the count starts at 0"); (n == 1) != (want == nil) {
			t.Errorf("%s: it is said %d times", text, n)
		}
	}
}
