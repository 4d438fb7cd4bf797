package apprtc

import (
	"encoding/json"
	"html"
	"io"
	"net/http"
	"strings"
	"time"

	"signalbox/signal"
	"signalbox/signal/ws"
)

// enter gives a client, under its own id, a session and a seat in its room. open makes the session,
// and do has it do something.
func (s *Server) enter(c *client, open func() (*signal.Session, error),
	do func(*signal.Session, func() error) error) error {
	if !s.desk.claim(c) {
		return errDuplicate
	}
	session, err := open()
	if err != nil {
		s.desk.remove(c)
		return err
	}
	s.desk.settle(c, session)
	err = do(session, func() error { return session.Join(signal.Join{Room: c.room}) })
	if err != nil && signal.RefusalOf(err).Code == signal.CodeRoomFull {
		return errFull
	}
	return err
}

// joinOrEnd has a session that nobody carries join, or end.
func joinOrEnd(s *signal.Session, join func() error) error {
	return within(s, func() error {
		err := join()
		if err != nil {
			s.Bye()
		}
		return err
	})
}

// within runs the work of a session, for a request.
func within(s *signal.Session, work func() error) error {
	err := error(signal.Refuse(signal.CodeResumeExpired, ""))
	s.Do(func() { err = work() })
	return err
}

// Collider serves Collider at the paths of the original, from the root.
func (s *Server) Collider() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("/ws", s.serveSocket)
	mux.HandleFunc("/status", s.serveStatus)
	mux.HandleFunc("/", s.serveClient)
	return mux
}

// serveSocket serves a client's WebSocket.
func (s *Server) serveSocket(w http.ResponseWriter, r *http.Request) {
	if ws.RefusesPlain(w, r, "Collider's protocol") {
		return
	}
	s.opened.Add(1)
	s.sockets.Serve(w, r, &client{server: s, token: strings.Clone(r.URL.Query().Get("token"))})
}

// serveClient passes on what is posted for the other client, and removes clients.
func (s *Server) serveClient(w http.ResponseWriter, r *http.Request) {
	if s.hub.RefusesOrigin(w, r) {
		return
	}
	w.Header().Set("Access-Control-Allow-Origin", "*")
	w.Header().Set("Access-Control-Allow-Methods", "POST, DELETE")
	path := strings.Split(r.URL.Path, "/")
	if len(path) != 3 || !isName(path[1]) || !isName(path[2]) || path[1] == "" || path[2] == "" {
		s.httpError(w, "Invalid path: "+html.EscapeString(r.URL.Path))
		return
	}
	// What is kept of a request must not keep all of its address.
	room, id := strings.Clone(signal.RoomName(path[1])), strings.Clone(path[2])
	switch r.Method {
	case http.MethodPost:
		if err := s.postTo(w, r, room, id); err != nil {
			s.httpError(w, err.Error())
			return
		}
	case http.MethodDelete:
		if c, session, _ := s.desk.find(room, id); session != nil {
			session.Do(func() { c.leave(session) })
		}
	default:
		return
	}
	io.WriteString(w, "OK\n") //nolint:errcheck // the client is gone
}

// postTo says a message for a client, which need not have registered yet.
func (s *Server) postTo(w http.ResponseWriter, r *http.Request, room, id string) error {
	if r.ContentLength == 0 {
		return errEmpty
	}
	c, session, fresh, err := s.addressee(r, room, id)
	if err != nil {
		return notSent(err)
	}
	text, err := s.body(w, r, session)
	if err == nil && text == "" {
		err = errEmpty
	}
	if err != nil {
		if fresh {
			session.Do(func() { c.leave(session) })
		}
		return err
	}
	if err := c.post(session, text); err != nil {
		return notSent(err)
	}
	return nil
}

// addressee is the client that something is posted for. One that is not there gets a fresh session.
func (s *Server) addressee(r *http.Request, room, id string) (
	c *client, session *signal.Session, fresh bool, err error,
) {
	c, session, _ = s.desk.find(room, id)
	if c == nil {
		fresh = true
		c = &client{server: s, room: room, id: id}
		err = s.enter(c, func() (*signal.Session, error) {
			session, err = s.hub.Open(c, s.hub.ClientOf(r), hello(r), s.times.Reconnect)
			return session, err
		}, joinOrEnd)
	} else if session == nil {
		err = errDuplicate // it is being opened by another request just now
	}
	return c, session, fresh, err
}

// notSent is why a message was not passed on, in the words of Collider.
func notSent(err error) error { return failing("Failed to send the message: " + err.Error()) }

// hello is how a client of a request is introduced: with the token of its address.
func hello(r *http.Request) signal.Hello { return signal.Hello{Token: r.URL.Query().Get("token")} }

// body reads a message for a session, for which it is held until then.
func (s *Server) body(w http.ResponseWriter, r *http.Request, session *signal.Session) (string, error) {
	size := s.hub.MaxFrame()
	if announced := r.ContentLength; announced >= 0 && announced < int64(size) {
		size = int(announced)
	}
	// As the session's work, since what it held is given back when it ends.
	if !session.Do(func() { session.Hold(size) }) {
		return "", signal.Refuse(signal.CodeResumeExpired, "")
	}
	defer session.Do(func() { session.Hold(-size) })
	text, err := io.ReadAll(http.MaxBytesReader(w, r.Body, int64(s.hub.MaxFrame())))
	if err != nil {
		return "", failing("Failed to read request body: " + err.Error())
	}
	return string(text), nil
}

func (s *Server) httpError(w http.ResponseWriter, why string) {
	s.httpErrors.Add(1)
	http.Error(w, why, http.StatusInternalServerError)
}

// serveStatus is for AppRTC's prober. Like the original's, every page may read it: it has only
// numbers.
func (s *Server) serveStatus(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Access-Control-Allow-Origin", "*")
	w.Header().Set("Access-Control-Allow-Methods", "GET")
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	json.NewEncoder(w).Encode(struct { //nolint:errcheck // the client is gone
		UpSec      float64 `json:"upsec"`
		OpenWS     int     `json:"openws"`
		TotalWS    uint64  `json:"totalws"`
		WSErrors   uint64  `json:"wserrors"`
		HTTPErrors uint64  `json:"httperrors"`
	}{
		max(time.Since(s.started).Seconds(), 0), s.hub.Carried(Name), s.opened.Load(),
		s.wsErrors.Load(), s.httpErrors.Load(),
	})
}

// atRoot leads a request to a path below Collider's to the root.
func atRoot(next http.Handler) http.Handler {
	return http.StripPrefix(strings.TrimSuffix(colliderPath, "/"), next)
}
