package signalbox

import (
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/BurntSushi/toml"
)

// Every key of Config stands in config.toml, and none other: what is not documented there does not
// exist.
func TestConfigTOMLHasEveryKey(t *testing.T) {
	t.Parallel()
	documented := map[string]bool{}
	for _, k := range keys() {
		documented[k] = true
	}
	var walk func(prefix string, typ reflect.Type)
	walk = func(prefix string, typ reflect.Type) {
		for i := range typ.NumField() {
			f := typ.Field(i)
			name := f.Tag.Get("toml")
			if name == "-" {
				continue
			}
			key := prefix + name
			if !documented[key] {
				t.Errorf("%s is not in config.toml", key)
			}
			switch {
			case f.Type.Kind() == reflect.Struct:
				walk(key+".", f.Type)
			case f.Type.Kind() == reflect.Slice && f.Type.Elem().Kind() == reflect.Struct:
				walk(key+".", f.Type.Elem())
			}
		}
	}
	walk("", reflect.TypeFor[Config]())

	// Each key has words above it.
	var previous string
	for i, line := range strings.Split(DefaultConfig, "\n") {
		if strings.Contains(line, " = ") && !strings.HasPrefix(line, "#") && !strings.HasPrefix(previous, "#") &&
			!strings.Contains(previous, " = ") {
			t.Errorf("config.toml line %d has no words above it: %s", i+1, line)
		}
		previous = line
	}
}

func TestDefaultsAreValid(t *testing.T) {
	t.Parallel()
	c, err := Load(LoadOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if c.Web.Listen != ":8080" || c.TURN.Listen[0] != ":3478" || c.Signal.RoomCapacity != 8 ||
		c.TURN.CredentialTTL != Duration(time.Hour) {
		t.Errorf("unexpected defaults: %+v", c)
	}
	dev, err := Load(LoadOptions{Dev: true, Set: []string{"web.listen=:9000"}})
	if err != nil {
		t.Fatal(err)
	}
	if dev.Web.Listen != ":9000" || dev.TURN.Listen[0] != "127.0.0.1:3478" || dev.Drain.Timeout != 0 {
		t.Errorf("--dev changes defaults only, and explicit keys win: %+v", dev)
	}
}

func TestLoadFile(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		text string
		set  []string
		want string // of the error; empty: none
	}{
		"fine":        {text: "[turn]\nlisten = \"127.0.0.1:0\"\nallow_peers = [\"10.0.0.0/8\"]\n[[turn.users]]\nname = \"a\"\nkey = \"0123456789abcdef0123456789abcdef\"\n"},
		"typo":        {text: "[turn]\nrelm = \"x\"\n", want: "turn.relm (line 2): did you mean turn.realm?"},
		"wrong table": {text: "\n[web]\nrealm = \"x\"\n", want: "web.realm (line 3): did you mean turn.realm?"},
		"two unknown": {text: "[turn]\nrelm = \"x\"\n[zzz]\nqqqqqqqqq = 1\n",
			want: "turn.relm (line 2): did you mean turn.realm?; zzz (line 3): there is no such key"},
		"not TOML": {text: "[turn\n", want: "line 2: expected"},
		"wrong type": {text: "\n[signal]\nroom_capacity = \"many\"\n",
			want: "line 3: signal.room_capacity: want a value of type integer, not string"},
		"duration": {text: "[turn]\ncredential_ttl = \"soon\"\n", want: `"soon" is not a duration`},
		"address": {text: "[turn]\nlisten = [\"nowhere\"]\n",
			want: `turn.listen: "nowhere" is not an address to listen on`},
		"host name": {text: "[web]\nlisten = \"example.org:80\"\n", want: `"example.org" is not an IP address`},
		"CIDR": {text: "[turn]\nallow_peers = [\"10.0.0.0/33\"]\n",
			want: `turn.allow_peers: "10.0.0.0/33" is neither an address nor a network`},
		"host bits": {text: "[turn]\ndeny_peers = [\"10.0.0.1/8\"]\n", want: `write "10.0.0.0/8"`},
		"ports":     {text: "[turn]\nrelay_ports = \"9-1\"\n", want: "turn.relay_ports: "},
		"password or key": {text: "[[turn.users]]\nname = \"a\"\n",
			want: "turn.users, entry 1: a: give either password or key"},
		"key is not hex": {text: "[[turn.users]]\nname = \"a\"\nkey = \"xyz\"\n", want: "key is not 32 hex digits"},
		"files":          {text: "[tls]\nmode = \"files\"\n", want: "tls.cert, tls.key: mode \"files\" needs both"},
		"choice": {text: "[log]\nlevel = \"loud\"\n",
			want: `log.level: "loud" is none of debug, info, warn, error`},
		"origin": {text: "[web]\nallowed_origins = [\"app.example.org\"]\n", want: "web.allowed_origins: "},
		"URL as host": {text: "public_host = \"https://foo.example/\"\n",
			want: "public_host: \"https://foo.example/\" is not a host name"},
		"host with port": {text: "public_host = \"foo.example:8443\"\n", want: "public_host: "},
		"bad address": {text: "public_host = \"198.51.100.256\"\n",
			want: "public_host: \"198.51.100.256\" is not a host name or an address"},
		"IDN":          {text: "public_host = \"bücher.example\"\n", want: "xn--"},
		"heartbeat":    {text: "[signal]\nheartbeat = \"1us\"\n", want: "signal.heartbeat: "},
		"rate":         {text: "[signal]\nrate = nan\n", want: "signal.rate: "},
		"short secret": {text: "[turn]\nsecret = \"x\"\n", want: "turn.secret: want at least 16 characters"},
		"short token":  {text: "[admin]\ntoken = \"x\"\n", want: "admin.token: want at least 16 characters"},
		"proxy": {text: "[web]\ntrusted_proxies = \"proxy.example.org\"\n",
			want: "web.trusted_proxies: \"proxy.example.org\" is neither"},
		"resume":    {text: "[signal]\nresume = \"2h\"\n", want: "signal.resume: want \"1s\" to \"1h\""},
		"no resume": {text: "[signal]\nresume = 0\n"},
		"auth mode": {text: "[auth]\nmode = \"closed\"\n",
			want: "auth.mode: \"closed\" is none of open, password, jwt"},
		"no password": {text: "[auth]\nmode = \"password\"\n",
			want: "auth.password: mode \"password\" needs one of at least 8 characters"},
		"short password": {text: "[auth]\nmode = \"password\"\npassword = \"1234567\"\n", want: "auth.password: "},
		"password":       {text: "[auth]\nmode = \"password\"\npassword = \"12345678\"\n"},
		"no jwt_key":     {text: "[auth]\nmode = \"jwt\"\n", want: "auth.jwt_key: mode \"jwt\" needs one"},
		"short jwt_key": {text: "[auth]\njwt_key = \"x\"\n",
			want: "auth.jwt_key: want a secret of at least 32 characters"},
		"short REST key": {text: "[compat]\nturn_rest = \"on\"\n",
			want: "compat.turn_rest: want \"off\" or a key of at least 16 characters"},
		"set, bare word": {set: []string{"turn.realm=example.org", "turn.listen=127.0.0.1:0", "public_ip=192.0.2.1",
			"signal.calls=false", "signal.rate=20"}},
		"set, list":     {set: []string{`turn.listen=["127.0.0.1:0", "[::1]:0"]`, "turn.allow_peers=10.0.0.0/8"}},
		"set, unknown":  {set: []string{"turn.relm=x"}, want: "--set turn.relm: turn.relm: did you mean turn.realm?"},
		"set, no value": {set: []string{"turn.realm"}, want: "write key=value"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := LoadOptions{Set: tc.set}
			if tc.text != "" {
				o.File = filepath.Join(t.TempDir(), "config.toml")
				if err := os.WriteFile(o.File, []byte(tc.text), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			_, err := Load(o)
			switch {
			case tc.want == "" && err != nil:
				t.Errorf("error %v", err)
			case tc.want != "" && (err == nil || !strings.Contains(err.Error(), tc.want)):
				t.Errorf("error %v, want it to say %q", err, tc.want)
			case err != nil && strings.Contains(err.Error(), "\n"):
				t.Errorf("the error is more than a line: %v", err)
			}
		})
	}
}

func TestSecretsAreNotPrinted(t *testing.T) {
	t.Parallel()
	c, err := Load(LoadOptions{Set: []string{"turn.secret=hunter2hunter2hunter2", "admin.token=hunter2hunter2hunter2",
		`turn.users=[{name="u",password="hunter2"}]`, "turn.old_secrets=hunter2",
		"auth.password=hunter2hunter2", "auth.jwt_key=hunter2hunter2hunter2hunter2hunter2",
		"compat.turn_rest=hunter2hunter2hunter2"}})
	if err != nil {
		t.Fatal(err)
	}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s"} {
		if s := fmt.Sprintf(verb, c); strings.Contains(s, "hunter2") {
			t.Errorf("%s prints a secret", verb)
		}
	}
}

func FuzzLoad(f *testing.F) {
	f.Add("[turn]\nrelm = 1\n")
	f.Add("public_ip = \"auto\"\n[[turn.users]]\nname=\"x\"\n")
	f.Fuzz(func(t *testing.T, text string) {
		var c Config
		if _, err := toml.Decode(DefaultConfig, &c); err != nil {
			t.Fatal(err)
		}
		if decode(&c, text, lineNumbers(text)) == nil {
			_ = c.Validate()
		}
	})
}
