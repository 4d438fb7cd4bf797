package socketio

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/gorilla/websocket"

	"signalbox/signal"
	"signalbox/signal/native"
)

// No member says the server's own words: not by the relay, and no client of another protocol.
func TestMembersDoNotSayTheServersWords(t *testing.T) {
	t.Parallel()
	const connected, ice = `40{"sid":"*`, `42["ice",{"iceServers":[]}]`
	words := []string{
		`["ice",{"iceServers":[{"urls":"turn:evil.example"}]}]`, `["\u0069ce",{}]`, `["full","milk"]`,
		`["created","milk","x"]`, `["peer-left","x"]`, `["peer-joined","x"]`, `["leaved","milk","x"]`,
		`["bye","milk","x"]`, `["user-connected","x"]`,
		`["vfull","milk"]`, `["log",[]]`, `["error","x"]`,
	}
	for name, relay := range map[string]bool{"with the relay": true, "without": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			url, hub := newBox(t, signal.Options{}, Options{Relay: relay, Capacity: 128})
			web := httptest.NewServer(native.New(hub))
			defer web.Close()
			victim, member, query := dial(t, url, 4, ""), dial(t, url, 4, ""), ""
			if relay {
				query = "&room=water"
			}
			relayed := dial(t, url, 4, query)
			victim.say("40", `42["join","milk"]`)
			victim.expect(connected, `42["joined","milk",*`, ice)
			member.say("40", `42["join","milk"]`)
			member.expect(connected, `42["joined","milk",*`, ice)
			victim.expect(`42["otherjoin","milk",*`)
			for _, word := range words {
				member.say("42" + word)
			}
			member.say(`42["message","milk","done"]`)
			victim.expect(`42["message","milk","done"]`)

			conn, _, err := websocket.DefaultDialer.Dial(strings.Replace(web.URL, "http", "ws", 1), http.Header{})
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			other := &raw{t, conn}
			other.say(`{"type":"hello"}`, `{"type":"join","room":"sio/beer"}`)
			for got := ""; !strings.HasPrefix(got, `{"type":"joined"`) && got != "closed"; {
				got = other.read()
			}
			victim.say(`42["leave","milk"]`, `42["join","beer"]`)
			victim.expect(`42["leaved","milk",*`, `42["joined","beer",*`, ice)
			for _, word := range words {
				other.say(`{"type":"broadcast","room":"sio/beer","data":` + word + `}`)
			}
			for _, word := range words {
				victim.expect(`42["message","beer",` + word + `]`)
			}
			// The operator's server is one, too.
			if err := hub.TellRoom("sio/beer", []byte(`["bye","beer","x"]`)); err != nil {
				t.Fatal(err)
			}
			victim.expect(`42["bye","beer","x"]`)
			if !relay {
				return
			}
			relayed.say("40")
			relayed.expect(connected)
			third := dial(t, url, 4, query)
			third.say("40")
			third.expect(connected, ice)
			relayed.expect(ice, `42["peer-joined",*`)
			for _, word := range words {
				third.say("42" + word)
			}
			third.say(`42["anything"]`)
			relayed.expect(`42["anything"]`)
		})
	}
}

// A join that is ignored leaves the client's row open; one that is refused says why.
func TestJoinsThatFail(t *testing.T) {
	t.Parallel()
	const connected = `40{"sid":"*`
	url, hub := newBox(t, signal.Options{RoomCapacity: 3}, Options{Relay: true, Capacity: 1})
	c := dial(t, url, 4, "")
	c.say("40", `42["create or join",7]`, `42["join-room","t","`+strings.Repeat("x", maxNote)+`"]`, `42["vjoin","t"]`)
	c.expect(connected, `42["error","the name with which the client joins *`, `42["vjoined","t"]`)

	c = dial(t, url, 4, "")
	c.say("40", `42["join-room","den","a"]`)
	c.expect(connected, `42["ice",*`)
	c = dial(t, url, 4, "")
	c.say("40", `42["join-room","den","b"]`)
	c.expect(connected, `42["error","*`)
	c = dial(t, url, 4, "&room=den")
	c.say("40")
	c.expect(connected, `42["error","*`)

	web := httptest.NewServer(native.New(hub))
	defer web.Close()
	for range 3 {
		conn, _, err := websocket.DefaultDialer.Dial(strings.Replace(web.URL, "http", "ws", 1), nil)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		other := &raw{t, conn}
		other.say(`{"type":"hello"}`, `{"type":"join","room":"sio/hall"}`)
		for got := ""; !strings.HasPrefix(got, `{"type":"joined"`); {
			if got = other.read(); got == "closed" {
				t.Fatal("the others can't join")
			}
		}
	}
	c = dial(t, url, 4, "")
	c.say("40", `42["create or join","hall"]`)
	c.expect(connected, `42["log",*`, `42["log",["Message from server:","Room hall now has 3 client(s)"]]`,
		`42["full","hall"]`)
}
