package app

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"slices"
	"time"

	"signalbox/internal/state"
	"signalbox/turnsvc"
)

// The count of what the relay has sent this month outlives the process, for the budget in
// turn.limits.total_per_month. Those of some months before outlive it, too: while a clock is wrong,
// as it may be at boot, the right month's is one of them.

const (
	transferFile     = "transfer.json"
	transferInterval = time.Minute
)

// transfers is what the file holds: this month's count at the top.
type transfers struct {
	turnsvc.Transfer
	Earlier []turnsvc.Transfer `json:"earlier,omitempty"`
}

// readTransfers returns what earlier processes have relayed, this month and in some before. What is
// wrong in the file is logged and left out: it must not keep calls from connecting. unread tells
// that the file may hold more, but can't be read at the moment, for example since too many files
// are open: nothing may replace it.
func readTransfers(dir *state.Dir, log *slog.Logger) (all []turnsvc.Transfer, unread bool) {
	text, err := dir.Read(transferFile)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, false
	case err != nil:
		log.Warn("can't read this month's transfer: until that works, the count lacks it, and the file stays as it is",
			"err", err)
		return nil, true
	}
	var kept transfers
	err = json.Unmarshal(text, &kept) // it reads on after a value of a wrong type
	for _, t := range append([]turnsvc.Transfer{kept.Transfer}, kept.Earlier...) {
		if _, wrong := time.Parse("2006-01", t.Month); wrong != nil || t.Bytes < 0 {
			err = errors.Join(err, fmt.Errorf("state: %s: %d bytes in the month %q", transferFile, t.Bytes, t.Month))
			continue
		}
		all = append(all, t)
	}
	switch {
	case len(all) == 0:
		log.Warn("can't read this month's transfer: the count starts at 0", "err", err)
	case err != nil:
		log.Warn("can't read a part of the transfer that was kept: the rest counts", "err", err)
	}
	return all, false
}

// counter is who counts what is relayed: a turnsvc.Server.
type counter interface {
	Transfers() []turnsvc.Transfer
	AddTransfers(earlier []turnsvc.Transfer)
}

// keepTransfers writes the counts once a minute if they have changed, and at the end. The current
// month's comes first. As long as the file of an earlier process is unread, it reads that first.
func keepTransfers(ctx context.Context, dir *state.Dir, relay counter, unread bool, log *slog.Logger) {
	tick := time.NewTicker(transferInterval)
	defer tick.Stop()
	written := relay.Transfers()
	for over := false; !over; {
		select {
		case <-tick.C:
		case <-ctx.Done():
			over = true
		}
		if unread {
			var earlier []turnsvc.Transfer
			if earlier, unread = readTransfers(dir, log); unread {
				continue
			}
			relay.AddTransfers(earlier)
		}
		now := relay.Transfers()
		if slices.Equal(now, written) {
			continue
		}
		text, err := json.Marshal(transfers{now[0], now[1:]})
		if err == nil {
			err = dir.Write(transferFile, append(text, '\n'))
		}
		if err != nil {
			log.Warn("can't keep this month's transfer", "err", err)
			continue
		}
		written = now
	}
}
