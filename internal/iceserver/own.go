package iceserver

import (
	"crypto/rand"
	"sync"
	"time"

	"signalbox/turnsvc/cred"
)

// ownLife is how long a credential of the box's own is good.
const ownLife = time.Minute

// own are the ids of the box's own credentials, until they expire. Others may mint credentials,
// too: they are told from these by ids that are random and stay in this process.
type own struct {
	mu  sync.Mutex
	ids map[string]time.Time
}

// Own returns a credential of no session for a client that is a part of the box, good for a minute.
func (i *Issuer) Own() (user, password string) {
	id, now := rand.Text(), time.Now()
	expires := now.Add(ownLife)
	i.own.mu.Lock()
	defer i.own.mu.Unlock()
	if i.own.ids == nil {
		i.own.ids = map[string]time.Time{}
	}
	for id, end := range i.own.ids {
		if end.Before(now) {
			delete(i.own.ids, id)
		}
	}
	i.own.ids[id] = expires
	return i.live.Load().Keys.Mint(cred.ICE, id, expires)
}

// IsOwn reports whether Own has returned a credential for that id, which is still good.
func (i *Issuer) IsOwn(id string) bool {
	i.own.mu.Lock()
	defer i.own.mu.Unlock()
	return time.Now().Before(i.own.ids[id])
}
