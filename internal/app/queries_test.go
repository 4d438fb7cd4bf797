package app

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strings"
	"testing"
	"time"

	"signalbox/internal/testkit"
)

// An address may be as long as a request's head, 32 KiB, and is nothing that a session pays for: so
// no dialect keeps it, nor a part of it that keeps the whole alive.
func TestAttackLongAddresses(t *testing.T) {
	app := startApp(t, "signal.sessions_per_source=0")
	web := "://" + app.Addrs().Web
	const clients = 20
	for name, path := range map[string]string{
		"yjs":       "/yjs?token=t%s",
		"chat":      "/chat?token=t%s",
		"peerjs":    "/peerjs?key=peerjs&token=t&id=%s",
		"collider":  "/collider/ws?token=t%s",
		"socket.io": "/socket.io/?EIO=4&transport=websocket&token=t%s",
		"join":      "/join/%s?y=",
	} {
		mark := "-by-" + name
		padding := strings.Repeat(mark, 24<<10/len(mark))
		for n := range clients {
			id := fmt.Sprint("client", n)
			address := fmt.Sprintf(path, id) + "&x=" + padding
			if name == "join" {
				if _, text := post(t, "http"+web+address); !strings.Contains(text, "SUCCESS") {
					t.Fatal(text)
				}
				continue
			}
			conn := dial(t, "ws"+web+address)
			switch name {
			case "yjs":
				tell(t, conn, `{"type":"ping"}`)
			case "chat":
				tell(t, conn, `{"type":"username","name":"`+id+`"}`)
			case "collider":
				tell(t, conn, `{"cmd":"register","roomid":"`+id+`","clientid":"1"}`)
				tell(t, conn, `{"cmd":"dance"}`)
			case "socket.io":
				await(t, conn, "0{")
				tell(t, conn, "40")
			}
			await(t, conn, "")
		}
		what := fmt.Sprintf("the addresses of %d clients by %s are let go", clients, name)
		testkit.Eventually(t, 10*time.Second, what, func() bool {
			return held(t, mark) < clients/2*len(padding)
		})
	}
}

// held is how many bytes the objects in use have of copies of text.
func held(t *testing.T, text string) int {
	t.Helper()
	dump, err := os.Create(filepath.Join(t.TempDir(), "heap"))
	if err != nil {
		t.Fatal(err)
	}
	defer os.Remove(dump.Name())
	defer dump.Close()
	runtime.GC()
	runtime.GC() // what pools keep goes with the second
	debug.WriteHeapDump(dump.Fd())
	objects, err := os.ReadFile(dump.Name())
	if err != nil {
		t.Fatal(err)
	}
	return bytes.Count(objects, []byte(text)) * len(text)
}
