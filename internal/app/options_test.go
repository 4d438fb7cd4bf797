package app

import (
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"signalbox/internal/config"
	"signalbox/internal/publicip"
	"signalbox/turnsvc/cred"
)

// Every key that is not read where it is used changes what some room is handed: a limit that gets
// lost on the way would ship unseen.
func TestEveryKeyReachesARoom(t *testing.T) {
	t.Parallel()
	// Values other than the defaults, and, behind a bar, what they need beside them.
	values := map[string]string{
		"public_host":                         "call.example.org",
		"public_ip":                           "203.0.114.7",
		"web.listen":                          "127.0.0.1:9001",
		"web.tls_listen":                      "127.0.0.1:9002",
		"web.trusted_proxies":                 "10.0.0.1",
		"web.proxy_protocol":                  "true|web.trusted_proxies=10.0.0.1",
		"web.allowed_origins":                 "https://app.example.org",
		"tls.mode":                            "files|tls.cert=a|tls.key=b",
		"tls.cert":                            "cert.pem",
		"tls.key":                             "key.pem",
		"tls.acme_email":                      "you@example.org",
		"tls.acme_directory":                  "https://ca.example.org/dir",
		"tls.acme_ca_file":                    "ca.pem",
		"turn.listen":                         "127.0.0.1:9003",
		"turn.urls":                           "turns:{host}:443",
		"turn.credential_ttl":                 "2h",
		"compat.turn_rest":                    "a-key-of-the-tests",
		"turn.realm":                          "example.org",
		"turn.relay_ports":                    "50000-50009",
		"turn.relay_ip":                       "127.0.0.1",
		"turn.default_family":                 "auto",
		"turn.secret":                         "a secret of the tests",
		"turn.old_secrets":                    "an old secret",
		"turn.rest_separator":                 "_",
		"turn.min_lifetime":                   "2m",
		"turn.nonce_lifetime":                 "2h",
		"turn.peers":                          "signaled",
		"turn.static_peers":                   "any",
		"turn.allow_peers":                    "10.0.0.0/8",
		"turn.deny_peers":                     "192.168.0.0/16",
		"turn.usage":                          "false",
		"turn.users":                          `[{name="a",password="b"}]`,
		"turn.limits.allocations":             "7",
		"turn.limits.per_user":                "7",
		"turn.limits.per_source":              "7",
		"turn.limits.permissions":             "7",
		"turn.limits.channels":                "7",
		"turn.limits.connections":             "7",
		"turn.limits.connections_per_source":  "7",
		"turn.limits.unauthorized_per_source": "7",
		"turn.limits.bandwidth":               "7",
		"turn.limits.user_bandwidth":          "7",
		"turn.limits.total_bandwidth":         "7",
		"turn.limits.total_per_month":         "7",
		"stun.probe":                          "stun.example.org:3478",
		"stun.alternate":                      "127.0.0.2:9004",
		"signal.room_capacity":                "7",
		"signal.rooms":                        "7",
		"signal.rooms_per_session":            "7",
		"signal.calls":                        "false",
		"signal.devices":                      "0",
		"signal.resume":                       "7s",
		"signal.heartbeat":                    "7s",
		"signal.max_frame":                    "7000",
		"signal.rate":                         "7",
		"signal.sessions":                     "7",
		"signal.sessions_per_source":          "7",
		"auth.mode":                           "password|auth.password=long-enough",
		"auth.password":                       "long-enough",
		"auth.jwt_key":                        "0123456789abcdef0123456789abcdef",
		"auth.old_jwt_keys":                   "0123456789abcdef0123456789abcdef",
		"auth.end_at_exp":                     "true",
		"metrics.listen":                      "127.0.0.1:9005",
		"compat.collider_listen":              "127.0.0.1:9006",
		"api.keys":                            "a-key-of-the-tests",
		"admin.tokens":                        `[{name = "a", token = "a-token-of-the-tests", scope = "read"}]`,
		"log.addresses":                       "none",
		"webhook.url":                         "https://app.example.org/|webhook.secret=a secret of the tests",
		"webhook.secret":                      "a secret of the tests",
		"webhook.events":                      "room-opened",
		"webhook.connect_url":                 "https://app.example.org/|webhook.secret=a secret of the tests",
		"webhook.connect_timeout":             "1s",
		"webhook.connect_unanswered":          "admit",
		"notify.webhook":                      "https://app.example.org/",
		"notify.command":                      "/usr/bin/true",
	}
	// Keys that are read where they are used, each with a test there.
	elsewhere := []string{
		"web.root", "turn.dtls", "compat.capacity", "compat.socketio",
		"compat.socketio_relay", "compat.socketio_client", "compat.apprtc", "compat.chat", "compat.peerjs",
		"compat.peerjs_discovery", "compat.yjs", "admin.token", "log.level", "log.format", "drain.timeout",
		"notify.self_test",
	}
	base := []string{"turn.listen=127.0.0.1:3478", "turn.secret=the secret of the others"}
	defaults := handedOut(t, base...)
	for _, key := range config.Keys() {
		if slices.Contains(elsewhere, key) || strings.HasPrefix(key, "turn.users.") {
			continue
		}
		value, ok := values[key]
		if !ok {
			t.Errorf("%s: this test lacks a value for it: where does it go?", key)
			continue
		}
		set := slices.Clone(base)
		for i, part := range strings.Split(value, "|") {
			if i == 0 {
				part = key + "=" + part
			}
			set = append(set, part)
		}
		if got := handedOut(t, set...); got == defaults {
			t.Errorf("%s=%s changes nothing that a room is handed", key, value)
		}
	}
}

// handedOut is what the rooms are handed with a configuration, as text.
func handedOut(t *testing.T, set ...string) string {
	t.Helper()
	c, err := load(config.LoadOptions{Set: set})
	if err != nil {
		t.Fatalf("%v: %v", set, err)
	}
	public := publicOptions(&c, slog.New(slog.DiscardHandler))
	public.Log = nil
	relays, err := publicip.New(public)
	if err != nil {
		t.Fatalf("%v: %v", set, err)
	}
	edge, _ := edgeOptions(&c, relays) // whether it fits this host is not the question
	discovery := edge.Discovery
	edge.Discovery = nil
	keys, err := credentialKeys(&c, nil)
	if err != nil {
		t.Fatal(err)
	}
	_, password := keys.Mint(cred.Shared, "id", time.Unix(1_800_000_000, 0))
	verifies := 0
	keys.Each("1800000000:id", func(cred.Class, string) bool { verifies++; return false })
	live, err := turnLive(&c, nil)
	if err != nil {
		t.Fatal(err)
	}
	door := admissionOptions(&c, nil)
	webAll, webEach := webLimits(&c)
	api, hooks := roomsOptions(&c), hookOptions(&c)
	api.Mint = nil
	ice := iceLive(&c, nil)
	return fmt.Sprintf("%+v %+v %+v %q\n%+v %+v %s %d\n%v %q %q %q\n%+v %+v %d %d\n%+v %+v %+v %v %+v %q %+v", api,
		adminTokens(&c), hooks, string(hooks.Secret), public, certOptions(&c, nil), password, verifies, door.Mode,
		string(door.Password), string(door.JWTKey), config.Secrets(door.OldJWTKeys).Reveal(), edge, discovery, webAll,
		webEach, turnOptions(&c, nil), live, hubOptions(&c), certificateNames(&c, relays.Relays()), ice,
		string(ice.RESTKey), notifyOptions(&c))
}
