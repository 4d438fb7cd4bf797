package apprtc

import (
	"encoding/json"
	"net/http"
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"signalbox/signal"
)

// The black-box cases of AppRTC's own tests: two join, a third finds the room full, and who remains
// is the first when another comes.
func TestJoinAndLeave(t *testing.T) {
	t.Parallel()
	b := start(t, signal.Options{}, nil)
	first, j := b.enter("room-1")
	digits := regexp.MustCompile(`^\d{20}$`)
	if j.Params.Initiator != "true" || !digits.MatchString(first) || j.Params.RoomID != "room-1" {
		t.Errorf("got %+v", j)
	}
	second, j := b.enter("room-1")
	if j.Params.Initiator != "false" || second == first {
		t.Errorf("got %+v", j)
	}
	if _, text := b.call("POST", "/join/room-1", ""); text != `{"result":"FULL","params":{"messages":[]}}`+"\n" {
		t.Errorf("got %q", text)
	}
	b.say("room-1", "99", "x", "UNKNOWN_CLIENT")
	b.say("room-2", first, "x", "UNKNOWN_ROOM")
	if got, text := b.call("POST", "/leave/room-1/"+first, ""); got.StatusCode != http.StatusOK || text != "" {
		t.Errorf("got %s %q", got.Status, text)
	}
	if _, j = b.enter("room-1"); j.Params.Initiator != "false" {
		t.Errorf("got %+v", j)
	}
	for _, path := range []string{"/join/no%20name", "/join/", "/join/a/b"} {
		if got, _ := b.call("POST", path, ""); got.StatusCode != http.StatusNotFound {
			t.Errorf("%s: %s", path, got.Status)
		}
	}
}

// What the first one says before there is a second comes with the second one's join, in order.
func TestMessagesOfTheFirst(t *testing.T) {
	t.Parallel()
	b := start(t, signal.Options{}, nil)
	first, _ := b.enter("r")
	said := []string{"1", `{"type":"offer","sdp":"v=0\r\n<&>"}`, "3"}
	for _, text := range said {
		b.say("r", first, text, "SUCCESS")
	}
	second, j := b.enter("r")
	if !slices.Equal(j.Params.Messages, said) {
		t.Errorf("got %q", j.Params.Messages)
	}
	// What comes between the join and the connection waits.
	b.say("r", first, "4", "SUCCESS")
	late := b.dial("/collider/ws")
	late.send(map[string]string{"cmd": "register", "roomid": "r", "clientid": second})
	late.expect("4")
	b.say("r", first, "5", "SUCCESS")
	late.expect("5")
	early := b.register("r", first)
	late.tell("6")
	early.expect("6")
}

// The types are those that the apps for Android and iOS parse.
func TestParams(t *testing.T) {
	t.Parallel()
	b := start(t, signal.Options{}, nil)
	const query = "it=relay&tt=tcp&wshpp=evil:1&wstls=false&ts=https://evil/&audio=false&hd=true"
	_, text := b.call("POST", "/join/foo?"+query, "")
	var raw struct {
		Params map[string]any `json:"params"`
	}
	if err := json.Unmarshal([]byte(text), &raw); err != nil {
		t.Fatal(err)
	}
	host := strings.TrimPrefix(b.web.URL, "http://")
	for name, want := range map[string]any{
		"is_initiator": "true", "is_loopback": "false", "pc_constraints": `{"optional": []}`, "offer_options": "{}",
		"bypass_join_confirmation": "false", "version_info": "null", "room_id": "foo", "ice_server_transports": "tcp",
		"wss_url": "ws://" + host + "/collider/ws", "wss_post_url": "http://" + host + "/collider",
		"include_loopback_js": "", "header_message": nil,
		"media_constraints": `{"audio":false,"video":{"height":{"min":720},"width":{"min":1280}}}`,
	} {
		if got, there := raw.Params[name]; got != want || !there {
			t.Errorf("%s: got %#v, want %#v", name, got, want)
		}
	}
	for _, name := range []string{"messages", "error_messages", "warning_messages"} {
		if got, _ := json.Marshal(raw.Params[name]); string(got) != "[]" {
			t.Errorf("%s: got %s", name, got)
		}
	}
	var config map[string]any
	err := json.Unmarshal([]byte(raw.Params["pc_config"].(string)), &config)
	if err != nil || config["iceTransports"] != "relay" || config["bundlePolicy"] != "max-bundle" ||
		config["rtcpMuxPolicy"] != "require" || len(config["iceServers"].([]any)) != 0 {
		t.Errorf("got %v, %v", config, err)
	}
	delete(raw.Params, "room_link") // which keeps the query
	rest, _ := json.Marshal(raw.Params)
	if text = string(rest); strings.Contains(text, "evil") {
		t.Errorf("it leads elsewhere: %s", text)
	}
	_, text = b.call("GET", "/params", "")
	var bare map[string]any
	err = json.Unmarshal([]byte(text), &bare)
	if err != nil || !strings.HasSuffix(bare["ice_server_url"].(string), icePath) {
		t.Errorf("got %s", text)
	}
}

// With debug=loopback, the client itself registers as the second one, by an id that it knows.
func TestLoopback(t *testing.T) {
	t.Parallel()
	b := start(t, signal.Options{}, nil)
	id, j := b.enter("r?debug=loopback")
	if j.Params.Loopback != "true" || j.Params.Initiator != "true" {
		t.Errorf("got %+v", j)
	}
	b.say("r", id, "1", "SUCCESS")
	other := b.dial("/collider/ws")
	other.send(map[string]string{"cmd": "register", "roomid": "r", "clientid": "LOOPBACK_CLIENT_ID"})
	other.expect("1")
	other.tell("2")
	one := b.dial("/collider/ws")
	one.send(map[string]string{"cmd": "register", "roomid": "r", "clientid": id})
	one.expect("2")
}

// The credential of a join is the session's own; without a session it is anybody's.
func TestICEIsTheSessions(t *testing.T) {
	t.Parallel()
	b := start(t, signal.Options{}, nil)
	read := func(address string) (lifetime, user string, urls []string) {
		t.Helper()
		got, text := b.call("POST", strings.TrimPrefix(address, b.web.URL), "")
		var in struct {
			LifetimeDuration string
			ICEServers       []signal.ICEServer
		}
		err := json.Unmarshal([]byte(text), &in)
		if err != nil || got.Header.Get("Access-Control-Allow-Origin") != "*" {
			t.Fatalf("got %q, %v", text, err)
		}
		for _, server := range in.ICEServers {
			urls = append(urls, server.URLs...)
			user += server.Username
		}
		return in.LifetimeDuration, user, urls
	}
	id, j := b.enter("r?tt=tcp")
	lifetime, user, urls := read(j.Params.ICE)
	shot, _ := b.hub.Room("apprtc/r")
	seconds := regexp.MustCompile(`^3\d\d\d\.\d{3}s$`)
	if user != shot.Members[0].ID || !seconds.MatchString(lifetime) ||
		!slices.Equal(urls, []string{"stun:box:3478", "turn:box:3478?transport=tcp"}) {
		t.Errorf("got %s for %s, %q", lifetime, user, urls)
	}
	if key := queryOf(t, j.Params.ICE).Get("key"); len(key) < 20 {
		t.Errorf("the key %q can be guessed", key)
	}
	b.call("POST", "/leave/r/"+id, "")
	eventually(t, "the session is over", func() bool { return b.desk.size() == 0 })
	if _, user, _ = read(j.Params.ICE); user != "anybody" {
		t.Errorf("got %s", user)
	}
}

// guard lets in who says the word.
type guard struct{}

func (guard) Admit(token string, _ netip.Addr) (signal.Pass, error) {
	if token != "word" {
		return signal.Pass{}, signal.ErrUnauthorized
	}
	return signal.Pass{}, nil
}

func TestAdmission(t *testing.T) {
	t.Parallel()
	b := start(t, signal.Options{Guard: guard{}}, nil)
	if j := b.join("r"); j.Result != "ERROR" || len(j.Params.Errors) != 1 {
		t.Errorf("got %+v", j)
	}
	first, j := b.enter("r?token=word")
	if got := queryOf(t, j.Params.WSS).Get("token"); got != "word" {
		t.Errorf("got %q", j.Params.WSS)
	}
	b.register("r", first)
	stranger := b.dial("/collider/ws")
	stranger.send(map[string]string{"cmd": "register", "roomid": "r", "clientid": "7"})
	stranger.fails("you are not allowed")
	if got, _ := b.call("POST", "/collider/r/8", "x"); got.StatusCode != http.StatusInternalServerError {
		t.Errorf("got %s", got.Status)
	}
	other := b.dial("/collider/ws?token=word")
	other.send(map[string]string{"cmd": "register", "roomid": "r", "clientid": "7"})
	other.settle()
}

func TestRoomLink(t *testing.T) {
	t.Parallel()
	b := start(t, signal.Options{}, nil)
	got, _ := b.call("GET", "/r/foo?token=t", "")
	if at := got.Header.Get("Location"); got.StatusCode != http.StatusFound || at != "/call/apprtc/foo?token=t" {
		t.Errorf("got %s %q", got.Status, at)
	}
	if got, _ = b.call("GET", "/r/%2F%2Fevil", ""); got.StatusCode != http.StatusNotFound {
		t.Errorf("got %s", got.Status)
	}
}

// A session counts for its source also while it has no connection, and ends by its deadline.
func TestNeverRegisters(t *testing.T) {
	t.Parallel()
	b := start(t, signal.Options{SessionsPerSource: 2}, func(d *times) { d.Register = 300 * time.Millisecond })
	first, _ := b.enter("r")
	socket := b.register("r", first)
	b.enter("r")
	if j := b.join("r2"); j.Result != "ERROR" {
		t.Errorf("got %+v", j)
	}
	socket.expect(bye)
	eventually(t, "its place is free", func() bool { return b.join("r2").Result == "SUCCESS" })
}
