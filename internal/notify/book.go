package notify

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io/fs"
	"log/slog"
	"sync"
	"time"

	"signalbox/internal/state"
	"signalbox/internal/trouble"
)

// bookFile is in the state directory.
const bookFile = "notify.json"

// book keeps what was told last, by each way.
type book struct {
	dir *state.Dir
	log *slog.Logger

	mu   sync.Mutex
	told map[string]entry
}

// entry is what was told last, where, and when.
type entry struct {
	Codes []trouble.Code `json:"codes"` // none: that all is well
	At    int64          `json:"at"`    // Unix milliseconds
	To    string         `json:"to"`    // see mark
}

// mark stands for where a way leads, which is a secret.
func mark(to string) string {
	sum := sha256.Sum256([]byte("signalbox notify\n" + to))
	return hex.EncodeToString(sum[:8])
}

// age is how long ago it was told. One that lies ahead is of a clock that was wrong: long ago.
func (e entry) age() time.Duration {
	age := time.Since(time.UnixMilli(e.At))
	if age < 0 {
		return remind
	}
	return age
}

// open reads what an earlier process has told. If that can't be read, nothing was: what is wrong is
// told once more.
func (b *book) open() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.told = map[string]entry{}
	text, err := b.dir.Read(bookFile)
	if err == nil {
		err = json.Unmarshal(text, &b.told)
	}
	if err == nil && b.told != nil || errors.Is(err, fs.ErrNotExist) {
		return
	}
	b.told = map[string]entry{}
	b.log.Warn("what the operator was told before can't be read: it is told again", "err", err)
}

func (b *book) of(way string) entry {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.told[way]
}

// note keeps what a way has told.
func (b *book) note(way string, e entry) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.told[way] = e
	text, _ := json.Marshal(b.told) // texts and numbers always have JSON
	if err := b.dir.Write(bookFile, text); err != nil {
		b.log.Warn("what the operator was told can't be kept: a restart tells it again", "err", err)
	}
}
