package chat

import (
	"time"

	"signalbox/signal"
	"signalbox/signal/internal/object"
	"signalbox/signal/internal/translate"
)

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
		// The client's own end of candidates has no word.
		if len(candidate) > 0 && candidate[0] == '{' {
			o := c.addressed("new-ice-candidate")
			o.Set("candidate", candidate)
			frames = append(frames, signal.Frame{Body: o.JSON()})
		}
	}
	if by == nil || len(frames) == 0 || wait <= 0 && by.delayed == nil {
		return frames
	}
	c.delay(by, frames, wait)
	return nil
}

// delayed is what a partner has said that the client gets later. From its first such frame on, a
// partner's frames all go this way: no other can overtake one.
type delayed struct {
	frames []signal.Frame
	bytes  int         // in these
	timer  *time.Timer // until when they wait; nil: they go out as soon as may be
}

// delay has frames wait behind the others of a partner. mu is held.
func (c *conversation) delay(by *partner, frames []signal.Frame, wait time.Duration) {
	if by.delayed == nil {
		by.delayed = &delayed{}
	}
	d, size := by.delayed, waitCost
	for _, f := range frames {
		size += len(f.Body) + waitCost
	}
	full := c.held+size > maxWaiting // rather at once than more
	d.frames, d.bytes = append(d.frames, frames...), d.bytes+size
	c.hold(size)
	switch {
	case wait > 0 && d.timer == nil && !full:
		d.timer = time.AfterFunc(wait, func() { c.session.Do(func() { c.tellDelayed(d) }) })
	case d.timer == nil || full:
		c.session.Soon(func() { c.tellDelayed(d) })
	}
}

// tellDelayed tells the client what has waited.
func (c *conversation) tellDelayed(d *delayed) {
	c.mu.Lock()
	frames := c.undelay(d)
	c.mu.Unlock()
	c.session.Reply(frames...)
}

// undelay takes what has waited for the client. mu is held.
func (c *conversation) undelay(d *delayed) (frames []signal.Frame) {
	if d.timer != nil {
		d.timer.Stop()
	}
	c.hold(-d.bytes)
	frames, *d = d.frames, delayed{}
	return frames
}

// hush forgets what waits of a partner with whom the call is over. mu is held.
func (c *conversation) hush(p *partner) {
	if p.delayed != nil {
		c.undelay(p.delayed)
	}
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
