package config

import (
	"bytes"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"signalbox/internal/fault"

	"github.com/BurntSushi/toml"
)

func TestLoadFile(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		text string
		set  []string
		want string // of the error; empty: none
	}{
		"fine": {text: "[turn]\nlisten = \"127.0.0.1:0\"\nallow_peers = [\"10.0.0.0/8\", \"[2001:db8::1]:9\"]\n" +
			"[[turn.users]]\nname = \"a\"\nkey = \"0123456789abcdef0123456789abcdef\"\n"},
		"typo":        {text: "[turn]\nrelm = \"x\"\n", want: "turn.relm (line 2): did you mean turn.realm?"},
		"wrong table": {text: "\n[web]\nrealm = \"x\"\n", want: "web.realm (line 3): did you mean turn.realm?"},
		"two unknown": {text: "[turn]\nrelm = \"x\"\n[zzz]\nqqqqqqqqq = 1\n",
			want: "turn.relm (line 2): did you mean turn.realm?\nzzz (line 3): there is no such key"},
		"not TOML": {text: "[turn\n", want: "line 2: expected"},
		"wrong type": {text: "\n[signal]\nroom_capacity = \"many\"\n",
			want: "signal.room_capacity (line 3): want a value of type integer, not string"},
		"a self-test too often": {text: "[notify]\nself_test = \"30s\"\n",
			want: `notify.self_test (line 2): want "0s"`},
		"duration": {text: "[turn]\ncredential_ttl = \"soon\"\n",
			want: `turn.credential_ttl (line 2): "soon" is not a duration`},
		"address": {text: "[turn]\nlisten = [\"nowhere\"]\n",
			want: `turn.listen (line 2): "nowhere" is not an address to listen on`},
		"host name": {text: "[web]\nlisten = \"example.org:80\"\n",
			want: `web.listen (line 2): "example.org:80": "example.org" is not an IP address`},
		"CIDR": {text: "[turn]\nallow_peers = [\"10.0.0.0/33\"]\n",
			want: `turn.allow_peers (line 2): "10.0.0.0/33" is neither an address nor a network`},
		"peer's port": {text: "[turn]\nallow_peers = [\"10.0.0.1\", \"10.0.0.2:0\"]\n",
			want: `turn.allow_peers (line 2): "10.0.0.2:0": "0" is neither a port nor a range of ports`},
		"host bits": {text: "[turn]\ndeny_peers = [\"10.0.0.1/8\"]\n",
			want: `turn.deny_peers (line 2): "10.0.0.1/8" has host bits set: write "10.0.0.0/8"`},
		"ports": {text: "[turn]\nrelay_ports = \"9-1\"\n", want: "turn.relay_ports (line 2): "},
		"password or key": {text: "[[turn.users]]\nname = \"a\"\n",
			want: "turn.users[1] (line 1): a: give either password or key"},
		"key is not hex": {text: "[[turn.users]]\nname = \"a\"\nkey = \"xyz\"\n",
			want: "turn.users[1] (line 1): a: key is not 32 hex digits"},
		"name of a credential": {text: "[[turn.users]]\nname = \"1800000000:a\"\npassword = \"x\"\n",
			want: "turn.users[1] (line 1): \"1800000000:a\" has a Unix time at an end"},
		"files": {text: "[tls]\nmode = \"files\"\n", want: "tls.cert, tls.key (line 2): mode \"files\" needs both"},
		"choice": {text: "[log]\nlevel = \"loud\"\n",
			want: `log.level (line 2): "loud" is none of debug, info, warn, error`},
		"origin": {text: "[web]\nallowed_origins = [\"app.example.org\"]\n", want: "web.allowed_origins (line 2): "},
		"URL as host": {text: "public_host = \"https://foo.example/\"\n",
			want: "public_host (line 1): \"https://foo.example/\" is not a host name"},
		"host with port": {text: "public_host = \"foo.example:8443\"\n", want: "public_host (line 1): "},
		"bad address": {text: "public_host = \"198.51.100.256\"\n",
			want: "public_host (line 1): \"198.51.100.256\" is not a host name or an address"},
		"IDN":       {text: "public_host = \"bücher.example\"\n", want: "xn--"},
		"heartbeat": {text: "[signal]\nheartbeat = \"1us\"\n", want: "signal.heartbeat (line 2): "},
		"rate":      {text: "[signal]\nrate = nan\n", want: "signal.rate (line 2): "},
		"user:time": {text: "[turn]\nusers = [{name = \"a:1800000000\", password = \"b\"}]\n",
			want: "turn.users[1] (line 2): \"a:1800000000\" has a Unix time at an end"},
		"user|time": {text: "[turn]\nrest_separator = \"|\"\nusers = [{name = \"a|1800000000\", password = \"b\"}]\n",
			want: "turn.users[1] (line 3): \"a|1800000000\" has a Unix time at an end"},
		"phone":         {text: "[turn]\nusers = [{name = \"4915112345678\", password = \"b\"}]\n"},
		"separator":     {text: "[turn]\nrest_separator = \"7\"\n", want: "turn.rest_separator (line 2): want one"},
		"two of them":   {text: "[turn]\nrest_separator = \"::\"\n", want: "turn.rest_separator (line 2): want one"},
		"no separator":  {text: "[turn]\nrest_separator = \"\"\n", want: "turn.rest_separator (line 2): want one"},
		"coturn secret": {text: "[turn]\nsecret = \"x\"\n"},
		"short token":   {text: "[admin]\ntoken = \"x\"\n", want: "admin.token (line 2): want at least 16 characters"},
		"proxy": {text: "[web]\ntrusted_proxies = \"proxy.example.org\"\n",
			want: "web.trusted_proxies (line 2): \"proxy.example.org\" is neither"},
		"resume":    {text: "[signal]\nresume = \"2h\"\n", want: "signal.resume (line 2): want \"1s\" to \"1h\""},
		"no resume": {text: "[signal]\nresume = 0\n"},
		"auth mode": {text: "[auth]\nmode = \"closed\"\n",
			want: "auth.mode (line 2): \"closed\" is none of open, password, jwt"},
		"no password": {text: "[auth]\nmode = \"password\"\n",
			want: "auth.password (line 2): mode \"password\" needs one of at least 8 characters"},
		"short password": {text: "[auth]\nmode = \"password\"\npassword = \"1234567\"\n",
			want: "auth.password (line 3): "},
		"password":   {text: "[auth]\nmode = \"password\"\npassword = \"12345678\"\n"},
		"no jwt_key": {text: "[auth]\nmode = \"jwt\"\n", want: "auth.jwt_key (line 2): mode \"jwt\" needs one"},
		"short jwt_key": {text: "[auth]\njwt_key = \"x\"\n",
			want: "auth.jwt_key (line 2): want a secret of at least 32 characters"},
		"short REST key": {text: "[compat]\nturn_rest = \"on\"\n",
			want: "compat.turn_rest (line 2): want \"off\" or a key of at least 16 characters"},
		"set, bare word": {set: []string{"turn.realm=example.org", "turn.listen=127.0.0.1:0", "public_ip=192.0.2.1",
			"signal.calls=false", "signal.rate=20"}},
		"set, list":     {set: []string{`turn.listen=["127.0.0.1:0", "[::1]:0"]`, "turn.allow_peers=10.0.0.0/8"}},
		"set, unknown":  {set: []string{"turn.relm=x"}, want: "turn.relm (--set): did you mean turn.realm?"},
		"set, no value": {set: []string{"turn.realm"}, want: "write key=value"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := LoadOptions{Set: tc.set}
			if tc.text != "" {
				o.File = writeFile(t, tc.text)
			}
			_, err := load(t, o)
			switch {
			case tc.want == "" && err != nil:
				t.Errorf("error %v", err)
			case tc.want != "" && (err == nil || !strings.Contains(withoutFile(err, o.File), tc.want)):
				t.Errorf("error %v, want it to say %q", err, tc.want)
			case err != nil && strings.Count(err.Error(), "\n") != strings.Count(tc.want, "\n"):
				t.Errorf("the error is more than a line for each fault: %v", err)
			case strings.Contains(tc.want, "line ") &&
				strings.Count(err.Error(), o.File+": ") != strings.Count(tc.want, "line "):
				t.Errorf("the error does not name the file of each line: %v", err)
			}
		})
	}
}

// Overrides with three faults: each is named, every time, in the order in which they were given.
func TestAllFaultsAreSaidAtOnce(t *testing.T) {
	t.Parallel()
	const want = "signal.rooms (--set): -1 is below 0; 0 means no limit\n" +
		"signal.sessions (--set): -1 is below 0; 0 means no limit\n" +
		"turn.limits.channels (--set): -2 is below 0; 0 means no limit"
	for range 50 {
		set := []string{"signal.rooms=-1", "signal.sessions=-1", "turn.limits.channels=-2"}
		_, err := load(t, LoadOptions{Set: set})
		if err == nil || err.Error() != want {
			t.Fatalf("error %v, want %s", err, want)
		}
	}
}

// Faults stand in the order of the file, whatever kind they are of; then what stands nowhere, then
// the overrides in their order.
func TestFaultsStandInTheOrderOfTheFile(t *testing.T) {
	t.Parallel()
	file := writeFile(t, `public_host = "a b"
[turn]
users = [{name = "a", key = "x"}, {name = "b", password = 1}]
limits = {per_user = -1, channel = 2}
realm = ""
listen = ["127.0.0.1:9000"]
[signal]
rooms = -1
heartbeat = "1h"
[nothing]
at = "all"
[auth]
mode = "password"
[web]
listen = "127.0.0.1:9000"
root = 5
`)
	want := strings.Join([]string{
		file + `: public_host (line 1): "a b" is not a host name`,
		file + `: turn.users[1] (line 3): a: key is not 32 hex digits`,
		file + `: turn.users[2].password (line 3): want a value of type string, not integer`,
		file + `: turn.limits.channel (line 4): did you mean turn.limits.channels?`,
		file + `: turn.limits.per_user (line 4): -1 is below 0`,
		file + `: turn.realm (line 5): want 1 to 128 characters`,
		file + `: signal.rooms (line 8): -1 is below 0`,
		file + `: signal.heartbeat (line 9): want "1s" to "1m"`,
		file + `: nothing (line 10): there is no such key`,
		file + `: auth.password (line 13): mode "password" needs one`,
		file + `: web.listen, turn.listen (line 15): 127.0.0.1:9000 and 127.0.0.1:9000 can't both`,
		file + `: web.root (line 16): want a value of type string, not integer`,
		`turn.min_lifetime (--set): want at most "59m"`,
		`log.level (--set): "loud" is none of`,
		`log.format (--set): "loud" is none of`,
	}, "\n")
	for range 20 {
		_, err := load(t, LoadOptions{File: file, Set: []string{"turn.min_lifetime=1h", "log.level=loud",
			"log.format=loud"}})
		if err == nil {
			t.Fatal("all is well")
		}
		lines, wanted := strings.Split(err.Error(), "\n"), strings.Split(want, "\n")
		if len(lines) != len(wanted) {
			t.Fatalf("%d lines, want %d:\n%v", len(lines), len(wanted), err)
		}
		for i := range lines {
			if !strings.HasPrefix(lines[i], wanted[i]) {
				t.Errorf("line %d: %s, want %s", i+1, lines[i], wanted[i])
			}
		}
	}
}

// What is only wrong because another value could not be read is not said besides.
func TestFaultsThatFollowAreNotSaid(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ text, want string }{
		{"[auth]\nmode = \"password\"\npassword = 12345678\n",
			"auth.password (line 3): want a value of type string, not integer"},
		{"[[turn.users]]\nname = \"a\"\npasword = \"p\"\n",
			"turn.users[1].pasword (line 3): did you mean turn.users.password?"},
		{"[turn]\nlisten = []\n", `turn.listen (line 2): want at least one entry, such as ":3478"`},
	} {
		file := writeFile(t, tc.text)
		if _, err := load(t, LoadOptions{File: file}); err == nil || withoutFile(err, file) != tc.want {
			t.Errorf("error %v, want %s", err, tc.want)
		}
	}
}

// An error names the place of a secret, never the secret.
func TestFaultsRepeatNoSecret(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		"[turn]\nsecret = [\"hunter2\"]\n", "[admin]\ntoken = \"hunter2\"\n",
		"[turn]\nold_secrets = [1, \"hunter2\"]\n",
		"[turn]\nold_secrets = {a = \"hunter2\"}\n", "[turn]\nusers = [\"hunter2\"]\n", "[turn]\nusers = \"hunter2\"\n",
		"[[turn.users]]\nname = \"a\"\nkey = \"hunter2\"\n", "[auth]\nmode=\"password\"\npassword = \"hunter\"\n",
		"[auth]\njwt_key = \"hunter2\"\n", "[compat]\nturn_rest = \"hunter2\"\n",
		"[admin]\ntoken = {a = \"hunter2\"}\n",
	} {
		_, err := load(t, LoadOptions{File: writeFile(t, text)})
		if err == nil || strings.Contains(err.Error(), "hunter") {
			t.Errorf("%q: %v", text, err)
		}
	}
	for _, set := range []string{"=hunter2", "admin.token=hunter2", "admin.token=[\"hunter2\"]", "admin.token=[hunter2",
		"turn secret=hunter2"} {
		_, err := load(t, LoadOptions{Set: []string{set}})
		if err == nil || strings.Contains(err.Error(), "hunter") {
			t.Errorf("--set %q: %v", set, err)
		}
	}
}

// Every key is read from a file: its default's value gives the default, and a value of a type that
// no key has is a fault with its line.
func TestEveryKeyIsRead(t *testing.T) {
	t.Parallel()
	var values map[string]any
	if _, err := toml.Decode(defaults(t), &values); err != nil {
		t.Fatal(err)
	}
	plain, err := load(t, LoadOptions{})
	if err != nil {
		t.Fatal(err)
	}
	users := map[string]string{
		"turn.users": "turn = {users = []}\n", "turn.users.name": "[[turn.users]]\nname = \"a\"\npassword = \"p\"\n",
		"turn.users.password": "[[turn.users]]\npassword = \"p\"\nname = \"a\"\n",
		"turn.users.key":      "[[turn.users]]\nkey = \"0123456789abcdef0123456789abcdef\"\nname = \"a\"\n",
	}
	for _, key := range Keys() {
		text, isUser := users[key]
		if !isUser {
			text = asFile(t, values, key)
		}
		c, err := load(t, LoadOptions{File: writeFile(t, text)})
		if err != nil {
			t.Errorf("%s: %v", key, err)
			continue
		}
		if len(c.TURN.Users) > 0 {
			c.TURN.Users = nil
		} else if isUser {
			c.TURN.Users = plain.TURN.Users // none; an empty list is as good
		}
		c.File = ""
		if !reflect.DeepEqual(c, plain) {
			t.Errorf("%s with its default's value is another configuration: %+v", key, c)
		}

		table, name := "", key
		if i := strings.LastIndexByte(key, '.'); i >= 0 {
			table, name = "["+key[:i]+"]", key[i+1:]
		}
		place := key
		if isUser && key != "turn.users" {
			table, place = "[[turn.users]]", "turn.users[1]."+name
		}
		want := fmt.Sprintf("%s (line 3): ", place)
		file := writeFile(t, fmt.Sprintf("\n%s\n%s = 1979-05-27T07:32:00Z\n", table, name))
		if _, err := load(t, LoadOptions{File: file}); err == nil || !strings.HasPrefix(withoutFile(err, file), want) ||
			strings.Contains(err.Error(), "\n") {
			t.Errorf("%s is a date: %v, want %s", key, err, want)
		}
	}
	for _, table := range []string{"web", "tls", "turn", "turn.limits", "stun", "signal", "auth", "log"} {
		want := table + " (--set): want a value of type table, not integer"
		if _, err := load(t, LoadOptions{Set: []string{table + "=5"}}); err == nil || err.Error() != want {
			t.Errorf("error %v, want %s", err, want)
		}
	}
}

// asFile is a file that has only that key, with its value in a table of tables.
func asFile(t testing.TB, values map[string]any, key string) string {
	t.Helper()
	top := map[string]any{}
	to := top
	path := strings.Split(key, ".")
	for _, table := range path[:len(path)-1] {
		inner := map[string]any{}
		to[table], to = inner, inner
		values = values[table].(map[string]any)
	}
	name := path[len(path)-1]
	to[name] = values[name]
	var out bytes.Buffer
	if err := toml.NewEncoder(&out).Encode(top); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

// Whatever stands in a file or an override, it is read or its faults are named, the same every
// time.
func FuzzLoad(f *testing.F) {
	f.Add("[turn]\nrelm = 1\n", "")
	f.Add("public_ip = \"auto\"\n[[turn.users]]\nname=\"x\"\n", "signal.rooms=-1")
	f.Add("[turn]\nusers=[{name=1}]\nlimits={x=2}\n", "turn={listen=[\":1\"]}")
	f.Add("[web]\nlisten=\":1\"\n[turn]\nlisten=[\":1\"]\n", "stun.alternate=192.0.2.1:0")
	text := defaults(f)
	f.Fuzz(func(t *testing.T, file, set string) {
		said := ""
		for i := range 2 {
			var c Config
			r := newReader(&c)
			if err := r.text(text, func(string) place { return place{} }); err != nil || len(r.faults) > 0 {
				t.Fatal(err, r.faults)
			}
			lines := lineNumbers(file)
			if r.text(file, func(key string) place { return place{line: lineOf(lines, key)} }) != nil ||
				r.override(set, 1) != nil {
				return
			}
			r.faults = append(r.faults, r.placed(r.news(c.faults()))...)
			r.faults.sort()
			if again := r.faults.Error(); i > 0 && again != said {
				t.Errorf("%s\nand then\n%s", said, again)
			}
			said = r.faults.Error()
			for _, f := range r.faults {
				if f.Key == "" || f.Err.Error() == "" || f.line > strings.Count(file, "\n")+1 {
					t.Errorf("%+v", f)
				}
			}
			if len(r.faults) == 0 {
				c.Warnings()
				c.HostWarnings(nil)
			}
		}
	})
}

// What does not fit a key as TOML is tried as text; the words are those of the attempt that was
// meant.
func TestOverridesAreSaidInTheKeysWords(t *testing.T) {
	t.Parallel()
	for set, want := range map[string]string{
		"web.listen=8080":         `web.listen (--set): "8080" is not an address to listen on: write ":8080"`,
		"turn.listen=8080":        `turn.listen (--set): "8080" is not an address to listen on`,
		"turn.relay_ports=49152":  `turn.relay_ports (--set): "49152" is not a range of ports`,
		"signal.rooms=-1":         "signal.rooms (--set): -1 is below 0",
		"signal.rooms=many":       "signal.rooms (--set): want a value of type integer, not string",
		"signal.calls=perhaps":    "signal.calls (--set): want a value of type boolean, not string",
		"foo bar=1":               `--set foo bar: "foo bar" is no key`,
		"sgnal.rooms=1":           "sgnal (--set): did you mean signal?",
		"turn.limit.channels=1":   "turn.limit (--set): did you mean turn.limits?",
		"turn.limits.chanels=1":   "turn.limits.chanels (--set): did you mean turn.limits.channels?",
		"auth.mode=password":      `auth.password (--set): mode "password" needs one`,
		"admin.token=short":       "admin.token (--set): want at least 16 characters",
		"web.allowed_origins=abc": "web.allowed_origins (--set): ",
	} {
		if _, err := load(t, LoadOptions{Set: []string{set}}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", set, err, want)
		}
	}
}

// Of two keys that exclude each other the one is at fault that was given last; a fault that another
// key's broken value would make is not said.
func TestPlacesOfFaults(t *testing.T) {
	t.Parallel()
	file := writeFile(t, "[web]\nlisten = \":9641\"\n")
	_, err := load(t, LoadOptions{File: file, Set: []string{"metrics.listen=:9641"}})
	if err == nil || !strings.HasPrefix(err.Error(), "web.listen, metrics.listen (--set): ") {
		t.Errorf("%v", err)
	}
	_, err = load(t, LoadOptions{Set: []string{"web.proxy_protocol=true", "web.trusted_proxies=nobody"}})
	if err == nil || strings.Contains(err.Error(), "proxy_protocol") {
		t.Errorf("%v", err)
	}
	var one *fault.Fault
	if !errors.As(err, &one) || one.Key != "web.trusted_proxies" {
		t.Errorf("the fault is %+v", one)
	}
}

// A program that puts values into the fields is told as a file's author is.
func TestValidateChecksValues(t *testing.T) {
	t.Parallel()
	good, err := load(t, LoadOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for key, spoil := range map[string]func(*Config){
		"tls.mode":             func(c *Config) { c.TLS.Mode = "selfsigned" },
		"turn.peers":           func(c *Config) { c.TURN.Peers = "rom" },
		"auth.mode":            func(c *Config) { c.Auth.Mode = "" },
		"log.level":            func(c *Config) { c.Log.Level = "loud" },
		"turn.listen":          func(c *Config) { c.TURN.Listen = nil },
		"turn.limits.channels": func(c *Config) { c.TURN.Limits.Channels = -2 },
		"turn.relay_ports":     func(c *Config) { c.TURN.RelayPorts = Ports{} },
		"turn.limits.bandwidth": func(c *Config) {
			c.TURN.Limits.Bandwidth = -1
		},
		"public_host":         func(c *Config) { c.PublicHost = "http://x y" },
		"signal.rate":         func(c *Config) { c.Signal.Rate = -1 },
		"drain.timeout":       func(c *Config) { c.Drain.Timeout = -1 },
		"stun.probe":          func(c *Config) { c.STUN.Probe = "nobody" },
		"web.allowed_origins": func(c *Config) { c.Web.AllowedOrigins = Origins{"app.example.org"} },
	} {
		c := good
		spoil(&c)
		if err := c.Validate(); err == nil || !strings.HasPrefix(err.Error(), key+": ") {
			t.Errorf("%s: %v", key, err)
		}
	}
}

// What can be used but probably isn't what is wanted is said, and only then.
func TestWarnings(t *testing.T) {
	t.Parallel()
	for about, set := range map[string][]string{
		"auth.mode":           {"auth.mode=open", "auth.password=sesame"},
		"web.trusted_proxies": {"web.trusted_proxies=0.0.0.0/0", "public_host=call.example.org"},
		"public_host":         {"web.trusted_proxies=127.0.0.1"},
		"signal.devices":      {"signal.devices=2"},
		"turn.secret":         {"turn.secret=fifteen letters"},
		"turn.listen":         {`turn.listen=["udp/:50000", ":3478"]`},
		"stun.alternate":      {"turn.listen=127.0.0.1:3478", "stun.alternate=127.0.0.2:50000"},
		"metrics.listen":      {"metrics.listen=0.0.0.0:9090"},
		"notify.self_test":    {"notify.self_test=0s", "notify.webhook=https://chat.example.org/"},
		"": {"web.trusted_proxies=127.0.0.1", "public_host=call.example.org",
			"metrics.listen=127.0.0.1:9090", `turn.listen=["tcp/:50000", "udp/:49151"]`},
	} {
		c, err := load(t, LoadOptions{Set: set})
		if err != nil {
			t.Fatal(err)
		}
		var keys []string
		for _, w := range c.Warnings() {
			keys = append(keys, w.Key)
		}
		if got := strings.Join(keys, ","); got != about {
			t.Errorf("%v: warns of %q, want %q", set, got, about)
		}
	}
}
