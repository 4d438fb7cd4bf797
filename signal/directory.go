package signal

import (
	"net/netip"
	"slices"
	"strconv"
	"time"
)

// find returns the session with that peer id, or nil.
func (h *Hub) find(id string) *Session {
	h.mu.RLock()
	defer h.mu.RUnlock()
	return h.sessions[id]
}

// register makes the session known to others, and its connection no longer counts as one before its
// hello. It queues the greeting before anybody can find the session, so that the client sees it
// first. If another session has its id, register returns that one, which must be replaced first.
func (h *Hub) register(s *Session, greeting *parcel) (old *Session, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	from, block := s.client.Load().Source, s.block
	if h.draining {
		return nil, Refuse(CodeShuttingDown, "")
	}
	if h.bars(s) { // there may be a new ban, or the session has inherited a peer id
		return nil, Refuse(CodeKicked, "")
	}
	old = h.sessions[s.self.ID]
	// without the old one, which is to go only if this one may come
	all := len(h.sessions)
	if old != nil {
		all--
		h.places.take(old.block, 0, -1)
	}
	full := h.opts.SessionsPerSource > 0 && h.places.full(block, h.opts.SessionsPerSource, taken.inSessions)
	if old != nil {
		h.places.take(old.block, 0, 1)
	}
	switch ghost, err := h.mayShare(s, old); {
	case ghost != nil || err != nil:
		return ghost, err
	case h.opts.Sessions > 0 && all >= h.opts.Sessions:
		return nil, errFull
	case full:
		return nil, errSourceFull
	case old != nil:
		return old, nil
	}
	if s.link != nil {
		h.unplace(s.link)
	}
	h.places.take(block, 1, 1)
	if s.self.User != "" {
		h.users[s.self.User] = append(h.users[s.self.User], s)
	}
	h.sessions[s.self.ID] = s
	if s.pass.Key != "" {
		s.tokens = append(s.tokens, s.pass.Key)
	}
	s.heardAt = from
	s.greeted.Store(true)
	h.opts.Members.Opened(s.self.ID, s.self.User, from)
	if who := s.pass.Identity(from); who != "" {
		h.opts.Members.Identified(s.self.ID, who, s.pass.Account())
	}
	h.stats.sessions.Add(1)
	h.countDialect(s, 1, 1)
	s.put(greeting, false)
	return nil, nil
}

// countDialect counts a session that came, or goes. mu is held.
func (h *Hub) countDialect(s *Session, now int, ever uint64) {
	n := h.dialects[s.terms.Name]
	h.dialects[s.terms.Name] = DialectCount{n.Sessions + now, n.Opened + ever}
}

// Carried is how many connections there are of clients that speak a dialect, by its Terms.Name,
// also before their hello.
func (h *Hub) Carried(dialect string) int {
	h.mu.RLock()
	defer h.mu.RUnlock()
	return h.carried[dialect]
}

// moved notes that another connection carries the session now.
func (h *Hub) moved(s *Session, l *Link) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.unplace(l)
	if s.block != l.block {
		h.places.take(s.block, -1, -1)
		s.block = l.block
		h.places.take(s.block, 1, 1)
	}
	h.opts.Members.Moved(s.self.ID, l.client.Source)
}

// depart tells the relay that a session ends, and returns the far ends of its calls.
func (h *Hub) depart(s *Session, why LeftReason) (partners []*Session) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.sessions[s.self.ID] == s {
		h.opts.Members.Ended(s.self.ID, why == ReasonLost)
	}
	return h.calls.end(s)
}

// forget takes the session out of the directory.
func (h *Hub) forget(s *Session) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.sessions[s.self.ID] == s {
		delete(h.sessions, s.self.ID)
		h.countDialect(s, -1, 0)
		h.places.take(s.block, -1, -1)
	}
	devices := slices.DeleteFunc(h.users[s.self.User], func(d *Session) bool { return d == s })
	if len(devices) == 0 {
		delete(h.users, s.self.User)
	} else {
		h.users[s.self.User] = devices
	}
}

// mayShare judges whether a session, which is to replace old, may have its user name beside those
// that have it. In an open hub the name belongs to who came first, and nobody may listen in: only
// where tokens prove that it is the same user may there be several. Where there may not, ghost is
// one that was gone before its client knew that it was there, which must be replaced first. mu is
// held.
func (h *Hub) mayShare(s, old *Session) (ghost *Session, err error) {
	others, proven := 0, s.pass.Attested
	for _, d := range h.users[s.self.User] {
		if d == old {
			continue
		}
		others++
		proven = proven && d.pass.Attested
		if !d.known.Load() && !d.out.attached() {
			ghost = d
		}
	}
	switch {
	case others == 0 || proven && others < h.opts.Devices:
		return nil, nil
	case ghost != nil:
		return ghost, nil
	}
	return nil, Refuse(CodeUserTaken, "")
}

// maxAlike is how many user names are tried for one that is taken.
const maxAlike = 32

// vacant finds the first user name that nobody has: the one that is wanted, or that with a number.
// Somebody may take it before the session is registered.
func (h *Hub) vacant(user string) (string, error) {
	if user == "" {
		return "", nil
	}
	h.mu.RLock()
	defer h.mu.RUnlock()
	name := user
	for n := 1; n <= maxAlike; n++ {
		if len(h.users[name]) == 0 {
			return name, nil
		}
		name = user + strconv.Itoa(n)
	}
	return "", Refuse(CodeUserTaken, "")
}

// bars reports whether a ban keeps a session out that is about to say hello.
func (h *Hub) bars(s *Session) bool {
	now := time.Now()
	return h.opts.Bans.Concern(s.self.User, s.pass.Key, s.client.Load().Source, now) ||
		h.opts.Bans.ConcernPeer(s.self.ID, now)
}

// banned reports whether a ban is about a session that is known, or about the address that its
// client comes from now.
func (h *Hub) banned(s *Session, from netip.Addr) bool {
	now := time.Now()
	h.mu.RLock()
	defer h.mu.RUnlock()
	return h.opts.Bans.ConcernPeer(s.self.ID, now) || h.opts.Bans.Concern(s.self.User, "", from, now) ||
		slices.ContainsFunc(s.tokens, func(key string) bool {
			return h.opts.Bans.Concern("", key, netip.Addr{}, now)
		})
}
