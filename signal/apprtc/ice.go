package apprtc

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"signalbox/signal"
)

const icePath = "/v1alpha/iceconfig"

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

// transport is the one that TURN is wanted over; empty: any.
func transport(q url.Values) string {
	switch tt := q.Get("tt"); tt {
	case "udp", "tcp", "tls":
		return tt
	}
	return ""
}
