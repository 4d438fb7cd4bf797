package signal

// sender is who pays for what waits in an outbox. The zero sender is the hub itself, which pays for
// nothing.
type sender struct {
	session  *Session
	stranger bool // it has called "@user", who has not answered yet
}

// Of the limits of an outbox, a sender may fill a quarter. Strangers may fill a sixteenth together,
// and each a quarter of that: enough for an offer and its candidates.
const (
	shareOf    = 4
	strangers  = 16
	strangerOf = 64
)

// share is how much waits of somebody.
type share struct{ frames, bytes int }

// fits reports whether so many bytes more are within the limits. A single frame is, whatever its
// size.
func (s share) fits(size, frames, bytes int) bool {
	return s.frames == 0 || s.frames < frames && s.bytes+size <= bytes
}

// shares are how much waits in an outbox of each sender. Who has nothing there is forgotten.
type shares struct {
	of        map[*Session]share
	strangers share // of all strangers
}

// have reports whether a sender may fill so many bytes more; frames and bytes are the limits of the
// outbox.
func (s *shares) have(by sender, size, frames, bytes int) bool {
	switch {
	case by.session == nil:
		return true
	case by.stranger:
		return s.of[by.session].fits(size, frames/strangerOf, bytes/strangerOf) &&
			s.strangers.fits(size, frames/strangers, bytes/strangers)
	}
	return s.of[by.session].fits(size, frames/shareOf, bytes/shareOf)
}

func (s *shares) add(by sender, size int) { s.count(by, 1, size) }

func (s *shares) giveBack(by sender, size int) { s.count(by, -1, -size) }

func (s *shares) count(by sender, frames, bytes int) {
	if by.session == nil {
		return
	}
	if by.stranger {
		s.strangers = share{s.strangers.frames + frames, s.strangers.bytes + bytes}
	}
	now := share{s.of[by.session].frames + frames, s.of[by.session].bytes + bytes}
	if now == (share{}) {
		delete(s.of, by.session)
		return
	}
	if s.of == nil {
		s.of = make(map[*Session]share)
	}
	s.of[by.session] = now
}
