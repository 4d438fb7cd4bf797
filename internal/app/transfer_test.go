package app

import (
	"context"
	"log/slog"
	"os"
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
	keepTransfers(ended(t), dir, &counted{sums: slices.Clone(want), more: 1}, false, slog.New(slog.DiscardHandler))
	want[0].Bytes++
	if got, unread := readTransfers(dir, slog.New(slog.DiscardHandler)); unread || !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}

// ended is the context of a process that ends.
func ended(t *testing.T) context.Context {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	return ctx
}

// counted is a relay that sends more, in the first month, each time before it is asked again.
type counted struct {
	sums  []turnsvc.Transfer
	more  int64
	asked bool
}

func (c *counted) Transfers() []turnsvc.Transfer {
	if c.asked {
		c.sums[0].Bytes += c.more
	}
	c.asked = true
	return slices.Clone(c.sums)
}

func (c *counted) AddTransfers(earlier []turnsvc.Transfer) {
	for _, t := range earlier {
		if t.Month != c.sums[0].Month {
			c.sums = append(c.sums, t)
		} else {
			c.sums[0].Bytes += t.Bytes
		}
	}
}

// A file that can't be read for a while, as when too many files are open, is not replaced by a
// count that began at 0: once it can be read, its counts are added, and once only.
func TestAttackF10AnUnreadCountIsNotLost(t *testing.T) {
	t.Parallel()
	dir, err := state.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	good := []byte(`{"month":"2026-11","bytes":500,"earlier":[{"month":"2026-10","bytes":9}]}`)
	// A directory can't be read, for root neither.
	if err := os.Mkdir(dir.Path(transferFile), 0o700); err != nil {
		t.Fatal(err)
	}
	var log testkit.Log
	if got, unread := readTransfers(dir, log.Logger()); got != nil || !unread {
		t.Fatalf("%v, unread %v", got, unread)
	}
	relay := &counted{sums: []turnsvc.Transfer{{Month: "2026-11"}}, more: 7}
	keepTransfers(ended(t), dir, relay, true, log.Logger())
	if n := log.Count("can't keep"); n != 0 {
		t.Errorf("it tried to replace the file %d times", n)
	}
	if err := os.Remove(dir.Path(transferFile)); err != nil {
		t.Fatal(err)
	}
	if err := dir.Write(transferFile, good); err != nil {
		t.Fatal(err)
	}
	keepTransfers(ended(t), dir, relay, true, log.Logger())
	got, _ := readTransfers(dir, log.Logger())
	want := []turnsvc.Transfer{{Month: "2026-11", Bytes: 500 + 2*7}, {Month: "2026-10", Bytes: 9}}
	if !slices.Equal(got, want) {
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
	} {
		if err := dir.Write(transferFile, []byte(text)); err != nil {
			t.Fatal(err)
		}
		var log testkit.Log
		got, unread := readTransfers(dir, log.Logger())
		if unread || !slices.Equal(got, want) {
			t.Errorf("%s: %v, want %v", text, got, want)
		}
		if n := log.Count("the count starts at 0"); (n == 1) != (want == nil) {
			t.Errorf("%s: it is said %d times", text, n)
		}
	}
}

// What is wrong in the file is left out and said, and the rest counts.
func TestAttackF10OneBadTransferSpoilsNoOther(t *testing.T) {
	t.Parallel()
	dir, err := state.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	november := turnsvc.Transfer{Month: "2026-11", Bytes: 7}
	for text, want := range map[string][]turnsvc.Transfer{
		`{"month":"2026-11","bytes":7,"earlier":[{"month":"2026-10","bytes":-9}]}`: {november},
		`{"month":"2026-11","bytes":7,"earlier":[{"month":"2026-10","bytes":-9},{"month":"2026-09","bytes":2}]}`: {
			november, {Month: "2026-09", Bytes: 2},
		},
		`{"month":"soon","bytes":7,"earlier":[{"month":"2026-11","bytes":7}]}`: {november},
		`{"month":"2026-11","bytes":7,"earlier":[{"month":10,"bytes":9},5]}`:   {november},
		`{"month":"2026-11","bytes":7,"earlier":"none"}`:                       {november},
	} {
		if err := dir.Write(transferFile, []byte(text)); err != nil {
			t.Fatal(err)
		}
		var log testkit.Log
		if got, unread := readTransfers(dir, log.Logger()); unread || !slices.Equal(got, want) {
			t.Errorf("%s: %v, want %v", text, got, want)
		}
		if n := log.Count("the rest counts"); n != 1 {
			t.Errorf("%s: it is said %d times", text, n)
		}
	}
}
