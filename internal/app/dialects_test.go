package app

import (
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gorilla/websocket"
)

// body is what a GET is answered with.
func body(t *testing.T, url string) (status int, text string) {
	t.Helper()
	response, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	content, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, string(content)
}

// socketIOClient is a Socket.IO client that has connected.
func socketIOClient(t *testing.T, app *App, query string) *websocket.Conn {
	t.Helper()
	url := "ws://" + app.Addrs().Web + "/socket.io/?EIO=4&transport=websocket" + query
	conn, _, err := websocket.DefaultDialer.Dial(url, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	await(t, conn, "0{")
	tell(t, conn, "40")
	await(t, conn, "40{")
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
	web := "http://" + app.Addrs().Web
	if status, text := body(t, web+"/socket.io/?EIO=4&transport=polling"); status != 200 || text[0] != '0' {
		t.Errorf("got %d %s", status, text)
	}
	if status, text := body(t, web+"/socket.io/socket.io.js"); status != 200 || text != "// theirs" {
		t.Errorf("got %d %s", status, text)
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
		status, text := body(t, "http://"+own.Addrs().Web+"/socket.io/"+name)
		if status != 200 || !strings.Contains(text, "io.connect") {
			t.Errorf("%s: got %d %s", name, status, text)
		}
	}

	off := startApp(t, "compat.socketio=false")
	for _, path := range []string{"/socket.io/?EIO=4&transport=polling", "/socket.io/socket.io.js"} {
		if status, text := body(t, "http://"+off.Addrs().Web+path); status != 404 {
			t.Errorf("%s: got %d %s", path, status, text)
		}
	}
}
