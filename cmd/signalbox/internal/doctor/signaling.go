package doctor

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"strings"
	"time"

	"signalbox/internal/trouble"
	"signalbox/signal/client"
)

// pair is two sessions of the box, each with the credential that the hub gave it.
type pair struct{ a, b *client.Session }

func (p *pair) close() {
	for _, s := range []*client.Session{p.a, p.b} {
		if s != nil {
			s.Close()
		}
	}
}

// signaling opens two sessions, one over each carrier, lets them meet in a room, and goes on to the
// relay. known is the scope of the box's own address.
func (d *Doctor) signaling(ctx context.Context, o Options, known scope) {
	room := "doctor-" + strings.ToLower(rand.Text())
	var p pair
	defer p.close()
	ws, _ := carry(ctx, o, room, "WebSocket", client.WebSocket, &p.a)
	sse, err := carry(ctx, o, room, "server-sent events", client.SSE, &p.b)
	if ctx.Err() != nil {
		return
	}
	if p.a != nil && client.IsCode(err, client.CodeUserTaken) {
		d.add(ws)
		d.add(skipped("the token is for one user, who is connected over WebSocket").named(sse.Name))
		d.add(skipped("the token is for one user, who is alone in every room").named("room"))
		p.b, d.meet = p.a, true
		d.relay(ctx, o, &p, false, known)
		return
	}
	d.addCarriers(ws, sse)
	if p.a == nil && p.b == nil {
		return
	}
	if p.a == nil || p.b == nil { // open both over the carrier that works
		ctx, cancel := context.WithTimeout(ctx, o.Timeout)
		extra, err := dial(ctx, o, room, client.Auto)
		cancel()
		if err != nil {
			d.add(failed(trouble.SessionRefused, "check signal.sessions and sessions_per_source", "a second session "+
				"can't be opened: %v",
				reason(err)).named("room"))
			return
		}
		if p.a == nil {
			p.a = extra
		} else {
			p.b = extra
		}
	}
	met := false
	verdict := d.check(ctx, "room", o.Timeout, func(ctx context.Context) Check {
		c, together := meet(ctx, &p, room)
		met = together
		return c
	})
	d.meet = verdict == OK || verdict == Skipped && ctx.Err() == nil
	d.relay(ctx, o, &p, met, known)
}

func (c Check) named(name string) Check {
	c.Name = name
	return c
}

// carry opens a session over one carrier and measures its round trip. A failure with the code
// trouble.Signaling is the carrier's.
func carry(ctx context.Context, o Options, room, name string, c client.Carrier, into **client.Session) (did Check,
	err error) {
	did = timed(ctx, name, o.Timeout, func(ctx context.Context) Check {
		start := time.Now()
		var s *client.Session
		if s, err = dial(ctx, o, room, c); err != nil {
			return explain(err)
		}
		*into = s
		opened := time.Since(start)
		rtt, err := s.Ping(ctx)
		if err != nil {
			return failed(trouble.Signaling, "", "it opens, but the hub answers no ping: %v", reason(err))
		}
		return ok("welcome in %s, ping %s", ms(opened), ms(rtt))
	})
	return did, err
}

// addCarriers reports both carriers. If one works, the other's failure is only a warning. A refusal
// of the box itself is the same on both and is reported once.
func (d *Doctor) addCarriers(ws, sse Check) {
	if ws.Verdict == Failed && ws.Code != trouble.Signaling && ws.Detail == sse.Detail {
		d.add(ws.named("signaling"))
		return
	}
	losses := []trouble.Code{trouble.WebSocketClosed, trouble.EventsClosed}
	both := ws.Verdict == Failed && sse.Verdict == Failed
	for i, c := range []Check{ws, sse} {
		switch {
		case c.Verdict != Failed:
		case !both:
			c.Verdict = Warning
			if c.Code == trouble.Signaling {
				c.Code, c.Fix = losses[i], fixOf(losses[i])
			}
		}
		d.add(c)
	}
}

func dial(ctx context.Context, o Options, room string, c client.Carrier) (*client.Session, error) {
	opts := client.Options{Name: "doctor", Carrier: c, TLSConfig: o.TLS, DialContext: o.Dial}
	if o.Token != nil {
		opts.Token = func(context.Context) (string, error) { return o.Token(room) }
	}
	return client.Dial(ctx, o.URL.String(), opts)
}

// explain says why a session can't be opened: trouble.Signaling if the carrier is at fault.
func explain(err error) Check {
	var none tokenError
	if errors.As(err, &none) {
		return failed(trouble.NoEntry, "pass one with --token; it is made with the private key (signalbox token "+
			"--key FILE)", "%v",
			none)
	}
	var refused *client.Error
	if !errors.As(err, &refused) {
		return failed(trouble.Signaling, "", "it can't be opened: %s", reason(cmp.Or(errors.Unwrap(err), err)))
	}
	switch refused.Code {
	case client.CodeUnauthorized:
		return failed(trouble.NoEntry, "", "no entry: %s", refused.Message)
	case client.CodeUserTaken:
		return failed(trouble.NoEntry, "use a token for another user, or wait until that user has left",
			"no entry: the user that the token names is already connected")
	case client.CodeShuttingDown:
		return failed(trouble.Draining, "",
			"the box is draining or stopping: it takes no new sessions")
	case client.CodeRateLimited:
		return failed(trouble.SessionRefused, "check signal.sessions and signal.sessions_per_source, and look at "+
			"`signalbox status`",
			"the box takes no more sessions from here: %s", refused.Message)
	case client.CodeKicked:
		return failed(trouble.Banned, "", "the box has banned this source: %s", refused.Message)
	}
	return failed(trouble.SessionRefused, "the box's log says why", "the box refuses the session: %v", refused)
}

// meet lets both enter the room and one signal to the other. together reports whether both are in.
func meet(ctx context.Context, p *pair, room string) (c Check, together bool) {
	for _, s := range []*client.Session{p.a, p.b} {
		if _, err := s.Join(ctx, room); client.IsCode(err, client.CodeUnauthorized) {
			return skipped("the token is for other rooms than doctor's random one"), false
		} else if err != nil {
			return failed(trouble.SessionRefused, "check signal.rooms and the box's log", "a room can't be entered: %v",
				err), false
		}
	}
	word := rand.Text()
	start := time.Now()
	if err := p.a.Signal(ctx, p.b.PeerID(), room, word); err != nil {
		return failed(trouble.Signaling, "the box's log may say why", "the hub does not pass on a signal: %v", err),
			true
	}
	for {
		e, err := p.b.Next(ctx)
		if err != nil {
			return failed(trouble.EventsClosed, "", "a signal does not arrive: %v", err), true
		}
		var got string
		if s, is := e.(client.SignalEvent); is && json.Unmarshal(s.Data, &got) == nil && got == word {
			return ok("two sessions meet in a room; a signal takes %s", ms(time.Since(start))), true
		}
	}
}
