package signalbox

import (
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"time"

	"signalbox/turnsvc"
)

// What was relayed this month outlives the process, for the budget in turn.limits.total_per_month.

const (
	transferFile     = "transfer.json"
	transferInterval = time.Minute
)

// readTransfer returns what earlier processes have relayed. An unreadable file is said and counts
// as nothing: it must not keep calls from connecting.
func (a *App) readTransfer() (t turnsvc.Transfer) {
	text, err := a.state.read(transferFile)
	if err == nil {
		err = json.Unmarshal(text, &t)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		a.log.Warn("read what was relayed this month: it counts as nothing", "err", err)
		return turnsvc.Transfer{}
	}
	return t
}

// keepTransfer writes the count down once a minute, when it has changed, and at the end.
func (a *App) keepTransfer(ctx context.Context) {
	tick := time.NewTicker(transferInterval)
	defer tick.Stop()
	written := a.turn.Transfer()
	for over := false; !over; {
		select {
		case <-tick.C:
		case <-ctx.Done():
			over = true
		}
		now := a.turn.Transfer()
		if now == written {
			continue
		}
		text, err := json.Marshal(now)
		if err == nil {
			err = a.state.write(transferFile, append(text, '\n'))
		}
		if err != nil {
			a.log.Warn("keep what was relayed this month", "err", err)
			continue
		}
		written = now
	}
}
