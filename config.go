package signalbox

import (
	_ "embed"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// DefaultConfig is the text of the configuration that is in force where nothing else is said. It
// documents every key.
//
//go:embed config.toml
var DefaultConfig string

// Config is the whole configuration. Its fields are the keys of config.toml, which documents them.
type Config struct {
	PublicHost string `toml:"public_host"`
	PublicIP   List   `toml:"public_ip"`

	Web struct {
		Listen         string `toml:"listen"`
		TLSListen      string `toml:"tls_listen"`
		Root           string `toml:"root"`
		TrustedProxies List   `toml:"trusted_proxies"`
		ProxyProtocol  bool   `toml:"proxy_protocol"`
		AllowedOrigins List   `toml:"allowed_origins"`
	} `toml:"web"`

	TLS struct {
		Mode          string `toml:"mode"`
		Cert          string `toml:"cert"`
		Key           string `toml:"key"`
		ACMEEmail     string `toml:"acme_email"`
		ACMEDirectory string `toml:"acme_directory"`
		ACMECAFile    string `toml:"acme_ca_file"`
	} `toml:"tls"`

	TURN struct {
		Listen        List       `toml:"listen"`
		Realm         string     `toml:"realm"`
		RelayPorts    string     `toml:"relay_ports"`
		RelayIP       List       `toml:"relay_ip"`
		Secret        Secret     `toml:"secret"`
		OldSecrets    Secrets    `toml:"old_secrets"`
		CredentialTTL Duration   `toml:"credential_ttl"`
		MinLifetime   Duration   `toml:"min_lifetime"`
		Peers         string     `toml:"peers"`
		StaticPeers   string     `toml:"static_peers"`
		AllowPeers    List       `toml:"allow_peers"`
		DenyPeers     List       `toml:"deny_peers"`
		DTLS          bool       `toml:"dtls"`
		Users         []TURNUser `toml:"users"`
		Limits        struct {
			Allocations           int `toml:"allocations"`
			PerUser               int `toml:"per_user"`
			PerSource             int `toml:"per_source"`
			Permissions           int `toml:"permissions"`
			Channels              int `toml:"channels"`
			Connections           int `toml:"connections"`
			ConnectionsPerSource  int `toml:"connections_per_source"`
			UnauthorizedPerSource int `toml:"unauthorized_per_source"`

			Bandwidth      Size `toml:"bandwidth"`
			UserBandwidth  Size `toml:"user_bandwidth"`
			TotalBandwidth Size `toml:"total_bandwidth"`
			TotalPerMonth  Size `toml:"total_per_month"`
		} `toml:"limits"`
	} `toml:"turn"`

	STUN struct {
		Probe     string `toml:"probe"`
		Alternate string `toml:"alternate"`
	} `toml:"stun"`

	Signal struct {
		RoomCapacity      int      `toml:"room_capacity"`
		Rooms             int      `toml:"rooms"`
		RoomsPerSession   int      `toml:"rooms_per_session"`
		Calls             bool     `toml:"calls"`
		Resume            Duration `toml:"resume"`
		Heartbeat         Duration `toml:"heartbeat"`
		MaxFrame          int      `toml:"max_frame"`
		Rate              float64  `toml:"rate"`
		Sessions          int      `toml:"sessions"`
		SessionsPerSource int      `toml:"sessions_per_source"`
	} `toml:"signal"`

	Auth struct {
		Mode     string `toml:"mode"`
		Password Secret `toml:"password"`
		JWTKey   Secret `toml:"jwt_key"`
	} `toml:"auth"`

	Compat struct {
		TURNREST Secret `toml:"turn_rest"`
	} `toml:"compat"`

	Admin struct {
		Token Secret `toml:"token"`
	} `toml:"admin"`

	Metrics struct {
		Listen string `toml:"listen"`
	} `toml:"metrics"`

	Log struct {
		Level  string `toml:"level"`
		Format string `toml:"format"`
	} `toml:"log"`

	Drain struct {
		Timeout Duration `toml:"timeout"`
	} `toml:"drain"`

	// Dev is the --dev flag, not a key: it changes defaults, and opens loopback peers.
	Dev bool `toml:"-"`
}

// TURNUser is a static user of the TURN server: a password, or the hex MD5 key of RFC 8489 §9.2.2.
type TURNUser struct {
	Name     string `toml:"name"`
	Password Secret `toml:"password"`
	Key      Secret `toml:"key"`
}

// minSecret is the shortest secret that nobody guesses, in characters.
const minSecret = 16

// Secret is a string that no log and no error message shows.
type Secret string

func (Secret) String() string       { return "[secret]" }
func (Secret) GoString() string     { return "[secret]" }
func (Secret) LogValue() slog.Value { return slog.StringValue("[secret]") }

// List is a list of strings. One string stands for a list of one.
type List []string

// UnmarshalTOML implements toml.Unmarshaler.
func (l *List) UnmarshalTOML(v any) error {
	switch v := v.(type) {
	case string:
		*l = List{v}
		return nil
	case []any:
		next := make(List, len(v))
		for i := range v {
			s, ok := v[i].(string)
			if !ok {
				return fmt.Errorf("%v is not a string", v[i])
			}
			next[i] = s
		}
		*l = next
		return nil
	}
	return fmt.Errorf("%v is not a list of strings", v)
}

// Secrets is a list of them. One stands for a list of one.
type Secrets []Secret

// UnmarshalTOML implements toml.Unmarshaler.
func (s *Secrets) UnmarshalTOML(v any) error {
	var l List
	if err := l.UnmarshalTOML(v); err != nil {
		return errors.New("want a list of strings") // without the value
	}
	*s = make(Secrets, len(l))
	for i := range l {
		(*s)[i] = Secret(l[i])
	}
	return nil
}

func (s Secrets) reveal() []string {
	out := make([]string, len(s))
	for i := range s {
		out[i] = string(s[i])
	}
	return out
}

// Duration is a time.Duration that is written "30s". 0 is allowed without a unit.
type Duration time.Duration

// UnmarshalTOML implements toml.Unmarshaler.
func (d *Duration) UnmarshalTOML(v any) error {
	switch v := v.(type) {
	case string:
		parsed, err := time.ParseDuration(v)
		if err != nil || parsed < 0 {
			return fmt.Errorf(`%q is not a duration: write "30s", "5m" or "12h"`, v)
		}
		*d = Duration(parsed)
		return nil
	case int64:
		if v == 0 {
			*d = 0
			return nil
		}
	}
	return fmt.Errorf(`%v is not a duration: write "30s", "5m" or "12h"`, v)
}

// Size is a number of bytes, written as one or "10MB", "1.5GB", "64KiB".
type Size int64

// UnmarshalTOML implements toml.Unmarshaler.
func (s *Size) UnmarshalTOML(v any) error {
	switch v := v.(type) {
	case int64:
		if v >= 0 {
			*s = Size(v)
			return nil
		}
	case string:
		if m := sizePattern.FindStringSubmatch(v); m != nil {
			n, err := strconv.ParseFloat(m[1], 64)
			if n *= sizeUnits[m[2]]; err == nil && n < 1<<62 {
				*s = Size(n)
				return nil
			}
		}
	}
	return fmt.Errorf(`%v is not a number of bytes: write 500000, "500kB", "10MB" or "2TB"`, v)
}

var (
	sizePattern = regexp.MustCompile(`^(\d+(?:\.\d+)?) ?([kKMGT]i?)?B?$`)
	sizeUnits   = map[string]float64{
		"": 1, "k": 1e3, "K": 1e3, "M": 1e6, "G": 1e9, "T": 1e12, "ki": 1 << 10, "Ki": 1 << 10, "Mi": 1 << 20,
		"Gi": 1 << 30, "Ti": 1 << 40,
	}
)

// LoadOptions say where a configuration comes from, besides the defaults.
type LoadOptions struct {
	File string   // path; empty: none
	Set  []string // "key=value" overrides, in order
	Dev  bool
}

// Load reads a configuration: defaults, then the file, then the overrides. Its error is one line
// that names the place and says what to do.
func Load(o LoadOptions) (Config, error) {
	var c Config
	if err := decode(&c, DefaultConfig, nil); err != nil {
		return Config{}, fmt.Errorf("built-in config.toml: %w", err)
	}
	if o.Dev {
		c.Dev = true
		c.Web.Listen, c.Web.TLSListen = "127.0.0.1:8080", "127.0.0.1:8443"
		c.TURN.Listen = []string{"127.0.0.1:3478"}
		c.Drain.Timeout = 0
	}
	if o.File != "" {
		text, err := os.ReadFile(o.File)
		if err != nil {
			if errors.Is(err, fs.ErrNotExist) {
				return Config{}, fmt.Errorf("config file %s does not exist: write it (config.toml documents every "+
					"key), or start without -c for the defaults", o.File)
			}
			return Config{}, fmt.Errorf("config file: %w: let this program's user read it", err)
		}
		if err := decode(&c, string(text), lineNumbers(string(text))); err != nil {
			return Config{}, fmt.Errorf("%s: %w", o.File, err)
		}
	}
	for _, set := range o.Set {
		if err := override(&c, set); err != nil {
			return Config{}, fmt.Errorf("--set %s: %w", strings.SplitN(set, "=", 2)[0], err)
		}
	}
	if err := c.Validate(); err != nil {
		return Config{}, err
	}
	return c, nil
}
