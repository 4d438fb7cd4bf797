package apprtc

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"time"

	"signalbox/signal"
)

const icePath = "/v1alpha/iceconfig"

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

// serveParams is for iOS, which asks for the parameters without a room.
func (s *Server) serveParams(w http.ResponseWriter, r *http.Request) {
	if !s.hub.RefusesOrigin(w, r) {
		reply(w, roomParams(r.URL.Query(), s.o.Origin(r), ""))
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

// forOthers is what a link by which others join has of a request's query: a token is the client's
// own.
func forOthers(r *http.Request) url.Values {
	q := r.URL.Query()
	q.Del("token")
	return q
}

// text is JSON in a string: that is how most parameters are wanted.
func text(v any) string {
	s, _ := json.Marshal(v) // maps, texts and booleans always have JSON
	return string(s)
}

// roomParams are the parameters of a room, as clients parse them. pc_config has no ICE servers:
// Android would drop their credentials, and every client asks ice_server_url if there are none.
// origin is where the client finds the box.
func roomParams(q url.Values, origin, key string) map[string]any {
	config := map[string]any{"iceServers": []string{}, "bundlePolicy": "max-bundle", "rtcpMuxPolicy": "require"}
	if it := q.Get("it"); it != "" {
		config["iceTransports"], config["iceTransportPolicy"] = it, it
	}
	ice, socket := url.Values{}, url.Values{}
	for name, value := range map[string]string{"key": key, "tt": transport(q)} {
		if value != "" {
			ice.Set(name, value)
		}
	}
	if token := q.Get("token"); token != "" {
		socket.Set("token", token)
		if key == "" {
			ice.Set("token", token)
		}
	}
	loopback := q.Get("debug") == "loopback"
	return map[string]any{
		"error_messages": []string{}, "warning_messages": []string{}, "messages": []string{},
		"is_loopback":              text(loopback),
		"pc_config":                text(config),
		"pc_constraints":           connection(q),
		"offer_options":            "{}",
		"media_constraints":        text(media(q)),
		"ice_server_url":           withQuery(origin+icePath, ice),
		"ice_server_transports":    transport(q),
		"include_loopback_js":      "",
		"wss_url":                  withQuery("ws"+strings.TrimPrefix(origin, "http")+colliderPath+"ws", socket),
		"wss_post_url":             origin + strings.TrimSuffix(colliderPath, "/"),
		"bypass_join_confirmation": "false",
		"version_info":             "null",
		"header_message":           nil,
	}
}

func withQuery(address string, q url.Values) string {
	if len(q) == 0 {
		return address
	}
	return address + "?" + q.Encode()
}

// transport is the one that TURN is wanted over; empty: any.
func transport(q url.Values) string {
	switch tt := q.Get("tt"); tt {
	case "udp", "tcp", "tls":
		return tt
	}
	return ""
}

// connection are the constraints of RTCPeerConnection that dtls, dscp and ipv6 ask for: "true" or
// "false".
func connection(q url.Values) string {
	var optional []string
	for _, row := range [][2]string{{"dtls", "DtlsSrtpKeyAgreement"}, {"dscp", "googDscp"}, {"ipv6", "googIPv6"}} {
		if on, set := yesOrNo(q.Get(row[0])); set {
			optional = append(optional, text(map[string]bool{row[1]: on}))
		}
	}
	return `{"optional": [` + strings.Join(optional, ", ") + "]}"
}

// yesOrNo reads "true" or "false". Anything else is not set.
func yesOrNo(s string) (yes, set bool) {
	yes = strings.EqualFold(s, "true")
	return yes, yes || strings.EqualFold(s, "false")
}

// media are the constraints of getUserMedia that audio, video, hd and firefox_fake_device ask for.
func media(q url.Values) map[string]any {
	video := track(q.Get("video"))
	if hd, _ := yesOrNo(q.Get("hd")); hd && video == true {
		video = map[string]any{"width": map[string]int{"min": 1280}, "height": map[string]int{"min": 720}}
	}
	want := map[string]any{"audio": track(q.Get("audio")), "video": video}
	if q.Get("firefox_fake_device") != "" {
		want["fake"] = true
	}
	return want
}

// track are the constraints of one track: "true", "false", or name=value with commas between. A
// name with mandatory: or optional: before it says which it is; else those of Chromium's own are
// optional.
func track(s string) any {
	if on, set := yesOrNo(s); set || s == "" {
		return on || s == ""
	}
	mandatory, optional := map[string]string{}, []map[string]string{}
	for _, one := range strings.Split(s, ",") {
		kind, rest, told := strings.Cut(one, ":")
		if !told {
			rest = one
		}
		name, value, ok := strings.Cut(rest, "=")
		switch {
		case !ok:
		case told && kind != "mandatory", !told && strings.HasPrefix(name, "goog"):
			optional = append(optional, map[string]string{name: value})
		default:
			mandatory[name] = value
		}
	}
	return map[string]any{"mandatory": mandatory, "optional": optional}
}

// serveICE hands out ICE servers: the session's own for a key of a session, and else as the box
// gives them to anybody.
func (s *Server) serveICE(w http.ResponseWriter, r *http.Request) {
	if s.hub.RefusesOrigin(w, r) {
		return
	}
	header := w.Header()
	header.Set("Access-Control-Allow-Origin", "*") // as in the original
	header.Set("Access-Control-Allow-Methods", "POST")
	header.Set("Access-Control-Allow-Headers", "Content-Type")
	if r.Method == http.MethodOptions {
		return
	}
	key := r.URL.Query().Get("key")
	session := s.desk.byKey(key)
	if session == nil {
		s.o.ICE.ServeHTTP(w, r)
		return
	}
	var ice signal.ICE
	err := within(session, func() (err error) {
		if err = session.Meter(len(key)); err == nil {
			ice, err = session.IssueICE()
		}
		return err
	})
	if err != nil {
		http.Error(w, err.Error(), http.StatusForbidden)
		return
	}
	WriteICE(w, r, ice)
}

// WriteICE answers a request with ICE servers, of the transport that it asks for.
func WriteICE(w http.ResponseWriter, r *http.Request, ice signal.ICE) {
	servers := []signal.ICEServer{}
	for _, server := range ice.Servers {
		server.URLs = over(transport(r.URL.Query()), server.URLs)
		if len(server.URLs) > 0 {
			servers = append(servers, server)
		}
	}
	lifetime := 12 * time.Hour
	if !ice.Expires.IsZero() {
		lifetime = max(time.Until(ice.Expires), 0)
	}
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	json.NewEncoder(w).Encode(struct { //nolint:errcheck // the client is gone
		Lifetime string             `json:"lifetimeDuration"`
		Servers  []signal.ICEServer `json:"iceServers"`
	}{fmt.Sprintf("%.3fs", lifetime.Seconds()), servers})
}

// over are the URLs of STUN, and of TURN over one transport; empty: over any.
func over(transport string, urls []string) (kept []string) {
	for _, u := range urls {
		is := "udp"
		switch {
		case strings.HasPrefix(u, "turns:"):
			is = "tls"
		case strings.HasSuffix(u, "transport=tcp"):
			is = "tcp"
		}
		if transport == "" || transport == is || !strings.HasPrefix(u, "turn") {
			kept = append(kept, u)
		}
	}
	return kept
}
