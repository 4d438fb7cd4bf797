package app

import (
	"fmt"
	"runtime"
	"strings"
	"testing"
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
		held := func(round, padding string) int {
			before := reachable()
			for n := range clients {
				id := fmt.Sprint(round, "-", n)
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
			return reachable() - before
		}
		held("first", "")
		long := held("long", strings.Repeat("x", 24<<10))
		if plain := held("plain", ""); long-plain > clients*8<<10 {
			t.Errorf("%s: %d clients with long addresses take %d bytes, others %d", name, clients, long, plain)
		}
	}
}

// reachable is how much memory is in use.
func reachable() int {
	var m runtime.MemStats
	runtime.GC()
	runtime.GC() // what pools keep goes with the second
	runtime.ReadMemStats(&m)
	return int(m.HeapAlloc)
}
