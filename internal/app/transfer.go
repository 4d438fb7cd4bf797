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

// What was relayed this month outlives the process, for the budget in turn.limits.total_per_month.

const (
	transferFile     = "transfer.json"
	transferInterval = time.Minute
)

// readTransfer returns what earlier processes have relayed. An unreadable file is said and counts as
// nothing: it must not keep calls from connecting.
func readTransfer(dir *state.Dir, log *slog.Logger) (t turnsvc.Transfer) {
	text, err := dir.Read(transferFile)
	if err == nil {
		err = json.Unmarshal(text, &t)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		log.Warn("read what was relayed this month: it counts as nothing", "err", err)
		return turnsvc.Transfer{}
	}
	return t
}

// keepTransfer writes the count down once a minute, when it has changed, and at the end.
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
			log.Warn("keep what was relayed this month", "err", err)
			continue
		}
		written = now
	}
}
