package signal

import "net/netip"

// sender is who pays for what waits in an outbox. The zero sender is the hub itself, which pays for
// nothing.
type sender struct {
	session  *Session
	stranger bool // it has called "@user", who has not answered yet
}

// Of the limits of an outbox, a sender may fill a quarter. Strangers may fill a sixteenth together,
// those of one line a half of that, and each a quarter: enough for an offer and its candidates.
const (
	shareOf         = 4
	strangers       = 16
	strangersOfLine = 32
	strangerOf      = 64
)

// share is how much waits of somebody.
type share struct{ frames, bytes int }

// fits reports whether so many bytes more are within the limits. A single frame is, whatever its
// size.
func (s share) fits(size, frames, bytes int) bool {
	return s.frames == 0 || s.frames < frames && s.bytes+size <= bytes
}

func (s share) and(frames, bytes int) share { return share{s.frames + frames, s.bytes + bytes} }

// shares are how much waits in an outbox of each sender. Who has nothing there is forgotten. Mostly
// there is one at a time, who needs no map.
type shares struct {
	one       *Session // nil: nobody
	ones      share
	of        map[*Session]share     // of all others
	strangers share                  // of all strangers
	lines     map[netip.Prefix]share // of the strangers of a line
}

func (s *shares) get(session *Session) share {
	if session == s.one {
		return s.ones
	}
	return s.of[session]
}

// have reports whether a sender may fill so many bytes more; frames and bytes are the limits of the
// outbox.
func (s *shares) have(by sender, size, frames, bytes int) bool {
	switch {
	case by.session == nil:
		return true
	case by.stranger:
		return s.get(by.session).fits(size, frames/strangerOf, bytes/strangerOf) &&
			s.lines[by.session.line].fits(size, frames/strangersOfLine, bytes/strangersOfLine) &&
			s.strangers.fits(size, frames/strangers, bytes/strangers)
	}
	return s.get(by.session).fits(size, frames/shareOf, bytes/shareOf)
}

func (s *shares) add(by sender, size int) { s.count(by, 1, size) }

func (s *shares) giveBack(by sender, size int) { s.count(by, -1, -size) }

func (s *shares) count(by sender, frames, bytes int) {
	if by.session == nil {
		return
	}
	if by.stranger {
		s.strangers = s.strangers.and(frames, bytes)
		if line := by.session.line; line.IsValid() {
			countOf(&s.lines, line, frames, bytes)
		}
	}
	was := s.get(by.session)
	switch now := was.and(frames, bytes); {
	case now == (share{}) && by.session == s.one:
		s.one, s.ones = nil, now
	case by.session == s.one, s.one == nil && was == (share{}):
		s.one, s.ones = by.session, now
	default:
		countOf(&s.of, by.session, frames, bytes)
	}
}

func countOf[K comparable](of *map[K]share, key K, frames, bytes int) {
	now := (*of)[key].and(frames, bytes)
	if now == (share{}) {
		delete(*of, key)
		return
	}
	if *of == nil {
		*of = make(map[K]share)
	}
	(*of)[key] = now
}

// all is how many bytes wait of each sender.
func (s *shares) all() map[*Session]int {
	of := make(map[*Session]int, len(s.of)+1)
	for by, s := range s.of {
		of[by] = s.bytes
	}
	if s.one != nil {
		of[s.one] = s.ones.bytes
	}
	return of
}
