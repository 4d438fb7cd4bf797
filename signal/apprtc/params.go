package apprtc

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
)

// serveParams is for iOS, which asks for the parameters without a room.
func (s *Server) serveParams(w http.ResponseWriter, r *http.Request) {
	if !s.hub.RefusesOrigin(w, r) {
		reply(w, roomParams(r.URL.Query(), s.o.Origin(r), ""))
	}
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
