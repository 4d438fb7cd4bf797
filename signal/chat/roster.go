package chat

import (
	"encoding/json"
	"hash/maphash"
	"slices"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"signalbox/signal"
	"signalbox/signal/internal/object"
)

// A client gets a userlist after each change, as long as they are small, or seldom: so many bytes
// of them at once, and then so many a second. While it must wait for one there is no other: that
// has all who are there when it leaves. So who comes and goes in a full lobby costs the others
// little.
const (
	listsAtOnce  = 64 << 10
	listsASecond = 32 << 10
)

// roster is the lobby as one client sees it. The conversation's mu guards it.
type roster struct {
	members []signal.Member // in the order of joining, the client too
	sum     uint64          // of the members, in any order
	pace    *rate.Limiter   // of userlists, in bytes; nil: there was none
	late    *time.Timer     // of the userlist that is to come; nil: there is none
}

// lists are the latest userlist of all clients: most need the same one.
type lists struct {
	seed maphash.Seed

	mu   sync.Mutex
	sum  uint64 // of its members
	size int
	last []byte
}

// of is the userlist of a roster.
func (l *lists) of(r *roster) []byte {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.last == nil || l.sum != r.sum || l.size != len(r.members) {
		names := make([]string, 0, len(r.members))
		for _, m := range r.members {
			if name := label(m); !slices.Contains(names, name) { // a user may be there twice
				names = append(names, name)
			}
		}
		var o object.Object
		o.SetText("type", "userlist")
		text, _ := json.Marshal(names) // strings always have a form
		o.Set("users", text)
		l.sum, l.size, l.last = r.sum, len(r.members), o.JSON()
	}
	return l.last
}

// add notes that somebody is in the lobby.
func (r *roster) add(m signal.Member, l *lists) {
	r.members = append(r.members, m)
	r.sum += maphash.Comparable(l.seed, m)
}

// remove notes that somebody is not there any more.
func (r *roster) remove(id string, l *lists) {
	i := slices.IndexFunc(r.members, func(m signal.Member) bool { return m.ID == id })
	if i >= 0 {
		r.sum -= maphash.Comparable(l.seed, r.members[i])
		r.members = slices.Delete(r.members, i, i+1)
	}
}

// userlist tells the client who is in the lobby, at once or in a moment. mu is held.
func (c *conversation) userlist() []signal.Frame {
	r := &c.roster
	if r.late != nil || c.over {
		return nil
	}
	body, now := c.server.lists.of(r), time.Now()
	if r.pace == nil {
		r.pace = rate.NewLimiter(listsASecond, listsAtOnce)
	}
	if wait := r.pace.ReserveN(now, min(len(body), listsAtOnce)).DelayFrom(now); wait > 0 {
		r.late = time.AfterFunc(wait, func() { c.session.Do(c.tellLate) })
		return nil
	}
	return []signal.Frame{{Body: body}}
}

// tellLate tells the client who is in the lobby by now.
func (c *conversation) tellLate() {
	c.mu.Lock()
	c.roster.late = nil
	body := c.server.lists.of(&c.roster)
	c.mu.Unlock()
	c.session.Reply(signal.Frame{Body: body})
}
