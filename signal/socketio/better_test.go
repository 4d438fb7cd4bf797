package socketio

import (
	"testing"

	"signalbox/signal"
)

// What the box does better than the tutorials' servers, each by name.
func TestBetterThanTheOriginals(t *testing.T) {
	t.Parallel()
	const connected, ice = `40{"sid":"*`, `42["ice",*`
	// pair has two clients that have joined by an event, and heard of each other.
	type pair struct{ a, b, c *raw }
	codelab := func(p pair) {
		p.a.say(`42["create or join","t"]`)
		p.a.expect(`42["log",*`, `42["log",*`, `42["log",*`, `42["created","t",*`, ice)
		p.b.say(`42["create or join","t"]`)
		p.b.expect(`42["log",*`, `42["log",*`, `42["log",*`, `42["joined","t",*`, `42["ready"]`, ice)
		p.a.expect(`42["join","t"]`, `42["ready"]`)
	}
	vjoin := func(p pair) {
		p.a.say(`42["vjoin","t","a"]`)
		p.a.expect(`42["vjoined","t"]`, ice)
		p.b.say(`42["vjoin","t","b"]`)
		p.b.expect(`42["vjoined","t"]`, ice)
		p.a.expect(`42["votherjoined","t","b"]`)
	}
	course := func(p pair) {
		p.a.say(`42["join","t"]`)
		p.a.expect(`42["joined","t",*`, ice)
		p.b.say(`42["join","t"]`)
		p.b.expect(`42["joined","t",*`, ice)
		p.a.expect(`42["otherjoin","t",*`)
	}
	joinRoom := func(p pair) {
		p.a.say(`42["join-room","t","a"]`)
		p.a.expect(ice)
		p.b.say(`42["join-room","t","b"]`)
		p.b.expect(ice)
		p.a.expect(`42["user-connected","b"]`)
	}
	for name, tc := range map[string]struct {
		joined, then func(pair)
	}{
		"only members may send": {vjoin, func(p pair) {
			p.c.say(`42["vdata","t",1]`, `42["vjoin","other"]`)
			p.c.expect(`42["vjoined","other"]`)
			p.b.say(`42["vdata","t",2]`)
			p.a.expect(`42["vgetdata","t",2]`)
		}},
		"messages stay in the room": {codelab, func(p pair) {
			p.a.say(`42["message","secret"]`)
			p.b.expect(`42["message","secret"]`)
			p.c.say(`42["create or join","other"]`)
			p.c.expect(`42["log",["Message from server:","Received request to create or join room other"]]`)
		}},
		"to join again is answered and announced to nobody": {codelab, func(p pair) {
			p.b.say(`42["create or join","t"]`)
			p.b.expect(`42["log",*`, `42["log",*`, `42["log",*`, `42["joined","t",*`)
			p.b.say(`42["message","next"]`)
			p.a.expect(`42["message","next"]`)
		}},
		"who says bye has left, and who remains is told created": {codelab, func(p pair) {
			p.b.say(`42["message","bye"]`)
			p.a.expect(`42["message","bye"]`, `42["created","t",*`)
			p.c.say(`42["create or join","t"]`)
			p.c.expect(`42["log",*`, `42["log",*`, `42["log",*`, `42["joined","t",*`)
			p.a.expect(`42["join","t"]`, `42["ready"]`)
		}},
		"a lost peer said message bye, and who remains is told created": {codelab, func(p pair) {
			p.b.Close()
			p.a.expect(`42["message","bye"]`, `42["created","t",*`)
		}},
		"a lost peer: votherleft": {vjoin, func(p pair) {
			p.b.Close()
			p.a.expect(`42["votherleft","t","b"]`)
		}},
		"a lost peer: bye": {course, func(p pair) {
			p.b.Close()
			p.a.expect(`42["bye","t",*`)
		}},
		"a lost peer: user-disconnected": {joinRoom, func(p pair) {
			p.b.Close()
			p.a.expect(`42["user-disconnected","b"]`)
		}},
		"nothing a client sends can stop the server": {vjoin, func(p pair) {
			p.c.say(`42["vleave","nobody-is-here","c"]`, `42["vleave"]`, `42["vdata"]`, `42{}`)
			p.c.expect("closed")
			p.b.say(`42["vdata","t",3]`)
			p.a.expect(`42["vgetdata","t",3]`)
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			url, _ := newBox(t, signal.Options{}, Options{Capacity: 128})
			p := pair{dial(t, url, 4, ""), dial(t, url, 4, ""), dial(t, url, 4, "")}
			for _, c := range []*raw{p.a, p.b, p.c} {
				c.say("40")
				c.expect(connected)
			}
			tc.joined(p)
			tc.then(p)
		})
	}
}
