package turnsvc

import "time"

// add enters a stream. When there are as many as there may be, one without an allocation makes
// room: an honest client has one within a second.
func (t *streams) add(l *streamLink) (ok bool) {
	gone, full := t.enter(l)
	for _, old := range gone {
		t.counters.drop(dropCrowdedOut)
		old.close()
	}
	if full && l.leave == nil {
		t.counters.drop(dropCrowd)
	}
	if full {
		t.tellOfCrowd()
	}
	return l.leave != nil
}

// enter enters l if there is room. full: there was none without those who are gone, one as a rule,
// more when the limit has been lowered. If a block of addresses in which l counts has too many,
// they are of that; else each is of the line that has most guests, so nobody pushes another one's
// clients out by having many.
func (t *streams) enter(l *streamLink) (gone []*streamLink, full bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.all == nil {
		return nil, false
	}
	ip := l.peer.Addr()
	for t.crowd.Full(ip) {
		full = true
		old := t.guests.most()
		if block, crowded := t.crowd.Crowded(ip); crowded {
			old = t.guests.from(block)
		}
		if old == nil {
			break
		}
		t.removeLocked(old)
		gone = append(gone, old)
	}
	if leave, ok := t.crowd.Enter(ip); ok {
		l.leave = leave
		t.all[l] = struct{}{}
		t.seat(l)
	}
	return gone, full
}

// seat puts l, which is entered, among the guests or takes it from them. mu is held.
func (t *streams) seat(l *streamLink) {
	t.guests.remove(l.guest)
	l.guest = guestPlace{}
	if l.a.Load() == nil && !l.left {
		l.guest = t.guests.add(l, l.proving)
	}
}

// tellOfCrowd logs that there are too many, now and then.
func (t *streams) tellOfCrowd() {
	const interval = time.Minute
	now := t.clock.now()
	if next := t.told.Load(); now >= next && t.told.CompareAndSwap(next, now+int64(interval)) {
		open, _ := t.crowd.Counts()
		t.log.Warn("too many TURN connections: some without an allocation are ended for new ones",
			"open", open, "ended", t.counters.drops[dropCrowdedOut].Load(),
			"refused", t.counters.drops[dropCrowd].Load())
	}
}

func (t *streams) remove(l *streamLink) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.removeLocked(l)
}

func (t *streams) removeLocked(l *streamLink) {
	if l.left {
		return
	}
	l.left = true
	l.leave()
	delete(t.all, l)
	t.seat(l)
}

// closeAll ends every stream and admits no more.
func (t *streams) closeAll() {
	t.mu.Lock()
	all := t.all
	t.all = nil
	t.mu.Unlock()
	for l := range all { // nobody adds to it or removes from it any more
		l.close()
	}
}
