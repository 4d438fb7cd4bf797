package config

import (
	"fmt"
	"slices"
	"strings"

	"signalbox/internal/admission"
)

// word is one of several words.
type word interface {
	~string
	checked
}

// choose takes one of several words.
func choose[T word](to *T, v any) error {
	s, err := text(v)
	if err != nil {
		return err
	}
	return take(to, T(s))
}

func oneOf(s string, words ...string) error {
	if !slices.Contains(words, s) {
		return fmt.Errorf("%q is none of %s", s, strings.Join(words, ", "))
	}
	return nil
}

// TLSMode is a value of tls.mode.
type TLSMode string

func (m TLSMode) check() error { return oneOf(string(m), "off", "self-signed", "files", "acme") }

// UnmarshalTOML implements toml.Unmarshaler.
func (m *TLSMode) UnmarshalTOML(v any) error { return choose(m, v) }

// Peers is a value of turn.peers.
type Peers string

func (p Peers) check() error { return oneOf(string(p), "room", "signaled", "public", "any") }

// UnmarshalTOML implements toml.Unmarshaler.
func (p *Peers) UnmarshalTOML(v any) error { return choose(p, v) }

// Family is a value of turn.default_family.
type Family string

func (f Family) check() error { return oneOf(string(f), "ipv4", "ipv6", "auto") }

// UnmarshalTOML implements toml.Unmarshaler.
func (f *Family) UnmarshalTOML(v any) error { return choose(f, v) }

// StaticPeers is a value of turn.static_peers.
type StaticPeers string

func (p StaticPeers) check() error { return oneOf(string(p), "public", "any") }

// UnmarshalTOML implements toml.Unmarshaler.
func (p *StaticPeers) UnmarshalTOML(v any) error { return choose(p, v) }

// AuthMode is a value of auth.mode.
type AuthMode string

func (m AuthMode) check() error {
	return oneOf(string(m), admission.Open, admission.Password, admission.JWT)
}

// UnmarshalTOML implements toml.Unmarshaler.
func (m *AuthMode) UnmarshalTOML(v any) error { return choose(m, v) }

// Switch is the value of what is "on" or "off".
type Switch string

func (s Switch) check() error { return oneOf(string(s), "on", "off") }

// UnmarshalTOML implements toml.Unmarshaler.
func (s *Switch) UnmarshalTOML(v any) error { return choose(s, v) }

// On reports whether it is on.
func (s Switch) On() bool { return s == "on" }

// LogLevel is a value of log.level.
type LogLevel string

func (l LogLevel) check() error { return oneOf(string(l), "debug", "info", "warn", "error") }

// UnmarshalTOML implements toml.Unmarshaler.
func (l *LogLevel) UnmarshalTOML(v any) error { return choose(l, v) }

// LogAddresses is a value of log.addresses.
type LogAddresses string

func (l LogAddresses) check() error { return oneOf(string(l), "full", "network", "none") }

// UnmarshalTOML implements toml.Unmarshaler.
func (l *LogAddresses) UnmarshalTOML(v any) error { return choose(l, v) }

// LogFormat is a value of log.format.
type LogFormat string

func (f LogFormat) check() error { return oneOf(string(f), "text", "json") }

// UnmarshalTOML implements toml.Unmarshaler.
func (f *LogFormat) UnmarshalTOML(v any) error { return choose(f, v) }
