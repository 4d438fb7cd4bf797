package chat

import (
	"crypto/rand"
	"encoding/json"
	"slices"
	"time"

	"signalbox/signal"
	"signalbox/signal/internal/object"
	"signalbox/signal/internal/translate"
)

// call is one with a user of the hub who is not in the lobby: a page on /call, whose calls ring
// before the ends exchange offers. A client of this protocol begins with the offer, which waits
// until the page has accepted. A page that rings is told at once that its call is accepted: the
// client is asked when the offer comes.
type call struct {
	partner
	id      string
	user    string // the other's, as the hub knows it; empty: it has none, and has called
	peer    string // the other's session; empty: it has not accepted yet
	flushed bool   // what has waited is on its way: what follows goes out at once
	waiting [][]byte
	bytes   int         // in these
	expiry  *time.Timer // gives up a call that nobody accepts; nil: the other has called
}

const (
	maxCalls   = 8        // of one client
	maxWaiting = 96 << 10 // bytes of offers and candidates that wait for a client or its callees
	waitCost   = 64       // bytes that each takes besides
	patience   = 2 * time.Minute
)

// wait keeps something until the other end has accepted, and reports whether there was room for it.
// mu is held.
func (c *conversation) wait(k *call, data []byte) bool {
	size := len(data) + waitCost
	if c.held+size > maxWaiting {
		return false
	}
	k.waiting, k.bytes = append(k.waiting, data), k.bytes+size
	c.hold(size)
	return true
}

// hold counts bytes that wait, or with a negative number do so no longer. mu is held.
func (c *conversation) hold(bytes int) {
	c.held += bytes
	c.session.Hold(bytes)
}

// release takes what has waited. mu is held.
func (c *conversation) release(k *call) (waiting [][]byte) {
	c.hold(-k.bytes)
	waiting, k.waiting, k.bytes = k.waiting, nil, 0
	return waiting
}

// named finds a call by what the client calls the other end: its user name, or its id if label
// gives that; nil: there is none. mu is held.
func (c *conversation) named(target string) *call {
	return c.find(signal.Member{ID: target, User: signal.Visible(target)})
}

// find finds the call with somebody: with any session of that user, or with that session. nil:
// there is none. mu is held.
func (c *conversation) find(m signal.Member) *call {
	i := slices.IndexFunc(c.calls, func(k *call) bool { return k.user != "" && k.user == m.User || k.peer == m.ID })
	if i < 0 {
		return nil
	}
	return c.calls[i]
}

// isWith reports whether it is a call with that session, as far as is known.
func (k *call) isWith(m signal.Member) bool {
	if k.peer == "" {
		return k.user == m.User
	}
	return k.peer == m.ID
}

// drop forgets a call and what waits for it, and reports whether it was still there. mu is held.
func (c *conversation) drop(k *call) bool {
	i := slices.Index(c.calls, k)
	if i < 0 {
		return false
	}
	c.calls = slices.Delete(c.calls, i, i+1)
	c.release(k)
	c.hush(&k.partner)
	if k.expiry != nil {
		k.expiry.Stop()
	}
	return true
}

// giveUp ends a call that nobody has accepted for so long that nobody waits any more.
func (c *conversation) giveUp(k *call) {
	c.mu.Lock()
	late := k.peer == "" && c.drop(k)
	c.mu.Unlock()
	if late {
		c.session.Reply(c.hangUp(k.user))
		c.cancel(k)
	}
}

// cancel stops the ringing of a call that nobody has accepted. If somebody has just done so, the
// hub keeps the call, and that one hears when its word comes that there is none (refuse).
func (c *conversation) cancel(k *call) {
	last := translate.Said{Call: translate.Cancel, ID: k.id}
	c.session.HangUpWith("@"+k.user, last.Data()) //nolint:errcheck // see above
}

// reads reads a client's frame as something that pages say, too.
func reads(kind string, o object.Object) (said translate.Said, ok bool) {
	switch kind {
	case "video-offer", "video-answer":
		said.Description = translate.ReadDescription(o.Get("sdp"))
		return said, said.Description != nil
	case "new-ice-candidate":
		candidate := o.Get("candidate")
		if len(candidate) == 0 || candidate[0] != '{' {
			return said, false
		}
		said.Candidates = []json.RawMessage{candidate}
		return said, true
	}
	return said, false
}

// call passes a frame to a user who is not in the lobby, and calls that one if it is an offer.
func (c *conversation) call(target, kind string, o object.Object) error {
	if kind == "hang-up" {
		return c.leave(target)
	}
	said, ok := reads(kind, o)
	c.mu.Lock()
	k := c.named(target)
	fresh := k == nil && kind == "video-offer" && len(c.calls) < maxCalls
	if fresh {
		k = &call{id: rand.Text(), user: signal.Visible(target)}
	}
	if !ok || k == nil {
		c.mu.Unlock()
		return signal.Refuse(signal.CodeNoSuchPeer, "")
	}
	said.Call, said.ID = translate.InCall, k.id
	data := said.Data()
	if k.flushed {
		c.mu.Unlock()
		return c.session.Signal(signal.Signal{To: k.peer, Data: data})
	}
	kept := c.wait(k, data)
	if kept && fresh {
		c.calls = append(c.calls, k)
		k.expiry = time.AfterFunc(c.server.patience, func() { c.session.Do(func() { c.giveUp(k) }) })
	}
	c.mu.Unlock()
	switch {
	case !kept:
		return signal.Refuse(signal.CodeRateLimited, "too much waits for others to accept")
	case fresh:
		return c.begin(k)
	}
	return nil
}

// begin rings.
func (c *conversation) begin(k *call) error {
	ring := translate.Said{Call: translate.Ring, ID: k.id}
	err := c.session.Signal(signal.Signal{To: "@" + k.user, Data: ring.Data()})
	if err != nil {
		c.forget(k)
	}
	return err
}

func (c *conversation) forget(k *call) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.drop(k)
}

// leave ends a call. The other end hears of it as the hub ends it.
func (c *conversation) leave(target string) error {
	c.mu.Lock()
	k := c.named(target)
	if k == nil {
		c.mu.Unlock()
		return signal.Refuse(signal.CodeNoSuchPeer, "")
	}
	c.drop(k)
	peer := k.peer
	c.mu.Unlock()
	if peer == "" {
		c.cancel(k)
	} else {
		c.end(peer, k.id, translate.End)
	}
	return nil
}

// end hangs up, with a last word. The other may have been quicker.
func (c *conversation) end(peer, id, why string) {
	last := translate.Said{Call: why, ID: id}
	c.session.HangUpWith(peer, last.Data()) //nolint:errcheck // see above
}

// refuse tells a page that one of its calls is none, or is not any more. To hang up would end
// another call with the same session.
func (c *conversation) refuse(to signal.Member, id, why string) {
	other := c.find(to) != nil
	c.session.Soon(func() {
		if !other {
			c.end(to.ID, id, why)
			return
		}
		said := translate.Said{Call: why, ID: id}
		c.session.Signal(signal.Signal{To: to.ID, Data: said.Data()}) //nolint:errcheck // then it is gone
	})
}

// callSaid is what the other end of a call says. mu is held.
func (c *conversation) callSaid(e *signal.Signaled) []signal.Frame {
	o, err := object.Parse(e.Data)
	if err != nil {
		return nil
	}
	said, ok := translate.Read(o)
	if !ok {
		return nil
	}
	if said.Call == translate.Ring {
		c.ring(e.From, &said, e.Polite)
		return nil
	}
	i := slices.IndexFunc(c.calls, func(k *call) bool { return k.id == said.ID && k.isWith(e.From) })
	if i < 0 {
		if said.Call == translate.Accept || said.Call == translate.InCall {
			c.refuse(e.From, said.ID, translate.End)
		}
		return nil
	}
	switch k := c.calls[i]; said.Call {
	case translate.Accept:
		if k.peer == "" {
			k.peer = e.From.ID
			k.expiry.Stop()
			c.session.Soon(func() { c.flush(label(e.From), k) })
		}
	case translate.Decline, translate.Cancel, translate.End:
		// For the hub, too: the next call is another one, in which the roles may be others.
		c.session.Soon(func() { c.session.HangUp(e.From.ID) }) //nolint:errcheck // the page may have done it
		c.drop(k)
		return []signal.Frame{c.hangUp(label(e.From))}
	case translate.InCall:
		return c.spoken(e.From, &said, &k.partner)
	}
	return nil
}

// ring answers a page that calls, towards which this end has that role. mu is held.
func (c *conversation) ring(from signal.Member, said *translate.Said, polite bool) {
	k := c.find(from)
	switch {
	case k != nil && k.peer == "" && !polite:
		return // the two have called each other, and the page accepts this end's call
	case k != nil && k.peer == "":
		c.drop(k) // likewise, and the page makes the offer
	case k != nil && k.peer == from.ID:
		c.refuse(from, said.ID, translate.Decline)
		return
	case k != nil || len(c.calls) >= maxCalls:
		c.session.Soon(func() { c.end(from.ID, said.ID, translate.Decline) })
		return
	}
	c.calls = append(c.calls, &call{id: said.ID, user: from.User, peer: from.ID, flushed: true})
	answer := translate.Said{Call: translate.Accept, ID: said.ID}
	c.session.Soon(func() {
		c.session.Signal(signal.Signal{To: from.ID, Data: answer.Data()}) //nolint:errcheck // then it is gone
	})
}

// flush says what has waited for the other end to accept. It runs under the session's work, so no
// frame of the client's comes between.
func (c *conversation) flush(name string, k *call) {
	c.mu.Lock()
	waiting, to := c.release(k), k.peer
	k.flushed = true
	c.mu.Unlock()
	for _, data := range waiting {
		if c.session.Signal(signal.Signal{To: to, Data: data}) != nil {
			c.forget(k)
			c.end(to, k.id, translate.End)
			c.session.Reply(c.hangUp(name))
			return
		}
	}
}

// callLeft is the end of a call for the hub. mu is held.
func (c *conversation) callLeft(e *signal.PeerLeft) []signal.Frame {
	k := c.find(e.Peer)
	if k == nil || !k.isWith(e.Peer) {
		return nil
	}
	if o, err := object.Parse(e.Data); err == nil && k.peer == "" {
		if said, ok := translate.Read(o); ok && said.ID != k.id {
			return nil // the last word of another call
		}
	}
	c.drop(k)
	return []signal.Frame{c.hangUp(label(e.Peer))}
}

// hangUp tells the client that somebody has hung up.
func (c *conversation) hangUp(name string) signal.Frame {
	o := c.addressed("hang-up")
	o.SetText("name", name)
	return signal.Frame{Body: o.JSON()}
}
