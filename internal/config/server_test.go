package config

import (
	"strings"
	"testing"
)

// Keys and hooks are read, or what is wrong with them is said, without the secret.
func TestHub13KeysAndHooksAreChecked(t *testing.T) {
	t.Parallel()
	const key = "0123456789abcdef"
	for _, tc := range []struct{ set, want string }{
		{"api.keys=" + key, ""},
		{`api.keys=["` + key + `", {key = "fedcba9876543210", may = ["read", "kick"], rooms = "lesson-*"}]`, ""},
		{"api.keys=hunter2", "api.keys (--set): entry 1: want a key of at least 16 characters"},
		{`api.keys=["` + key + `", "` + key + `"]`, "api.keys (--set): entry 2: the key is listed twice"},
		{`api.keys=[{key = "` + key + `", may = []}]`, "api.keys (--set): entry 1: may: want at least one of read"},
		{`api.keys=[{key = "` + key + `", may = ["write"]}]`, `api.keys (--set): entry 1: may: "write" is none`},
		{`api.keys=[{key = "` + key + `", rooms = [""]}]`, "api.keys (--set): entry 1: rooms: the name of a room"},
		{`api.keys=[{key = "` + key + `", users = ["pupil-*"]}]`, ""},
		{`api.keys=[{key = "` + key + `", users = [""]}]`, "api.keys (--set): entry 1: users: the name of a user"},
		{`api.keys=[{secret = "` + key + `"}]`, `api.keys (--set): entry 1: "secret" is none of key`},
		{`api.keys=[{key = 5}]`, "api.keys (--set): entry 1: "},
		{`api.keys=a key with many spaces`, "api.keys (--set): entry 1: a key has only letters, digits"},
		{"webhook.url=https://app.example.org/", "webhook.secret (--set): webhook.url needs one"},
		{"webhook.connect_url=https://app.example.org/", "webhook.secret (--set): webhook.connect_url needs one"},
		{"webhook.url=ftp://u:hunter2@app.example.org/", "webhook.url (--set): that is no URL"},
		{"webhook.secret=hunter2", "webhook.secret (--set): want at least 16 characters"},
		{"webhook.events=room-opened", ""},
		{"webhook.events=[]", "webhook.events (--set): want at least one of room-opened"},
		{"webhook.events=room-open", `webhook.events (--set): "room-open" is none of room-opened`},
		{"webhook.connect_timeout=6s", `webhook.connect_timeout (--set): want "100ms" to "5s"`},
		{"webhook.connect_unanswered=maybe", `webhook.connect_unanswered (--set): "maybe" is none of refuse, admit`},
	} {
		_, err := load(t, LoadOptions{Set: []string{tc.set}})
		switch {
		case tc.want == "" && err != nil:
			t.Errorf("%s: %v", tc.set, err)
		case tc.want != "" && (err == nil || !strings.HasPrefix(err.Error(), tc.want) ||
			strings.Contains(err.Error(), "hunter2")):
			t.Errorf("%s: error %v, want %s", tc.set, err, tc.want)
		}
	}
	keys := `api.keys=[{key = "` + key + `", name = "lessons", may = "read"}, "fedcba9876543210"]`
	c, err := load(t, LoadOptions{Set: []string{keys}})
	if err != nil || c.API.Keys[0].Name != "lessons" || len(c.API.Keys[0].May) != 1 || c.API.Keys[1].Name != "key 2" ||
		len(c.API.Keys[1].May) != len(apiRights()) {
		t.Errorf("got %+v: %v", c.API.Keys, err)
	}
	file := writeFile(t, "[[api.keys]]\nkey = \""+key+"\"\n[[api.keys]]\nkey = \"short\"\n")
	if _, err := load(t, LoadOptions{File: file}); err == nil ||
		!strings.HasPrefix(withoutFile(err, file), "api.keys (line 1): entry 2: want a key") {
		t.Errorf("got %v", err)
	}
	if secrets := strings.Join(c.Secrets(), " "); secrets != "api.keys" {
		t.Errorf("secrets are in %s", secrets)
	}
}

// What the box says should not be read on the way.
func TestHub13HooksInTheClearAreWarnedOf(t *testing.T) {
	t.Parallel()
	const key = "0123456789abcdef"
	for url, warns := range map[string]bool{
		"http://app.example.org/": true, "https://app.example.org/": false, "http://localhost:3000/": false,
		"http://127.0.0.1:3000/": false, "http://10.0.0.1/": true,
	} {
		c, err := load(t, LoadOptions{Set: []string{"webhook.url=" + url, "webhook.secret=" + key}})
		if err != nil {
			t.Fatal(err)
		}
		warned := false
		for _, w := range c.Warnings() {
			warned = warned || w.Key == "webhook.url"
		}
		if warned != warns {
			t.Errorf("%s: %v", url, c.Warnings())
		}
	}
}
