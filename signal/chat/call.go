package chat

import (
	"crypto/rand"
	"encoding/json"
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
	peer    string // the other's session; empty: it has not accepted yet
	flushed bool   // what has waited is on its way: what follows goes out at once
	waiting [][]byte
	bytes   int       // in these
	began   time.Time // by the client
}

const (
	maxCalls   = 8        // of one client
	maxWaiting = 96 << 10 // bytes of offers and candidates that wait for one client's callees, or for the client
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

// drop forgets a call, if there is one under that name, and what waits for it. mu is held.
func (c *conversation) drop(name string) {
	if k := c.calls[name]; k != nil {
		c.release(k)
		delete(c.calls, name)
	}
}

// expire forgets whom the client has called who has not accepted for so long that nobody waits any
// more. mu is held.
func (c *conversation) expire(now time.Time) {
	for name, k := range c.calls {
		if k.peer == "" && now.Sub(k.began) > patience {
			c.drop(name)
		}
	}
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
	now := time.Now()
	c.mu.Lock()
	c.expire(now)
	k := c.calls[target]
	if kind == "hang-up" {
		c.drop(target)
		peer := ""
		if k != nil {
			peer = k.peer
		}
		c.mu.Unlock()
		return c.leave(target, peer, k)
	}
	said, ok := reads(kind, o)
	fresh := k == nil && kind == "video-offer" && len(c.calls) < maxCalls
	if fresh {
		k = &call{id: rand.Text(), began: now}
	}
	if !ok || k == nil {
		c.mu.Unlock()
		return signal.Refuse(signal.CodeNoSuchPeer, "")
	}
	said.Call, said.ID = translate.InCall, k.id
	data, to, room := said.Data(), "", true
	if k.flushed {
		to = k.peer
	} else if room = c.wait(k, data); room && fresh {
		c.calls[target] = k
	}
	c.mu.Unlock()
	switch {
	case !room:
		return signal.Refuse(signal.CodeRateLimited, "too much waits for others to accept")
	case to != "":
		return c.session.Signal(signal.Signal{To: to, Data: data})
	case !fresh:
		return nil
	}
	ring := translate.Said{Call: translate.Ring, ID: k.id}
	err := c.session.Signal(signal.Signal{To: "@" + target, Data: ring.Data()})
	if err != nil {
		c.forget(target, k)
	}
	return err
}

func (c *conversation) forget(name string, k *call) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.calls[name] == k {
		c.drop(name)
	}
}

// leave ends a call. The other end hears it from the client, and from the hub.
func (c *conversation) leave(name, peer string, k *call) error {
	if k == nil {
		return signal.Refuse(signal.CodeNoSuchPeer, "")
	}
	last, to := translate.Said{Call: translate.End, ID: k.id}, peer
	if to == "" {
		last.Call, to = translate.Cancel, "@"+name
	}
	err := c.session.Signal(signal.Signal{To: to, Data: last.Data()})
	if peer != "" {
		c.session.HangUp(peer) //nolint:errcheck // it may have been quicker
	}
	return err
}

// callSaid is what the other end of a call says. mu is held.
func (c *conversation) callSaid(e *signal.Signaled) []signal.Frame {
	o, err := object.Parse(e.Data)
	if err != nil {
		return nil
	}
	said, ok := translate.Read(o)
	name := label(e.From)
	k := c.calls[name]
	switch {
	case !ok:
	case said.Call == translate.Ring:
		c.ring(name, e.From.ID, &said, e.Polite)
	case k == nil || k.id != said.ID || k.peer != "" && k.peer != e.From.ID:
	case said.Call == translate.Accept && k.peer == "":
		k.peer = e.From.ID
		c.session.Soon(func() { c.flush(name, k) })
	case said.Call == translate.Decline, said.Call == translate.Cancel, said.Call == translate.End:
		// For the hub, too: the next call is another one, in which the roles may be others.
		c.session.Soon(func() { c.session.HangUp(e.From.ID) }) //nolint:errcheck // the page may have done it
		c.drop(name)
		return []signal.Frame{c.hangUp(name)}
	case said.Call == translate.InCall:
		return c.spoken(e.From, &said, &k.partner)
	}
	return nil
}

// ring answers a page that calls, towards which this end has that role. mu is held.
func (c *conversation) ring(name, to string, said *translate.Said, polite bool) {
	answer := translate.Said{Call: translate.Accept, ID: said.ID}
	switch k := c.calls[name]; {
	case k != nil && k.peer == "" && !polite:
		return // the two have called each other, and the page accepts this end's call
	case k != nil && k.peer == "":
		c.drop(name)
		c.calls[name] = &call{id: said.ID, peer: to, flushed: true} // likewise, and the page makes the offer
	case k != nil || len(c.calls) >= maxCalls:
		answer.Call = translate.Decline
	default:
		c.calls[name] = &call{id: said.ID, peer: to, flushed: true}
	}
	c.session.Soon(func() {
		c.session.Signal(signal.Signal{To: to, Data: answer.Data()}) //nolint:errcheck // then it is gone
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
			c.forget(name, k)
			c.session.Reply(c.hangUp(name))
			return
		}
	}
}

// callLeft is the end of a call for the hub. mu is held.
func (c *conversation) callLeft(e *signal.PeerLeft) []signal.Frame {
	name := label(e.Peer)
	if k := c.calls[name]; k == nil || k.peer != "" && k.peer != e.Peer.ID {
		return nil
	}
	c.drop(name)
	return []signal.Frame{c.hangUp(name)}
}

// hangUp tells the client that somebody has hung up.
func (c *conversation) hangUp(name string) signal.Frame {
	o := c.addressed("hang-up")
	o.SetText("name", name)
	return signal.Frame{Body: o.JSON()}
}

// breath is how long a client gets to take an answer before an offer follows. The demo's client
// works on both at once, and then the offer fails; a page has one ready with its answer, if it has
// something to add.
const breath = 500 * time.Millisecond

// spoken is what a page says, in the client's words. A description that is said again is left out:
// the client would take it for another one while it still works on the first. mu is held.
func (c *conversation) spoken(from signal.Member, said *translate.Said, by *partner) []signal.Frame {
	var frames []signal.Frame
	wait := time.Duration(0)
	d := said.Description
	if d != nil && by.news(d) {
		switch d.Type {
		case "offer":
			frames = append(frames, c.description("video-offer", from, d))
			wait = time.Until(by.answered.Add(breath))
		case "answer":
			frames = append(frames, c.description("video-answer", from, d))
			by.answered = time.Now()
		}
	}
	for _, candidate := range said.Candidates {
		if len(candidate) > 0 && candidate[0] == '{' { // the client's own end of candidates has no word
			o := c.addressed("new-ice-candidate")
			o.Set("candidate", candidate)
			frames = append(frames, signal.Frame{Body: o.JSON()})
		}
	}
	size := waitCost
	for _, f := range frames {
		size += len(f.Body) + waitCost
	}
	if wait <= 0 || c.held+size > maxWaiting { // rather at once than more
		return frames
	}
	c.hold(size)
	time.AfterFunc(wait, func() {
		c.session.Do(func() {
			c.mu.Lock()
			c.hold(-size)
			stands := c.has(by)
			c.mu.Unlock()
			if stands {
				c.session.Reply(frames...)
			}
		})
	})
	return nil
}

// description is an offer or an answer to the client.
func (c *conversation) description(kind string, from signal.Member, d *translate.Description) signal.Frame {
	o := c.addressed(kind)
	o.SetText("name", label(from))
	o.Set("sdp", d.JSON())
	return signal.Frame{Body: o.JSON()}
}

// addressed is a frame to the client.
func (c *conversation) addressed(kind string) (o object.Object) {
	o.SetText("type", kind)
	o.SetText("target", label(c.session.Member()))
	return o
}
