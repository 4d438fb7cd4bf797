package app

import (
	"encoding/json"
	"io"
	"maps"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/golang-jwt/jwt/v5"
	"github.com/gorilla/websocket"

	"signalbox/internal/admin"
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
	room, _ := app.hub.Room("apprtc/tea")
	member := room.Members[0]
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

// Apps are led to the box, whatever name and scheme somebody writes into a request.
func TestAttackAppRTCLeadsHere(t *testing.T) {
	t.Parallel()
	type ask struct{ host, proto, want string }
	const public = "public_host=call.example.org"
	for name, c := range map[string]struct {
		set  []string
		asks []ask
	}{
		"direct": {[]string{public, "web.tls_listen="}, []ask{
			{"evil.example", "https", "https://call.example.org"},
			{"evil.example:1'x", "", "https://call.example.org"},
			{"call.example.org", "https", "http://call.example.org"},
			{"CALL.example.org:81", "", "http://CALL.example.org:81"},
			{"192.168.1.5:8080", "", "http://192.168.1.5:8080"}, {"box.local", "", "http://box.local"},
		}},
		"behind a proxy": {[]string{public, "web.trusted_proxies=127.0.0.1"}, []ask{
			{"call.example.org", "https", "https://call.example.org"},
			{"call.example.org", "http", "http://call.example.org"},
			{"127.0.0.1:8080", "https", "https://call.example.org"},
			{"evil.example", "http", "https://call.example.org"},
		}},
		"without a name": {nil, []ask{
			{"any.example:81", "https", "http://any.example:81"}, {"any.example:1'x", "", "http://localhost"},
		}},
		"without a name, behind a proxy": {[]string{"web.trusted_proxies=127.0.0.1"}, []ask{
			{"any.example", "https", "https://any.example"},
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			app := startApp(t, c.set...)
			for _, ask := range c.asks {
				url := "http://" + app.Addrs().Web + "/params"
				r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
				if err != nil {
					t.Fatal(err)
				}
				r.Host = ask.host
				if ask.proto != "" {
					r.Header.Set("X-Forwarded-Proto", ask.proto)
				}
				got, err := http.DefaultClient.Do(r)
				if err != nil {
					t.Fatal(err)
				}
				var in map[string]any
				err = json.NewDecoder(got.Body).Decode(&in)
				got.Body.Close()
				if err != nil {
					t.Fatalf("%+v: %s, %v", ask, got.Status, err)
				}
				for name, want := range map[string]string{
					"wss_url":      "ws" + strings.TrimPrefix(ask.want, "http") + "/collider/ws",
					"wss_post_url": ask.want + "/collider", "ice_server_url": ask.want + "/v1alpha/iceconfig",
				} {
					if in[name] != want {
						t.Errorf("%+v: %s is %v, want %s", ask, name, in[name], want)
					}
				}
			}
		})
	}
}

// Who starts the box is told that Collider's own port is to be let in, too.
func TestFirewallLetsColliderIn(t *testing.T) {
	t.Parallel()
	app := startApp(t, "compat.collider_listen=0.0.0.0:0")
	_, port, _ := net.SplitHostPort(app.Addrs().Collider)
	if got := firewall(app); !slices.Contains(got, port+"/tcp") {
		t.Errorf("the firewall's ports lack %s: %v", port, got)
	}
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

// What a dialect that is off has for addresses stays nobody's, also where web.root has such files:
// a client is not to take a page for its server.
func TestDialectsOffHideFiles(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	hidden := []string{"params", "r/tea", "collider/status", "chat", "yjs", "peerjs/id", "socket.io/socket.io.js"}
	for _, name := range append(hidden, "tea.html", "peerjs/tea.html") {
		path := filepath.Join(root, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte("<p>a file"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	app := startApp(t, "web.root="+root, "compat.socketio=off", "compat.apprtc=off", "compat.chat=off",
		"compat.peerjs=off", "compat.yjs=off")
	for _, name := range hidden {
		if code, body := read(t, app, "/"+name); code != http.StatusNotFound || strings.Contains(body, "a file") {
			t.Errorf("/%s: %d %s", name, code, body)
		}
	}
	for _, name := range []string{"tea.html", "peerjs/tea.html"} {
		if code, body := read(t, app, "/"+name); code != http.StatusOK {
			t.Errorf("/%s: %d %s", name, code, body)
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

// dialog connects to a path of a box and says texts; it returns the first answer.
func dialog(t testing.TB, app *App, path string, subprotocols []string, texts ...string) string {
	t.Helper()
	dialer := websocket.Dialer{Subprotocols: subprotocols}
	c, _, err := dialer.Dial("ws://"+app.Addrs().Web+path, nil)
	if err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	t.Cleanup(func() { c.Close() })
	for _, text := range texts {
		if err := c.WriteMessage(websocket.TextMessage, []byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	_, answer, err := c.ReadMessage()
	if err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	return string(answer)
}

// The clients of other servers find what they know at the addresses that they know.
func TestDialectsAreMounted(t *testing.T) {
	t.Parallel()
	app := startApp(t)
	subscribe := []string{`{"type":"subscribe","topics":["t"]}`, `{"type":"publish","topic":"t","data":1}`}
	for _, each := range []struct {
		path         string
		subprotocols []string
		say          []string
		want         string
	}{
		{path: "/yjs", say: subscribe, want: `{"type":"publish","topic":"t","data":1,"clients":1}`},
		{path: "/chat", want: `{"type":"id","id":`},
		{path: "/", subprotocols: []string{"json"}, want: `{"type":"id","id":`},
		{path: "/peerjs?key=peerjs&id=a&token=t", want: `{"type":"OPEN"}`},
		{path: "/peerjs/peerjs?key=peerjs&id=b&token=t", want: `{"type":"OPEN"}`},
	} {
		if got := dialog(t, app, each.path, each.subprotocols, each.say...); !strings.HasPrefix(got, each.want) {
			t.Errorf("%s: got %s, want %s", each.path, got, each.want)
		}
	}
	if code, _ := read(t, app, "/peerjs/peerjs/peers"); code != http.StatusUnauthorized {
		t.Errorf("ids are listed: %d", code)
	}
	if code, body := read(t, app, "/"); code != http.StatusOK || !strings.Contains(body, "<html") {
		t.Errorf("the start page: %d %.80s", code, body)
	}
	if _, err := http.Get("http://" + app.Addrs().Web + "/peerjs/id"); err != nil {
		t.Error(err)
	}
}

func read(t testing.TB, app *App, path string) (int, string) {
	t.Helper()
	got, err := http.Get("http://" + app.Addrs().Web + path)
	if err != nil {
		t.Fatal(err)
	}
	defer got.Body.Close()
	body, err := io.ReadAll(got.Body)
	if err != nil {
		t.Fatal(err)
	}
	return got.StatusCode, string(body)
}

func TestDialectsOff(t *testing.T) {
	t.Parallel()
	app := startApp(t, "compat.yjs=off", "compat.chat=off", "compat.peerjs=off")
	for _, path := range []string{"/yjs", "/chat", "/peerjs", "/peerjs/peerjs", "/peerjs/id", "/peerjs/peerjs/peers"} {
		if code, _ := read(t, app, path); code != http.StatusNotFound {
			t.Errorf("%s: %d", path, code)
		}
	}
	dialer := websocket.Dialer{Subprotocols: []string{"json"}}
	if c, answer, err := dialer.Dial("ws://"+app.Addrs().Web+"/", nil); err == nil {
		c.Close()
		t.Error("a call by name is taken")
	} else if answer == nil || answer.StatusCode != http.StatusNotFound {
		t.Errorf("a call by name: %v, %v", err, answer)
	}
}

// With discovery, ids are listed; capacity is that of each topic; a password is PeerJS' key.
func TestDialectsSettings(t *testing.T) {
	t.Parallel()
	app := startApp(t, "compat.peerjs_discovery=true", "compat.capacity=1")
	dialog(t, app, "/peerjs?key=peerjs&id=ann&token=t", nil)
	var ids []string
	if _, body := read(t, app, "/peerjs/peers"); json.Unmarshal([]byte(body), &ids) != nil || len(ids) != 1 ||
		ids[0] != "ann" {
		t.Errorf("got %s", body)
	}
	topic := []string{`{"type":"subscribe","topics":["t"]}`, `{"type":"publish","topic":"t","data":1}`,
		`{"type":"ping"}`}
	if got := dialog(t, app, "/yjs", nil, topic...); !strings.Contains(got, "publish") {
		t.Errorf("the first: %s", got)
	}
	if got := dialog(t, app, "/yjs", nil, topic...); !strings.Contains(got, "pong") {
		t.Errorf("the second: %s", got)
	}

	open := startApp(t, "compat.capacity=0", "signal.room_capacity=1")
	for range 3 {
		if got := dialog(t, open, "/yjs", nil, topic...); !strings.Contains(got, "publish") {
			t.Errorf("without a limit: %s", got)
		}
	}

	closed := startApp(t, "auth.mode=password", "auth.password=long-enough")
	for key, want := range map[string]string{"peerjs": "ERROR", "long-enough": "OPEN"} {
		if got := dialog(t, closed, "/peerjs/peerjs?token=t&id="+key+"&key="+key, nil); !strings.Contains(got, want) {
			t.Errorf("%s: got %s", key, got)
		}
	}
}

// socketIOClient is a Socket.IO client that has connected.
func socketIOClient(t *testing.T, app *App, query string) *websocket.Conn {
	t.Helper()
	url := "ws://" + app.Addrs().Web + "/socket.io/?EIO=4&transport=websocket" + query
	conn := dial(t, url)
	await(t, conn, "0{")
	tell(t, conn, "40")
	await(t, conn, "40{")
	return conn
}

func dial(t testing.TB, url string) *websocket.Conn {
	t.Helper()
	conn, _, err := websocket.DefaultDialer.Dial(url, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

func tell(t *testing.T, conn *websocket.Conn, message string) {
	t.Helper()
	if err := conn.WriteMessage(websocket.TextMessage, []byte(message)); err != nil {
		t.Fatal(err)
	}
}

func await(t *testing.T, conn *websocket.Conn, start string) string {
	t.Helper()
	_, message, err := conn.ReadMessage()
	if err != nil || !strings.HasPrefix(string(message), start) {
		t.Fatalf("got %s (%v), want %s", message, err, start)
	}
	return string(message)
}

// Socket.IO is served, with the box's own TURN; its rooms are the hub's, and it can be off.
func TestSocketIO(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "socket.io.js")
	if err := os.WriteFile(file, []byte("// theirs"), 0o600); err != nil {
		t.Fatal(err)
	}
	app := startApp(t, "compat.socketio_relay=true", "compat.socketio_client="+file, "compat.capacity=2")
	if status, text := read(t, app, "/socket.io/?EIO=4&transport=polling"); status != 200 || text[0] != '0' {
		t.Errorf("got %d %s", status, text)
	}
	if status, text := read(t, app, "/socket.io/socket.io.js"); status != 200 || text != "// theirs" {
		t.Errorf("got %d %s", status, text)
	}
	if status, text := read(t, app, "/socket.io/socket.io.esm.min.js"); status != 404 {
		t.Errorf("a script is served as a module: %d %s", status, text)
	}
	a := socketIOClient(t, app, "&room=den")
	if ice := await(t, a, `42["ice",{"iceServers":[`); !strings.Contains(ice, `"credential":"`) {
		t.Errorf("got %s", ice)
	}
	b := socketIOClient(t, app, "&room=den")
	await(t, b, `42["ice"`)
	await(t, a, `42["peer-joined"`)
	tell(t, b, `42["any","thing"]`)
	await(t, a, `42["any","thing"]`)
	c := socketIOClient(t, app, "&room=den") // for which there is no place
	tell(t, c, `421["any","thing"]`)
	status := app.Status().Signal
	if status.Dialects["socket.io"].Sessions != 3 || len(status.Rooms) != 1 || len(status.Rooms[0].Members) != 2 ||
		status.Rooms[0].Room != "sio/den" || status.Rooms[0].Members[0].Dialect != "socket.io" {
		t.Errorf("got %+v", status)
	}

	own := startApp(t)
	for _, name := range []string{"socket.io.js", "socket.io.min.js", "socket.io.esm.min.js"} {
		status, text := read(t, own, "/socket.io/"+name)
		if status != 200 || !strings.Contains(text, "io.connect") {
			t.Errorf("%s: got %d %s", name, status, text)
		}
	}

	off := startApp(t, "compat.socketio=off")
	for _, path := range []string{"/socket.io/?EIO=4&transport=polling", "/socket.io/socket.io.js"} {
		if status, text := read(t, off, path); status != 404 {
			t.Errorf("%s: got %d %s", path, status, text)
		}
	}
}

// Each dialect is counted, and its members are shown, by its name.
func TestDialectsAreCounted(t *testing.T) {
	t.Parallel()
	app := startApp(t, metricsOn, "compat.socketio_relay=true")
	if code, text := post(t, "http://"+app.Addrs().Web+"/join/tea"); code != http.StatusOK {
		t.Fatal(code, text)
	}
	socketIOClient(t, app, "&room=den")
	dialog(t, app, "/peerjs?key=peerjs&id=ann&token=t", nil)
	dialog(t, app, "/yjs", nil, `{"type":"subscribe","topics":["t"]}`, `{"type":"ping"}`)
	lobby := dial(t, "ws://"+app.Addrs().Web+"/chat")
	tell(t, lobby, `{"type":"username","name":"bea"}`)
	await(t, lobby, `{"type":"id"`)
	await(t, lobby, `{"type":"userlist"`)
	native := dial(t, "ws://"+app.Addrs().Web+"/signal")
	tell(t, native, `{"type":"hello"}`)
	tell(t, native, `{"type":"join","room":"den"}`)
	await(t, native, `{"type":"welcome"`)
	await(t, native, `{"type":"joined"`)

	want := map[string]string{
		"apprtc": "apprtc/tea", "socket.io": "sio/den", "peerjs": "peerjs/ann", "yjs": "yjs/t", "chat": "chat/lobby",
		"signalbox.v1": "den",
	}
	status := app.Status().Signal
	rooms := map[string]string{}
	for _, room := range status.Rooms {
		for _, member := range room.Members {
			rooms[member.Dialect] = room.Room
		}
	}
	if !maps.Equal(rooms, want) || len(status.Dialects) != len(want) {
		t.Errorf("got members in %v, and sessions %v; want %v", rooms, status.Dialects, want)
	}
	_, _, text := get(t, insecure(), "http://"+app.Addrs().Metrics+"/metrics")
	for name := range want {
		for _, line := range []string{"sessions", "sessions_opened_total"} {
			line = `signalbox_signal_dialect_` + line + `{dialect="` + name + `"} 1` + "\n"
			if !strings.Contains(text, line) {
				t.Errorf("the metrics lack %s", line)
			}
		}
	}
}

// What is on has its series from the start, what is off has none.
func TestDialectsHaveSeriesAtZero(t *testing.T) {
	t.Parallel()
	app := startApp(t, metricsOn, "compat.yjs=off")
	_, _, text := get(t, insecure(), "http://"+app.Addrs().Metrics+"/metrics")
	for _, name := range []string{"apprtc", "socket.io", "peerjs", "yjs", "chat", "signalbox.v1"} {
		for _, line := range []string{"sessions", "sessions_opened_total"} {
			line = `signalbox_signal_dialect_` + line + `{dialect="` + name + `"} 0` + "\n"
			if strings.Contains(text, line) != (name != "yjs") {
				t.Errorf("of %s: %t", line, name == "yjs")
			}
		}
	}
}

// A token's rooms hold for each dialect, by the full names.
func TestTokensHoldForDialects(t *testing.T) {
	t.Parallel()
	app := startApp(t, "auth.mode=jwt", "auth.jwt_key="+testSecret)
	for _, each := range []struct {
		name   string
		claims jwt.MapClaims
		tries  func(token string) (let, refused bool)
	}{
		{"socket.io", jwt.MapClaims{"room": "sio/t*"}, func(token string) (let, refused bool) {
			c := socketIOClient(t, app, "&token="+token)
			tell(t, c, `42["join","cake"]`)
			await(t, c, `42["full","cake"`)
			await(t, c, `42["error","you are not allowed`)
			tell(t, c, `42["join","tea"]`)
			await(t, c, `42["joined","tea"`)
			return true, true
		}},
		{"apprtc", jwt.MapClaims{"room": "apprtc/t*"}, func(token string) (let, refused bool) {
			web := "http://" + app.Addrs().Web
			_, in := post(t, web+"/join/tea?token="+token)
			_, out := post(t, web+"/join/cake?token="+token)
			return strings.Contains(in, `"SUCCESS"`), strings.Contains(out, `"ERROR"`)
		}},
		{"yjs", jwt.MapClaims{"room": "yjs/t*"}, func(token string) (let, refused bool) {
			says := func(topic string) string {
				return dialog(t, app, "/yjs?token="+token, nil, `{"type":"subscribe","topics":["`+topic+`"]}`,
					`{"type":"publish","topic":"`+topic+`","data":1}`, `{"type":"ping"}`)
			}
			return strings.Contains(says("tea"), "publish"), strings.Contains(says("cake"), "pong")
		}},
		{"peerjs", jwt.MapClaims{"room": "peerjs/*", "user": "peerjs/ann"}, func(token string) (let, refused bool) {
			says := func(id string) string {
				return dialog(t, app, "/peerjs/peerjs?token=t&id="+id+"&key="+token, nil)
			}
			return strings.Contains(says("ann"), "OPEN"), strings.Contains(says("bob"), "ERROR")
		}},
		{"chat", jwt.MapClaims{"room": "chat/*", "user": "bea"}, func(token string) (let, refused bool) {
			in := dial(t, "ws://"+app.Addrs().Web+"/chat?token="+token)
			tell(t, in, `{"type":"username","name":"ann"}`)
			await(t, in, `{"type":"id"`)
			await(t, in, `{"id":`) // rejectusername: the token says another name
			return strings.Contains(await(t, in, `{"type":"userlist"`), `"bea"`), true
		}},
	} {
		if let, refused := each.tries(token(t, each.claims)); !let || !refused {
			t.Errorf("%s: let in %v, refused elsewhere %v", each.name, let, refused)
		}
	}
}

// Pages of other origins are kept out of each dialect, as they are of the hub's own protocol.
func TestDialectsRefuseForeignOrigins(t *testing.T) {
	t.Parallel()
	app := startApp(t)
	foreign := http.Header{"Origin": {"https://evil.example"}}
	dialer := websocket.Dialer{Subprotocols: []string{"json"}}
	for _, path := range []string{
		"/socket.io/?EIO=4&transport=websocket", "/collider/ws", "/yjs", "/chat", "/",
		"/peerjs?key=peerjs&id=a&token=t",
	} {
		conn, got, err := dialer.Dial("ws://"+app.Addrs().Web+path, foreign)
		if err == nil {
			conn.Close()
		}
		if got == nil || got.StatusCode != http.StatusForbidden {
			t.Errorf("%s: %v, %v", path, got, err)
		}
	}
	for _, request := range []string{
		"GET /socket.io/?EIO=4&transport=polling", "POST /join/tea", "POST /message/tea/1", "POST /leave/tea/1",
		"GET /params", "POST /v1alpha/iceconfig", "POST /collider/tea/1", "DELETE /collider/tea/1",
	} {
		method, path, _ := strings.Cut(request, " ")
		r, err := http.NewRequestWithContext(t.Context(), method, "http://"+app.Addrs().Web+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header = foreign
		got, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		got.Body.Close()
		if got.StatusCode != http.StatusForbidden {
			t.Errorf("%s: %s", request, got.Status)
		}
	}
}

// Who is kicked is out, whatever he speaks, and one who is banned does not come back.
func TestKickedFromDialects(t *testing.T) {
	t.Parallel()
	app := startApp(t)
	web := "ws://" + app.Addrs().Web
	subscribe := `{"type":"subscribe","topics":["t"]}`
	for room, each := range map[string]struct{ path, say string }{
		"yjs/t": {"/yjs", subscribe}, "chat/lobby": {"/chat", `{"type":"username","name":"bea"}`},
		"peerjs/ann": {"/peerjs?key=peerjs&id=ann&token=t", `{"type":"HEARTBEAT"}`},
	} {
		conn := dial(t, web+each.path)
		tell(t, conn, each.say)
		var member signal.MemberSnapshot
		eventually(t, "it is in "+room, func() bool {
			shot, ok := app.hub.Room(room)
			if ok {
				member = shot.Members[0]
			}
			return ok
		})
		if out, err := app.admin.Kick(admin.Kick{Peer: member.ID}); err != nil || out.Sessions != 1 {
			t.Errorf("%s: %+v, %v", room, out, err)
		}
		var err error
		for err == nil {
			_, _, err = conn.ReadMessage()
		}
		if code, _ := signal.CodeKicked.WebSocket(); !websocket.IsCloseError(err, code) {
			t.Errorf("%s: %v", room, err)
		}
	}
	if out, err := app.admin.Kick(admin.Kick{Source: "127.0.0.1", Ban: "1h"}); err != nil {
		t.Fatal(out, err)
	}
	for _, path := range []string{"/yjs", "/peerjs?key=peerjs&id=ann&token=t", "/chat"} {
		conn, _, err := websocket.DefaultDialer.Dial(web+path, nil)
		if err != nil {
			continue // at the door
		}
		hello := []byte(`{"type":"username","name":"bea"}`)
		conn.WriteMessage(websocket.TextMessage, hello) //nolint:errcheck // it is out
		for err == nil {
			_, _, err = conn.ReadMessage()
		}
		conn.Close()
	}
	if status := app.Status().Signal; len(status.Rooms) != 0 || status.Sessions != 0 {
		t.Errorf("who is banned is in: %+v", status)
	}
}
