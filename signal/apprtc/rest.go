package apprtc

import (
	"encoding/json"
	"net/http"
	"regexp"
	"strings"

	"signalbox/signal"
)

var restName = regexp.MustCompile(`^[a-zA-Z0-9_-]{1,128}$`)

// answer is what the room server answers.
type answer struct {
	Result string         `json:"result"`
	Params map[string]any `json:"params,omitempty"`
}

// reply writes JSON.
func reply(w http.ResponseWriter, body any) {
	header := w.Header()
	header.Set("Cache-Control", "no-store")
	header.Set("Content-Type", "application/json; charset=utf-8")
	json.NewEncoder(w).Encode(body) //nolint:errcheck // the client is gone
}

// serveJoin opens a session for a client, which has to register in time.
func (s *Server) serveJoin(w http.ResponseWriter, r *http.Request) {
	if s.hub.RefusesOrigin(w, r) {
		return
	}
	room := r.PathValue("room")
	if !restName.MatchString(room) {
		http.NotFound(w, r)
		return
	}
	c, messages, err := s.join(r, room)
	if err != nil {
		refused := answer{Result: "ERROR", Params: map[string]any{"messages": []string{}}}
		if signal.RefusalOf(err).Code == signal.CodeRoomFull {
			refused.Result = "FULL"
		} else {
			s.httpErrors.Add(1)
			refused.Params["error_messages"] = []string{signal.RefusalOf(err).Error()}
		}
		reply(w, refused)
		return
	}
	origin := s.o.Origin(r)
	params := roomParams(r.URL.Query(), origin, c.key)
	params["room_id"], params["client_id"] = room, c.id
	params["room_link"] = withQuery(origin+"/r/"+room, forOthers(r))
	params["is_initiator"] = text(c.first.Load())
	params["messages"] = messages
	reply(w, answer{"SUCCESS", params})
}

// join opens a session and returns what the first one has said so far.
func (s *Server) join(r *http.Request, room string) (c *client, messages []string, err error) {
	c = &client{server: s, room: strings.Clone(room)} // without the rest of the address
	c.bare.Store(true)
	s.desk.give(c)
	session, err := s.hub.Open(c, s.hub.ClientOf(r), hello(r), s.times.Register)
	if err != nil {
		s.desk.remove(c)
		return nil, nil, err
	}
	s.desk.settle(c, session)
	err = joinOrEnd(session, func() error { return session.Join(signal.Join{Room: room}) })
	if err != nil {
		return nil, nil, err
	}
	messages = []string{}
	// What comes from now on waits, and is encoded only when a connection takes it. None can before
	// the client knows its id, by when c.bare is false.
	for _, f := range session.Take() {
		messages = append(messages, string(f.Body))
	}
	c.bare.Store(false)
	if c.first.Load() {
		// So that nobody offers while the user is still asked for the camera.
		err = within(session, func() error { return session.Say(signal.Say{Room: room, Data: leads()}) })
	}
	return c, messages, err
}

// serveMessage passes on what a client says.
func (s *Server) serveMessage(w http.ResponseWriter, r *http.Request) {
	if s.hub.RefusesOrigin(w, r) {
		return
	}
	c, session, known := s.desk.find(r.PathValue("room"), r.PathValue("client"))
	switch {
	case !known:
		reply(w, answer{Result: "UNKNOWN_ROOM"})
		return
	case session == nil:
		reply(w, answer{Result: "UNKNOWN_CLIENT"})
		return
	}
	text, err := s.body(w, r, session)
	if err == nil {
		err = c.post(session, text)
	}
	if err != nil {
		s.httpError(w, err.Error())
		return
	}
	reply(w, answer{Result: "SUCCESS"})
}

// serveLeave ends a client's session. It is answered when the place is free.
func (s *Server) serveLeave(w http.ResponseWriter, r *http.Request) {
	if s.hub.RefusesOrigin(w, r) {
		return
	}
	if c, session, _ := s.desk.find(r.PathValue("room"), r.PathValue("client")); session != nil {
		session.Do(func() { c.leave(session) })
	}
}

// serveRoom leads to the page of a call in the same room, which any client meets.
func serveRoom(w http.ResponseWriter, r *http.Request) {
	if room := r.PathValue("room"); restName.MatchString(room) {
		http.Redirect(w, r, "/call/"+Space+"/"+room+query(r), http.StatusFound)
		return
	}
	http.NotFound(w, r)
}

func query(r *http.Request) string {
	if r.URL.RawQuery == "" {
		return ""
	}
	return "?" + r.URL.RawQuery
}
