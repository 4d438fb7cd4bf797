package config

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/BurntSushi/toml"
)

// LoadOptions say where a configuration comes from, besides the defaults.
type LoadOptions struct {
	File string   // path; empty: none
	Set  []string // "key=value" overrides, in order
	Dev  bool
}

// place is where a key was given. The zero place is the defaults.
type place struct {
	line int // in the file
	set  int // the n-th override
}

// Fault is a value that can't be used.
type Fault struct {
	Key  string // dotted; or several keys: "tls.cert, tls.key"
	Text string // what is wrong, and what to do
	place
}

func (f Fault) Error() string {
	switch {
	case f.line > 0:
		return fmt.Sprintf("%s (line %d): %s", f.Key, f.line, f.Text)
	case f.set > 0:
		return fmt.Sprintf("%s (--set): %s", f.Key, f.Text)
	}
	return f.Key + ": " + f.Text
}

// Faults are all that is wrong with a configuration, in the order of the file; those of overrides
// stand behind.
type Faults []Fault

func (f Faults) Error() string { return f.lines("") }

func (f Faults) lines(prefix string) string {
	out := make([]string, len(f))
	for i := range f {
		out[i] = prefix + f[i].Error()
	}
	return strings.Join(out, "\n")
}

// fileFaults are those of a file.
type fileFaults struct {
	file string
	Faults
}

func (f fileFaults) Error() string { return f.lines(f.file + ": ") }
func (f fileFaults) Unwrap() error { return f.Faults }

func (f Faults) sort() {
	slices.SortStableFunc(f, func(a, b Fault) int {
		return cmp.Or(
			cmp.Compare(a.set, b.set),
			cmp.Compare(min(1, b.line), min(1, a.line)), // what stands in the file comes first
			cmp.Compare(a.line, b.line),
			cmp.Compare(a.Key, b.Key),
		)
	})
}

// Load reads a configuration: the defaults, which are a TOML text, then the file, then the
// overrides. Its error says all that is wrong, a line for each.
func Load(defaults string, o LoadOptions) (Config, error) {
	var c Config
	r := &reader{c: &c, places: map[string]place{}}
	if err := r.text(defaults, func(string) place { return place{} }); err != nil || len(r.faults) > 0 {
		return Config{}, fmt.Errorf("built-in config.toml: %w", cmp.Or[error](err, r.faults))
	}
	if o.Dev {
		dev(&c)
	}
	if o.File != "" {
		if err := r.file(o.File); err != nil {
			return Config{}, err
		}
	}
	for i, set := range o.Set {
		if err := r.override(set, i+1); err != nil {
			return Config{}, err
		}
	}
	r.faults = append(r.faults, r.placed(c.faults())...)
	if len(r.faults) == 0 {
		return c, nil
	}
	r.faults.sort()
	if o.File != "" {
		return Config{}, fileFaults{o.File, r.faults}
	}
	return Config{}, r.faults
}

// dev changes the defaults as --dev does.
func dev(c *Config) {
	c.Dev = true
	for _, d := range []struct {
		to toml.Unmarshaler
		at string
	}{{&c.Web.Listen, "127.0.0.1:8080"}, {&c.Web.TLSListen, "127.0.0.1:8443"}, {&c.TURN.Listen, "127.0.0.1:3478"}} {
		if err := d.to.UnmarshalTOML(d.at); err != nil {
			panic(err) // it is a constant
		}
	}
	c.Drain.Timeout = 0
}

func (r *reader) file(name string) error {
	content, err := os.ReadFile(name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("config file %s does not exist: write it (config.toml documents every key), or start "+
			"without -c for the defaults", name)
	case err != nil:
		return fmt.Errorf("config file: %w: let this program's user read it", err)
	}
	lines := lineNumbers(string(content))
	err = r.text(string(content), func(key string) place { return place{line: lines[key]} })
	var syntax toml.ParseError
	if errors.As(err, &syntax) {
		return fmt.Errorf("%s: line %d: %s", name, syntax.Position.Line, syntax.Message)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return nil
}

// override applies the n-th "key=value". The value is TOML; what is not, or does not fit the key, is
// a string.
func (r *reader) override(set string, n int) error {
	key, value, ok := strings.Cut(set, "=")
	key, value = strings.TrimSpace(key), strings.TrimSpace(value)
	if !ok || key == "" {
		return fmt.Errorf("--set %s: write key=value, for example turn.realm=example.org", set)
	}
	at := func(string) place { return place{set: n} }
	first := r.try(key+" = "+value, at)
	if first == nil {
		return nil
	}
	second := r.try(key+" = "+strconv.Quote(value), at)
	var faults Faults
	switch {
	case second == nil:
	case errors.As(first, &faults), errors.As(second, &faults):
		r.faults = append(r.faults, faults...)
	default:
		return fmt.Errorf("--set %s: it is no key: %w", key, second)
	}
	return nil
}

// try reads a text. If anything is wrong with it nothing is changed.
func (r *reader) try(text string, at func(string) place) error {
	next := *r.c
	one := &reader{c: &next, places: map[string]place{}}
	if err := one.text(text, at); err != nil {
		return err
	}
	if len(one.faults) > 0 {
		return one.faults
	}
	*r.c = next
	for key, p := range one.places {
		r.places[key] = p
	}
	return nil
}

// placed gives faults the place of the key that they are about, or of the first of several that was
// given at all.
func (r *reader) placed(faults Faults) Faults {
	for i := range faults {
		for _, key := range strings.Split(faults[i].Key, ", ") {
			if faults[i].place == (place{}) {
				faults[i].place = r.places[key]
			}
		}
	}
	return faults
}
