package app

import (
	"strings"
	"testing"
	"time"

	"signalbox/internal/admission"
	"signalbox/internal/config"
)

func TestLinksToRooms(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		set  []string
		room string
		want string
	}{
		{[]string{"public_host=call.example.org"}, "tea", "https://call.example.org:8443/call/tea#token="},
		{[]string{"public_host=call.example.org", "web.tls_listen=:443"}, "a/b?c#d e",
			"https://call.example.org/call/a%2Fb%3Fc%23d%20e#token="},
		{[]string{"public_host=2001:db8::1"}, "tea", "https://[2001:db8::1]:8443/call/tea#token="},
		{[]string{"public_host=2001:db8::1", "tls.mode=off"}, "tea", "https://[2001:db8::1]/call/tea#token="},
		{[]string{"public_host=call.example.org", "web.trusted_proxies=127.0.0.1"}, "tea",
			"https://call.example.org/call/tea#token="},
		{[]string{"public_host=call.example.org"}, "tea*", ""},
		{nil, "tea", ""},
	} {
		c, err := load(config.LoadOptions{Set: append(tc.set, "auth.jwt_key="+testSecret)})
		if err != nil {
			t.Fatal(err)
		}
		r := admission.TokenRequest{Rooms: []string{tc.room}, TTL: time.Hour}
		if strings.Contains(tc.room, "*") {
			r.Rooms, r.Patterns = nil, r.Rooms
		}
		made, err := MintToken(&c, r)
		if err != nil {
			t.Fatal(err)
		}
		want := tc.want
		if want != "" {
			want += made.Token
		}
		if made.URL != want {
			t.Errorf("%v %q: %s, want %s", tc.set, tc.room, made.URL, want)
		}
	}
}
