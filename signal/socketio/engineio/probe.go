package engineio

import (
	"net/http"
	"sync"

	"signalbox/signal"
)

// probe is the dialect of a WebSocket that a polling client tries: when the client is content, the
// WebSocket carries the client's session.
type probe struct {
	server *Server
	of     *polling
	opened bool
	once   sync.Once // ends the trial
}

// upgrade serves a WebSocket of a client that polls. One at a time is tried.
func (s *Server) upgrade(w http.ResponseWriter, r *http.Request, p *polling) {
	if !p.trying.CompareAndSwap(false, true) {
		errRequest.answer(w, http.StatusBadRequest)
		return
	}
	p.try()
	d := &probe{server: s, of: p}
	defer func() {
		if !d.opened {
			d.end()
		}
	}()
	s.sockets[p.version].Serve(w, r, d)
}

func (d *probe) Terms() signal.Terms {
	return signal.Terms{Name: "engine.io probe", Hello: d.server.o.Connect}
}

func (d *probe) Opened(*signal.Session) { d.opened = true }

func (d *probe) Receive(s *signal.Session, f signal.Frame, over error) {
	switch {
	case over != nil:
		s.Refuse(over)
	case string(f.Body) == "2probe" && !f.Binary:
		s.Reply(text("3probe"))
		d.of.hurry()
	case len(f.Body) == 1 && f.Body[0] == typeUpgrade && !f.Binary:
		d.take(s)
	default:
		Break(s, "want a probe, or an upgrade")
	}
}

// take gives the WebSocket to the client's session, unless that is over.
func (d *probe) take(s *signal.Session) {
	if !d.server.remove(d.of) {
		s.Refuse(signal.Refuse(signal.CodeResumeExpired, ""))
		s.Bye()
		return
	}
	d.of.left.Store(true)
	d.of.tried()
	if err := s.Attach(d.of.link.Session()); err != nil {
		d.of.end()
		s.Bye()
	}
}

func (d *probe) Encode(dst []signal.Frame, _ signal.Event) []signal.Frame { return dst }
func (d *probe) Encoding(signal.Event) any                                { return nil }
func (d *probe) Ended(*signal.Session)                                    { d.end() }

// end is the end of a trial that has led nowhere: the client goes on to poll.
func (d *probe) end() {
	d.once.Do(func() {
		d.of.tried()
		d.of.trying.Store(false)
	})
}
