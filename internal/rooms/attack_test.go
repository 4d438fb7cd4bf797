package rooms

import (
	"strings"
	"testing"

	"signalbox/signal"
	"signalbox/signal/client"
)

// A key for some rooms learns of no others, not even their names from where a page ends; nor is its
// page empty because of them.
func TestHub13AKeyForSomeRoomsLearnsOfNoOthers(t *testing.T) {
	t.Parallel()
	b := start(t, signal.Options{})
	for _, room := range []string{"a secret", "lesson-1", "lesson-2", "z secret"} {
		b.want(201, room, all, "POST", "/api/rooms", `{"room":"`+room+`"}`)
	}
	for after, want := range map[string]string{"": `"next":"lesson-1"`, "lesson-1": `"next":"lesson-2"`,
		"lesson-2": `{"rooms":[]}`} {
		_, text := b.ask(lessons, "GET", "/api/rooms?limit=1&after="+after, "")
		if !strings.Contains(text, want) || strings.Contains(text, "secret") {
			t.Errorf("after %q: %s", after, text)
		}
	}
}

// A key is for names as the hub knows them: a mark that joins the last letter of a pattern makes
// another name of it.
func TestHub13AKeyIsForNamesAsTheHubKnowsThem(t *testing.T) {
	t.Parallel()
	b := start(t, signal.Options{})
	b.api.Apply(Options{
		Keys: []Key{{Name: "cafe", Key: lessons, May: Rights(), Rooms: []string{"cafe*"}}},
		Mint: b.api.inForce.Load().Mint,
	})
	for _, c := range []struct{ path, body string }{
		{"/api/rooms", `{"room":"cafe\u0301"}`}, {"/api/tokens", `{"rooms":["cafe\u0301"]}`},
		{"/api/tokens", `{"room_patterns":["cafe\u0301*"]}`},
	} {
		b.want(403, "not for that room", lessons, "POST", c.path, c.body)
	}
	b.api.Apply(Options{Keys: []Key{{Key: lessons, May: Rights(), Rooms: []string{"cafe\u0301"}}}})
	b.want(201, "", lessons, "POST", "/api/rooms", `{"room":"caf\u00e9"}`)
}

// A server that stores names in another normalization form means the same people.
func TestHub13ServersNamePeopleAsTheySeeThem(t *testing.T) {
	t.Parallel()
	b := start(t, signal.Options{})
	rene := b.dial("Ren\u00e9", "ren\u00e9")
	if err := b.join(rene, "tea"); err != nil {
		t.Fatal(err)
	}
	b.want(204, "", all, "POST", "/api/send", `{"to":"@rene\u0301","data":1}`)
	await[client.SignalEvent](t, rene)
	b.want(200, `{"kicked":1}`, all, "POST", "/api/rooms/tea/kick", `{"user":"rene\u0301"}`)
	await[client.RoomClosed](t, rene)
	if err := b.join(rene, "tea"); err != nil {
		t.Fatal(err)
	}
	b.want(400, "either", all, "POST", "/api/rooms/tea/kick", `{"user":""}`)
	b.want(404, "no-such-peer", all, "POST", "/api/rooms/tea/kick", `{"user":"\u200b"}`)
}

// A key for some users makes nobody another user, and speaks to no others.
func TestHub13AKeyForSomeUsersMakesNoOthers(t *testing.T) {
	t.Parallel()
	b := start(t, signal.Options{})
	b.api.Apply(Options{
		Keys: []Key{{Name: "school", Key: lessons, May: Rights(), Users: []string{"pupil-*", "caf\u00e9"}}},
		Mint: b.api.inForce.Load().Mint,
	})
	for user, status := range map[string]int{
		"pupil-1": 200, "": 200, "cafe\u0301": 200, "admin": 403, "pupil": 403, "Pupil-1": 403, "*": 403, "\u200b": 403,
	} {
		b.want(status, "", lessons, "POST", "/api/tokens", `{"rooms":["tea"],"user":"`+user+`"}`)
	}
	for to, status := range map[string]int{"@pupil-1": 404, "@admin": 403, "cR8yU2eFoG4aLi6tSn0xKw": 403, "@": 403} {
		b.want(status, "", lessons, "POST", "/api/send", `{"to":"`+to+`","data":1}`)
	}
}
