package admin

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"log/slog"
	"maps"
	"sync"
	"time"

	"signalbox/internal/state"
)

// endedFile is in the state directory.
const endedFile = "admin-ended.json"

const (
	maxEnded   = 1000        // sessions of one token that are known by their names
	endedPause = time.Second // between two writes for one token's sake
)

// ended are sessions that their pages have ended. Each token has room for its own: whoever ends too
// many ends all that have begun with that token, and nobody else's.
type ended struct {
	dir *state.Dir // nil: a restart forgets them
	log *slog.Logger

	mu   sync.Mutex
	read bool                 // what an earlier run has kept
	of   map[string]endedWith // by the id of the token; everyToken: whichever it was
	n    uint64               // how many there have been

	writing sync.Mutex // is never waited for with mu held
	tried   uint64     // what n was when the file was written last, or could not be; guarded by writing
}

// everyToken stands for all in the file, where ids have letters.
const everyToken = ""

// endedWith are the ended sessions of one token.
type endedWith struct {
	Names map[string]time.Time `json:"names"` // until when a cookie of theirs could hold
	Until time.Time            `json:"until"` // sessions that began before are over
	// Era is everyToken's only, and in the signature of each cookie: those of other eras are over,
	// whatever the clock said at their login or says now.
	Era string `json:"era,omitempty"`

	next time.Time // before that, nothing is written for this token's sake; not kept
}

// open reads what an earlier run has kept, once, and replaces what can't be read or says of a time
// to come. Whoever asks meanwhile waits for the disk, too. The caller holds mu.
func (e *ended) open() {
	if e.read {
		return
	}
	e.read, e.of = true, map[string]endedWith{}
	if e.dir == nil {
		return
	}
	text, err := e.dir.Read(endedFile)
	if errors.Is(err, fs.ErrNotExist) {
		return
	}
	if err == nil {
		err = decodeEnded(text, &e.of)
	}
	if err != nil || e.of == nil {
		e.log.Warn("which admin sessions have been ended can't be read: all log in again", "err", err)
		e.of = map[string]endedWith{everyToken: {Era: rand.Text()}}
		e.replace()
		return
	}
	if e.clamp(time.Now()) {
		e.replace()
	}
}

// clamp lets sessions go on that begin from now on, if a clock was ahead that has been set since,
// and reports whether it was. The caller holds mu.
func (e *ended) clamp(now time.Time) (was bool) {
	for id, with := range e.of {
		if with.Until.After(now) {
			with.Until, was = now.Truncate(time.Second), true // as sessions tell when they began
			e.of[id] = with
		}
	}
	return was
}

// replace writes instead of what an earlier run has kept. The caller holds mu.
func (e *ended) replace() {
	if err := e.dir.Write(endedFile, e.encoded()); err != nil {
		e.log.Warn("the file of ended admin sessions can't be replaced: the next start has all log in again",
			"err", err)
	}
}

// decodeEnded takes what it doesn't know for damage, such as a key with a letter that is another.
func decodeEnded(text []byte, of *map[string]endedWith) error {
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.DisallowUnknownFields()
	if err := dec.Decode(of); err != nil {
		return err
	}
	if _, err := dec.Token(); err != io.EOF {
		return errors.New("something comes after its end")
	}
	return nil
}

func (e *ended) has(s session) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.open()
	with := e.of[s.token.id()]
	_, over := with.Names[s.name]
	return over || s.began.Before(with.Until)
}

// era is what the signature of a cookie has that is good now.
func (e *ended) era() string {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.open()
	return e.of[everyToken].Era
}

// add ends a session at once, and returns when the state directory knows it, or can't. Of one
// token's sessions that end within endedPause all but the first wait, for one write.
func (e *ended) add(s session) {
	n, due := e.note(s)
	if e.dir != nil {
		time.Sleep(time.Until(due))
		e.keep(n, s.token.id())
	}
}

// note returns which of all it is, and when it is to be written.
func (e *ended) note(s session) (n uint64, due time.Time) {
	now, id := time.Now(), s.token.id()
	e.mu.Lock()
	defer e.mu.Unlock()
	e.open()
	e.forget(now)
	with := e.of[id]
	switch {
	case len(with.Names) >= maxEnded:
		with.Names, with.Until = nil, now
	case with.Names == nil:
		with.Names = map[string]time.Time{}
		fallthrough
	default:
		with.Names[s.name] = s.began.Add(sessionMost)
	}
	e.of[id] = with
	e.n++
	return e.n, with.next
}

// forget drops what no cookie can be of any more. The caller holds mu.
func (e *ended) forget(now time.Time) {
	maps.DeleteFunc(e.of, func(_ string, with endedWith) bool {
		maps.DeleteFunc(with.Names, func(_ string, until time.Time) bool { return until.Before(now) })
		return len(with.Names) == 0 && with.Era == "" && with.Until.Add(sessionMost).Before(now)
	})
}

// keep writes all that have been ended, for the sake of a token, unless the n-th was written along
// with others. Only those who end sessions wait for this write, and for those before it.
func (e *ended) keep(n uint64, id string) {
	e.writing.Lock()
	defer e.writing.Unlock()
	if e.tried >= n {
		return
	}
	e.mu.Lock()
	e.tried = e.n
	with := e.of[id]
	with.next = time.Now().Add(endedPause)
	e.of[id] = with
	text := e.encoded()
	e.mu.Unlock()
	if err := e.dir.Write(endedFile, text); err != nil {
		e.log.Warn("the end of an admin session can't be kept: a restart forgets it", "err", err)
	}
}

// encoded is what the file has of what is known. The caller holds mu.
func (e *ended) encoded() []byte {
	text, _ := json.Marshal(e.of) // texts and times always have JSON
	return text
}
