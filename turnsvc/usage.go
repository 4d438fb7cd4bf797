package turnsvc

import (
	"time"

	"signalbox/turnsvc/cred"
)

// Usage is what a user has used of the relay, as Server.TakeUsage tells it.
type Usage struct {
	// User is a static user, the id that another program has minted a credential for, or the
	// account of a session (see Server.Identified). Empty: all others of the class together.
	User string
	// Class is static, hub, ice or shared; empty: all users beyond those who are told apart.
	Class           string
	Allocations     uint64 // made
	Seconds         uint64 // for which allocations have lasted, added up
	FromClientBytes uint64 // application data, as in Relayed
	ToClientBytes   uint64
}

// maxTabs bounds how many users are told apart at a time, besides static ones: other programs may
// mint credentials for any number of names.
const maxTabs = 10_000

// tab adds up what a user has used since it was last taken. It belongs to the budget, which finds
// what the counters of allocations have grown by. Guarded by the budget's mu.
type tab struct {
	payer
	allocations uint64
	lasted      time.Duration
	fromClient  uint64
	toClient    uint64
	holders     int // allocations that may still add to it
}

// payer is whose usage it is.
type payer struct {
	class string
	user  string
}

// payerOf is whose usage the allocation is.
func (b *books) payerOf(a *allocation) payer {
	p := payer{class: a.class.String()}
	switch a.class {
	case cred.Static, cred.Shared:
		p.user = shortened(a.issued)
	case cred.Hub:
		p.user = shortened(b.judge.rooms.accountOf(a.issued))
	}
	return p
}

// open begins to count what an allocation uses.
func (b *budget) open(a *allocation, p payer) {
	b.mu.Lock()
	defer b.mu.Unlock()
	t := b.tabs[p]
	if t == nil && len(b.tabs) >= maxTabs && p.class != cred.Static.String() {
		p = payer{}
		t = b.tabs[p]
	}
	if t == nil {
		t = &tab{payer: p}
		b.tabs[p] = t
	}
	t.allocations++
	t.holders++
	a.tab, a.counted.until = t, a.created
}

// add adds what an allocation has used since the last time.
func (t *tab) add(now, last *account) {
	t.fromClient += now.FromClientBytes - last.FromClientBytes
	t.toClient += now.ToClientBytes - last.ToClientBytes
	t.lasted += time.Duration(now.until - last.until)
}

// takeUsage returns what users have used since the last time, those who have used nothing left out.
func (b *budget) takeUsage() (list []Usage) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for p, t := range b.tabs {
		u := Usage{
			User: p.user, Class: p.class, Allocations: t.allocations, Seconds: uint64(t.lasted / time.Second),
			FromClientBytes: t.fromClient, ToClientBytes: t.toClient,
		}
		if u != (Usage{User: p.user, Class: p.class}) {
			list = append(list, u)
		}
		t.allocations, t.fromClient, t.toClient = 0, 0, 0
		t.lasted %= time.Second
		if t.holders == 0 {
			delete(b.tabs, p)
		}
	}
	return list
}

// TakeUsage returns what each user has used since it was last called; nothing unless
// Options.CountUsage is set. Beyond 10,000 users at a time, all but static ones are counted
// together.
func (s *Server) TakeUsage() []Usage {
	s.Transfer()
	return s.books.budget.takeUsage()
}
