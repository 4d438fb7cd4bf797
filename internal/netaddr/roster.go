package netaddr

import (
	"net/netip"
	"sync"
	"time"
)

// goneTime is for how long an address is missed before it counts as gone. Whoever renews a lease,
// or sets an interface up anew, takes an address away and puts it back.
const goneTime = 2 * time.Second

// A Roster lists this machine's addresses for those who act when they come and go. It is safe for
// concurrent use.
type Roster struct {
	read func() ([]netip.Addr, error) // Local, but in tests

	mu     sync.Mutex
	missed map[netip.Addr]time.Time // since when; zero: it is there
}

// NewRoster returns a roster on which there is nothing yet.
func NewRoster() *Roster { return &Roster{read: Local, missed: map[netip.Addr]time.Time{}} }

// Local is the function Local, but an address that it has listed stays for a while: until two calls
// that are two seconds apart have missed it, and all between them.
func (r *Roster) Local() ([]netip.Addr, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	list, err := r.read()
	if err != nil {
		return nil, err
	}
	there := make(map[netip.Addr]bool, len(list))
	for _, ip := range list {
		there[ip] = true
		r.missed[ip] = time.Time{}
	}
	now := time.Now()
	for ip, since := range r.missed {
		switch {
		case there[ip]:
			continue
		case since.IsZero():
			r.missed[ip] = now
		case now.Sub(since) >= goneTime:
			delete(r.missed, ip)
			continue
		}
		list = append(list, ip)
	}
	return list, nil
}
