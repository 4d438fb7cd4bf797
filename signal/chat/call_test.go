package chat

import (
	"fmt"
	"strings"
	"testing"

	"signalbox/signal"
	"signalbox/signal/internal/wiretest"
)

// offer has a client call somebody.
func offer(c *wiretest.Client, target string) {
	c.Say(fmt.Sprintf(`{"type":"video-offer","target":%q,"sdp":{"type":"offer","sdp":"v=0"}}`, target))
}

// rung is the id of the call that rings at a page, and the session that calls.
func rung(t testing.TB, page *wiretest.Client) (id, from string) {
	t.Helper()
	text, ok := page.Next()
	bound := map[string]any{}
	if !ok || !wiretest.Equal(text, says(true, `{"call":"ring","id":"$id"}`), bound) {
		t.Fatalf("got %s (%v), want a ring", text, ok)
	}
	return bound["$id"].(string), bound["$from"].(string)
}

// speak has a page say something of a call.
func speak(page *wiretest.Client, to, own string) {
	page.Say(fmt.Sprintf(`{"type":"signal","to":%q,"data":{"signalbox":%s}}`, to, own))
}

// Who hangs up before the page has accepted ends the call for the hub, too.
func TestClientHangsUpWhileItRings(t *testing.T) {
	t.Parallel()
	page, alice := pageAndClient(t)
	offer(alice, "bob")
	id, from := rung(t, page)
	alice.Say(`{"type":"hang-up","target":"bob"}`)
	page.Want(left(fmt.Sprintf(`{"call":"cancel","id":%q}`, id)))
	speak(page, from, fmt.Sprintf(`{"call":"accept","id":%q}`, id))
	if text, _ := page.Next(); !strings.Contains(text, `"no-such-peer"`) {
		t.Errorf("got %s", text)
	}
	page.Cut()
}

// Who accepts a call that is no more hears so, and the hub's call ends.
func TestPageAcceptsTooLate(t *testing.T) {
	t.Parallel()
	page, _ := pageAndClient(t)
	speak(page, "@alice", `{"call":"accept","id":"gone"}`)
	page.Want(left(`{"call":"end","id":"gone"}`))
	page.Cut()
}

// A target is a user as the hub writes it, and the one whose name has brackets is known by its id.
func TestTargetsAsTheHubWritesThem(t *testing.T) {
	t.Parallel()
	b := start(t, signal.Options{})
	alice := enter(t, b, "alice")
	alice.Want(userlist("alice"))
	for user, target := range map[string]string{"bob": " bob ", "e<v>e": "e<v>e"} {
		page := hello(t, b, user)
		offer(alice, target)
		id, from := rung(t, page)
		speak(page, from, fmt.Sprintf(`{"call":"accept","id":%q}`, id))
		if text, _ := page.Next(); !strings.Contains(text, `"description"`) {
			t.Errorf("got %s", text)
		}
		speak(page, from, fmt.Sprintf(`{"call":"peer","id":%q,"description":{"type":"answer","sdp":"v=1"}}`, id))
		alice.Want(`{"type":"video-answer","target":"alice","name":"$name","sdp":{"type":"answer","sdp":"v=1"}}`)
		alice.Say(fmt.Sprintf(`{"type":"hang-up","target":%q}`, target))
		page.Want(left(fmt.Sprintf(`{"call":"end","id":%q}`, id)))
		page.Cut()
	}
}

// While an offer waits, what belongs to it stays behind it.
func TestCandidatesStayBehindTheOffer(t *testing.T) {
	t.Parallel()
	page, alice := pageAndClient(t)
	speak(page, "@alice", `{"call":"ring","id":"x"}`)
	page.Next()
	for _, own := range []string{
		`"description":{"type":"offer","sdp":"v=0"}`, `"description":{"type":"answer","sdp":"v=1"}`,
		`"description":{"type":"offer","sdp":"v=2"}`, `"candidates":[{"candidate":"c"}]`,
	} {
		speak(page, "@alice", `{"call":"peer","id":"x",`+own+`}`)
	}
	alice.Want(`{"type":"video-offer","target":"alice","name":"bob","sdp":{"type":"offer","sdp":"v=0"}}`,
		`{"type":"video-answer","target":"alice","name":"bob","sdp":{"type":"answer","sdp":"v=1"}}`,
		`{"type":"video-offer","target":"alice","name":"bob","sdp":{"type":"offer","sdp":"v=2"}}`,
		`{"type":"new-ice-candidate","target":"alice","candidate":{"candidate":"c"}}`)
	speak(page, "@alice", `{"call":"peer","id":"x","candidates":[{"candidate":"d"}]}`)
	alice.Want(`{"type":"new-ice-candidate","target":"alice","candidate":{"candidate":"d"}}`)
	page.Cut()
}

// A client that is busy leaves its user's other sessions ringing.
func TestBusyClientLeavesOthersRinging(t *testing.T) {
	t.Parallel()
	b := start(t, signal.Options{Guard: guard{}, Devices: 2})
	dial := func(token string) *wiretest.Client {
		c := b.Dial(t, "/signal")
		c.Say(`{"type":"hello","token":"` + token + `"}`)
		c.Next()
		return c
	}
	client := b.Dial(t, "/chat?token=alice")
	client.Want(`{"type":"id","id":"$id"}`)
	client.Say(`{"type":"username","name":"alice"}`)
	client.Want(userlist("alice"))
	first, second := dial("bob"), dial("bob")
	speak(first, "@alice", `{"call":"ring","id":"x"}`)
	if text, _ := first.Next(); !strings.Contains(text, `"accept"`) {
		t.Fatalf("got %s", text)
	}
	other := dial("alice")
	speak(second, "@alice", `{"call":"ring","id":"y"}`)
	text, _ := other.Next()
	_, from, ok := strings.Cut(text, `"from":"`)
	if !ok || !strings.Contains(text, `"ring"`) {
		t.Fatalf("got %s", text)
	}
	other.Say(`{"type":"leave","to":"` + from[:strings.Index(from, `"`)] + `"}`)
	if text, _ := second.Next(); !strings.Contains(text, `"peer-left"`) { // of the last one alone
		t.Errorf("got %s", text)
	}
	for _, c := range []*wiretest.Client{first, second, other} {
		c.Cut()
	}
}

// Of a user who is in the lobby twice, the one that has called is the partner.
func TestUserIsTwiceInTheLobby(t *testing.T) {
	t.Parallel()
	b := start(t, signal.Options{Guard: guard{}, Devices: 2})
	come := func(token, name string) *wiretest.Client {
		c := b.Dial(t, "/chat?token="+token)
		c.Want(`{"type":"id","id":"$id"}`)
		c.Say(`{"type":"username","name":"` + name + `"}`)
		return c
	}
	first := come("alice", "alice")
	first.Want(userlist("alice"))
	second := come("alice", "alice")
	second.Want(userlist("alice"))
	bob := come("bob", "bob")
	bob.Want(userlist("alice", "bob"))
	second.Want(userlist("alice", "bob"))
	offer(second, "bob")
	bob.Want(`{"type":"video-offer","target":"bob","sdp":{"type":"offer","sdp":"v=0"}}`)
	bob.Say(`{"type":"video-answer","target":"alice","sdp":{"type":"answer","sdp":"v=1"}}`)
	second.Want(`{"type":"video-answer","target":"alice","sdp":{"type":"answer","sdp":"v=1"}}`)
}

// Who is taken out of the lobby has no partners there any more, and may ask to come in again.
func TestTakenOutOfTheLobby(t *testing.T) {
	t.Parallel()
	b := start(t, signal.Options{})
	alice, bob := two(t, b)
	offer(alice, "bob")
	bob.Next()
	if _, err := b.Evict("chat/lobby", func(m signal.Member) bool { return m.User == "alice" }); err != nil {
		t.Fatal(err)
	}
	alice.Want(`{"type":"hang-up","target":"alice","name":"bob"}`, `{"type":"userlist","users":[]}`)
	bob.Want(`{"type":"hang-up","target":"bob","name":"alice"}`, userlist("bob"))
	alice.Say(`{"type":"username","name":"alice"}`)
	alice.Want(userlist("bob", "alice"))
}
