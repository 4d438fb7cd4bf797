package socketio

import (
	"fmt"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"signalbox/signal"
	"signalbox/signal/native"
)

// Everybody gets every message as it was said, though their memory is used again: clients of the
// same version, of another one and of another protocol.
func TestMemoryOfMessagesIsUsedAgain(t *testing.T) {
	t.Parallel()
	const rounds, burst = 10, 8
	url, hub := newBox(t, signal.Options{}, Options{Relay: true, Capacity: 128})
	web := httptest.NewServer(native.New(hub))
	defer web.Close()
	conn, _, err := websocket.DefaultDialer.Dial(strings.Replace(web.URL, "http", "ws", 1), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	conn.SetReadDeadline(time.Now().Add(patience)) //nolint:errcheck // the next read tells
	all := []*raw{{t, conn}}
	all[0].say(`{"type":"hello"}`, `{"type":"join","room":"sio/den"}`)
	await(t, all[0], `"joined"`, 1)
	for i, version := range []int{4, 4, 4, 3} {
		c := dial(t, url, version, "&room=den")
		if version == 4 {
			c.say("40")
		}
		all = append(all, c)
		for _, other := range all[:i+1] { // so that all are there before they talk
			await(t, other, "peer-joined", 1)
		}
	}
	for _, c := range all {
		c.SetReadDeadline(time.Now().Add(patience)) //nolint:errcheck // the next read tells
	}
	var talk sync.WaitGroup
	for me, c := range all {
		talk.Go(func() {
			for round := range rounds {
				for n := range burst {
					c.say(said(me, round, n))
				}
				for _, got := range await(t, c, `"said"`, burst*(len(all)-1)) {
					if !whole(got) {
						t.Errorf("%d got %.80q", me, got)
						return
					}
				}
			}
		})
	}
	talk.Wait()
}

// said is what a client says: whose text tells whether it is whole. Some are longer than what is
// kept to be used again.
func said(me, round, n int) string {
	size := []int{1, 100, 1500, 9000}[(me+n)%4] + round
	event := fmt.Sprintf(`["said",%d,"%s"]`, size, strings.Repeat(string(rune('a'+(me*31+round*7+n)%26)), size))
	if me == 0 {
		return `{"type":"broadcast","room":"sio/den","data":` + event + `}`
	}
	return "42" + event
}

func whole(got string) bool {
	_, event, _ := strings.Cut(got, `["said",`)
	size, text := 0, ""
	if n, _ := fmt.Sscanf(event, "%d,%q]", &size, &text); n != 2 || len(text) != size {
		return false
	}
	return strings.Count(text, text[:1]) == size
}

// await reads until so many messages have come that contain a word, and returns those.
func await(t *testing.T, c *raw, word string, n int) (found []string) {
	for len(found) < n {
		got := c.read()
		switch {
		case strings.Contains(got, word):
			found = append(found, got)
		case got == "closed", got == "nothing in time":
			t.Errorf("%s instead of a message", got)
			return nil
		}
	}
	return found
}
