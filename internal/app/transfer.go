package app

import (
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"log/slog"
	"time"

	"signalbox/internal/state"
	"signalbox/turnsvc"
)

// The count of what the relay has sent this month outlives the process, for the budget in
// turn.limits.total_per_month.

const (
	transferFile     = "transfer.json"
	transferInterval = time.Minute
)

// readTransfer returns what earlier processes have relayed this month. If the file is unreadable,
// it logs that and starts at 0: the file must not keep calls from connecting.
func readTransfer(dir *state.Dir, log *slog.Logger) (t turnsvc.Transfer) {
	text, err := dir.Read(transferFile)
	if err == nil {
		err = json.Unmarshal(text, &t)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		log.Warn("can't read this month's transfer: the count starts at 0", "err", err)
		return turnsvc.Transfer{}
	}
	return t
}

// keepTransfer writes the count once a minute if it has changed, and at the end.
func keepTransfer(ctx context.Context, dir *state.Dir, transfer func() turnsvc.Transfer, log *slog.Logger) {
	tick := time.NewTicker(transferInterval)
	defer tick.Stop()
	written := transfer()
	for over := false; !over; {
		select {
		case <-tick.C:
		case <-ctx.Done():
			over = true
		}
		now := transfer()
		if now == written {
			continue
		}
		text, err := json.Marshal(now)
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
