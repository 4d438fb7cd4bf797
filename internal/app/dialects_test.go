package app

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/gorilla/websocket"

	"signalbox/signal"
)

// post makes a request and returns its status and body.
func post(t testing.TB, url string) (int, string) {
	t.Helper()
	got, err := http.Post(url, "text/plain", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer got.Body.Close()
	var body json.RawMessage
	json.NewDecoder(got.Body).Decode(&body) //nolint:errcheck // a refusal need not be JSON
	return got.StatusCode, string(body)
}

// An app of AppRTC's finds the room, Collider and its own credential, and meets a native client.
func TestAppRTC(t *testing.T) {
	t.Parallel()
	app := startApp(t, "compat.collider_listen=127.0.0.1:0")
	web := "http://" + app.Addrs().Web
	code, text := post(t, web+"/join/tea")
	var in struct {
		Params struct {
			ClientID string `json:"client_id"`
			WSS      string `json:"wss_url"`
			ICE      string `json:"ice_server_url"`
		}
	}
	if err := json.Unmarshal([]byte(text), &in); err != nil || code != http.StatusOK {
		t.Fatal(code, text, err)
	}
	member := app.hub.Rooms("", 1)[0].Members[0]
	users := func(url string) string {
		t.Helper()
		_, text := post(t, url)
		var ice struct{ ICEServers []signal.ICEServer }
		if err := json.Unmarshal([]byte(text), &ice); err != nil || len(ice.ICEServers) != 2 {
			t.Fatal(text, err)
		}
		return ice.ICEServers[1].Username
	}
	if user := users(in.Params.ICE); !strings.HasSuffix(user, ":"+member.ID) {
		t.Errorf("the credential is for %s, not %s", user, member.ID)
	}
	if user := users(web + "/v1alpha/iceconfig"); strings.HasSuffix(user, ":"+member.ID) {
		t.Errorf("anybody's credential is for %s", user)
	}
	// Collider's own port leads to the same rooms.
	for n, url := range []string{in.Params.WSS, "ws://" + app.Addrs().Collider + "/ws"} {
		ws, _, err := websocket.DefaultDialer.Dial(url, nil)
		if err != nil {
			t.Fatal(err)
		}
		defer ws.Close()
		id := []string{in.Params.ClientID, "other"}[n]
		if err := ws.WriteJSON(map[string]string{"cmd": "register", "roomid": "tea", "clientid": id}); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, "both are there", func() bool {
		room, _ := app.hub.Room("apprtc/tea")
		away := func(m signal.MemberSnapshot) bool { return m.Away }
		return len(room.Members) == 2 && !slices.ContainsFunc(room.Members, away)
	})
}

func TestAppRTCOff(t *testing.T) {
	t.Parallel()
	app := startApp(t, "compat.apprtc=off")
	for _, path := range []string{
		"/join/tea", "/message/tea/1", "/leave/tea/1", "/v1alpha/iceconfig", "/collider/ws",
	} {
		if code, _ := post(t, "http://"+app.Addrs().Web+path); code != http.StatusNotFound {
			t.Errorf("%s: %d", path, code)
		}
	}
	for _, path := range []string{"/params", "/r/tea", "/collider/status"} {
		if code, _, _ := get(t, insecure(), "http://"+app.Addrs().Web+path); code != http.StatusNotFound {
			t.Errorf("%s: %d", path, code)
		}
	}
}

// A token is asked for as by a hello, also without a session.
func TestAppRTCAsks(t *testing.T) {
	t.Parallel()
	app := startApp(t, "auth.mode=password", "auth.password=north-north")
	web := "http://" + app.Addrs().Web
	for path, want := range map[string]int{
		"/v1alpha/iceconfig": http.StatusUnauthorized, "/v1alpha/iceconfig?token=north-north": http.StatusOK,
	} {
		if code, text := post(t, web+path); code != want {
			t.Errorf("%s: %d %s", path, code, text)
		}
	}
	if _, text := post(t, web+"/join/tea"); !strings.Contains(text, `"ERROR"`) {
		t.Error(text)
	}
	if _, text := post(t, web+"/join/tea?token=north-north"); !strings.Contains(text, `"SUCCESS"`) {
		t.Error(text)
	}
}
