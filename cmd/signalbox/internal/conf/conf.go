// Package conf writes the config.toml that does what another server's configuration says.
package conf

import (
	"strings"

	"github.com/BurntSushi/toml"
)

// Config is the part of config.toml that other servers have, too. What is empty is not written.
type Config struct {
	PublicIP []string `toml:"public_ip,omitempty"`
	TURN     TURN     `toml:"turn"`
	TLS      TLS      `toml:"tls,omitempty"`
	Metrics  Metrics  `toml:"metrics,omitempty"`
	Log      Log      `toml:"log,omitempty"`
}

// TURN is the table [turn].
type TURN struct {
	Listen        []string `toml:"listen"` // empty: nowhere; nil is not written
	Realm         string   `toml:"realm,omitempty"`
	RelayPorts    string   `toml:"relay_ports,omitempty"`
	RelayIP       []string `toml:"relay_ip,omitempty"`
	DefaultFamily string   `toml:"default_family,omitempty"`
	NonceLifetime string   `toml:"nonce_lifetime,omitempty"`
	RESTSeparator string   `toml:"rest_separator,omitempty"`
	Secret        string   `toml:"secret,omitempty"`
	OldSecrets    []string `toml:"old_secrets,omitempty"`
	AllowPeers    []string `toml:"allow_peers,omitempty"`
	DenyPeers     []string `toml:"deny_peers,omitempty"`
	Limits        Limits   `toml:"limits,omitempty"`
	Users         []User   `toml:"users,omitempty"`
}

// Limits is the table [turn.limits]. Nil is not written, so that the box's default holds; 0 is no
// limit.
type Limits struct {
	PerUser        *uint64 `toml:"per_user"`
	Allocations    *uint64 `toml:"allocations"`
	Permissions    *uint64 `toml:"permissions"`
	Bandwidth      *uint64 `toml:"bandwidth"`       // bytes a second
	TotalBandwidth *uint64 `toml:"total_bandwidth"` // bytes a second
}

// User is a block [[turn.users]], with a password or a key.
type User struct {
	Name     string `toml:"name"`
	Password string `toml:"password,omitempty"`
	Key      string `toml:"key,omitempty"`
}

// TLS is the table [tls].
type TLS struct {
	Mode string `toml:"mode,omitempty"`
	Cert string `toml:"cert,omitempty"`
	Key  string `toml:"key,omitempty"`
}

// Metrics is the table [metrics].
type Metrics struct {
	Listen string `toml:"listen,omitempty"`
}

// Log is the table [log].
type Log struct {
	Level string `toml:"level,omitempty"`
}

// Text is the file.
func (c *Config) Text() (string, error) {
	var out strings.Builder
	encoder := toml.NewEncoder(&out)
	encoder.Indent = ""
	err := encoder.Encode(c)
	return out.String(), err
}
