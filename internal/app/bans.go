package app

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"time"

	"signalbox/internal/source"
	"signalbox/internal/state"
)

// Bans outlive the process: whenever they change, they are written to the state directory.

const (
	bansFile   = "bans.json"
	brokenBans = "bans.json.broken" // what could not be read
)

// readBans returns the bans that earlier processes have made and that are not over. What can't be
// read is logged, and kept beside for the operator: it must not keep the box from starting.
func readBans(dir *state.Dir, now time.Time, log *slog.Logger) *source.Bans {
	unread := false // the file could not be read at all, and is still in its place
	bans := source.KeptBans(func(list []source.Ban) error {
		if unread {
			if err := os.Rename(dir.Path(bansFile), dir.Path(brokenBans)); err != nil {
				return err
			}
			unread = false
		}
		text, err := json.MarshalIndent(list, "", "\t")
		if err != nil {
			return err
		}
		return dir.Write(bansFile, append(text, '\n'))
	})
	text, err := dir.Read(bansFile)
	if errors.Is(err, fs.ErrNotExist) {
		return bans
	}
	var kept []source.Ban
	unread = err != nil
	if !unread {
		kept, err = parseBans(text)
		err = errors.Join(err, bans.Restore(now, kept))
		if err != nil {
			err = errors.Join(err, dir.Write(brokenBans, text))
		}
	}
	if err != nil {
		log.Error("can't read all bans of earlier runs: who they were about may come in", "file", dir.Path(bansFile),
			"copy", dir.Path(brokenBans), "in force", len(bans.List(now)), "err", err)
	}
	return bans
}

// parseBans returns the bans that it can read.
func parseBans(text []byte) (bans []source.Ban, err error) {
	var entries []json.RawMessage
	if err := json.Unmarshal(text, &entries); err != nil {
		return nil, err
	}
	for i, entry := range entries {
		var ban source.Ban
		if wrong := json.Unmarshal(entry, &ban); wrong != nil {
			err = errors.Join(err, fmt.Errorf("entry %d: %w", i+1, wrong))
			continue
		}
		bans = append(bans, ban)
	}
	return bans, err
}
