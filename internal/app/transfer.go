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

// readTransfers returns what earlier processes have relayed, this month and in some before. If the
// file is unreadable, it logs that and starts at 0: the file must not keep calls from connecting.
func readTransfers(dir *state.Dir, log *slog.Logger) []turnsvc.Transfer {
	text, err := dir.Read(transferFile)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	var kept transfers
	if err == nil {
		err = json.Unmarshal(text, &kept)
	}
	all := append([]turnsvc.Transfer{kept.Transfer}, kept.Earlier...)
	for _, t := range all {
		if _, wrong := time.Parse("2006-01", t.Month); err == nil && (wrong != nil || t.Bytes < 0) {
			err = fmt.Errorf("state: %s: %d bytes in the month %q", transferFile, t.Bytes, t.Month)
		}
	}
	if err != nil {
		log.Warn("can't read this month's transfer: the count starts at 0", "err", err)
		return nil
	}
	return all
}

// keepTransfers writes the counts once a minute if they have changed, and at the end. The current
// month's comes first.
func keepTransfers(ctx context.Context, dir *state.Dir, sums func() []turnsvc.Transfer, log *slog.Logger) {
	tick := time.NewTicker(transferInterval)
	defer tick.Stop()
	written := sums()
	for over := false; !over; {
		select {
		case <-tick.C:
		case <-ctx.Done():
			over = true
		}
		now := sums()
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
