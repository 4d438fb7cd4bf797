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
	"syscall"

	"signalbox/internal/fault"

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

// Fault is a value that can't be used, and the place where it was given.
type Fault struct {
	*fault.Fault
	place
	because string // the key whose value makes this one a fault, if it is another
}

func newFault(key string, at place, err error) Fault {
	return Fault{Fault: &fault.Fault{Key: key, Err: err}, place: at}
}

func (f Fault) Error() string {
	switch {
	case f.line > 0:
		return fmt.Sprintf("%s (line %d): %s", f.Key, f.line, f.Err)
	case f.set > 0:
		return fmt.Sprintf("%s (--set): %s", f.Key, f.Err)
	}
	return f.Fault.Error()
}

// Unwrap makes it a fault.Fault.
func (f Fault) Unwrap() error { return f.Fault }

// about returns the keys that it is about.
func (f Fault) about() []string { return strings.Split(f.Key, ", ") }

// Faults are all faults of a configuration, in the order of the file; faults of overrides follow.
type Faults []Fault

func (f Faults) Error() string { return f.lines("") }

// Unwrap returns the faults one by one.
func (f Faults) Unwrap() []error {
	out := make([]error, len(f))
	for i := range f {
		out[i] = f[i]
	}
	return out
}

// lines puts inFile before the faults of the file.
func (f Faults) lines(inFile string) string {
	out := make([]string, len(f))
	for i := range f {
		if out[i] = f[i].Error(); f[i].line > 0 {
			out[i] = inFile + out[i]
		}
	}
	return strings.Join(out, "\n")
}

// fileFaults adds the file's name to the faults of a file.
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
// overrides. Its error lists every fault, one per line.
func Load(defaults string, o LoadOptions) (Config, error) {
	r, err := read(defaults, o)
	if err != nil {
		return Config{}, err
	}
	return *r.c, nil
}

// read is Load; its reader also knows what was given.
func read(defaults string, o LoadOptions) (*reader, error) {
	r := newReader(&Config{})
	if err := r.text(defaults, func(string) place { return place{} }); err != nil || len(r.faults) > 0 {
		return nil, fmt.Errorf("built-in config.toml: %w", cmp.Or[error](err, r.faults))
	}
	if o.Dev {
		if err := r.text(devDefaults, func(string) place { return place{} }); err != nil || len(r.faults) > 0 {
			return nil, fmt.Errorf("defaults of --dev: %w", cmp.Or[error](err, r.faults))
		}
		r.c.Dev = true
	}
	if o.File != "" {
		if err := r.file(o.File); err != nil {
			return nil, err
		}
	}
	for i, set := range o.Set {
		if err := r.override(set, i+1); err != nil {
			return nil, err
		}
	}
	r.faults = append(r.faults, r.placed(r.news(r.c.faults()))...)
	if len(r.faults) == 0 {
		r.c.File = o.File
		return r, nil
	}
	r.faults.sort()
	if o.File != "" {
		return nil, fileFaults{o.File, r.faults}
	}
	return nil, r.faults
}

// devDefaults replace the defaults with --dev.
const devDefaults = `
web = {listen = "127.0.0.1:8080", tls_listen = "127.0.0.1:8443"}
turn = {listen = "127.0.0.1:3478"}
drain = {timeout = "0s"}
notify = {self_test = "0s"}
`

func (r *reader) file(name string) error {
	content, err := os.ReadFile(name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("config file %s does not exist: write it (config.toml documents every key), or start "+
			"without -c for the defaults", name)
	case errors.Is(err, syscall.EISDIR):
		return fmt.Errorf("config file: %s is a directory: name a file", name)
	case err != nil:
		return fmt.Errorf("config file: %w: let this program's user read it", err)
	}
	lines := lineNumbers(string(content))
	err = r.text(string(content), func(key string) place { return place{line: lineOf(lines, key)} })
	var syntax toml.ParseError
	if errors.As(err, &syntax) {
		where := ""
		if syntax.LastKey != "" {
			where = syntax.LastKey + ": "
		}
		hint := ""
		if strings.Contains(syntax.Message, "already been defined") {
			hint = " Put its keys where it stands first."
		}
		return fmt.Errorf("%s: line %d: %s%s%s", name, syntax.Position.Line, where, syntax.Message, hint)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return nil
}

// override applies the n-th "key=value". The value is TOML; if it is not valid TOML, or does not
// fit the key, it is taken as a string.
func (r *reader) override(set string, n int) error {
	key, value, ok := strings.Cut(set, "=")
	key, value = strings.TrimSpace(key), strings.TrimSpace(value)
	if !ok || key == "" {
		return fmt.Errorf("--set %s: write key=value, for example turn.realm=example.org", key)
	}
	at := func(string) place { return place{set: n} }
	first := r.try(key+" = "+value, at)
	if first == nil {
		return nil
	}
	second := r.try(key+" = "+strconv.Quote(value), at)
	if second == nil {
		return nil
	}
	var asTOML, asText Faults
	errors.As(first, &asTOML)
	errors.As(second, &asText)
	switch wantsText := errors.As(first, new(textWanted)); {
	case len(asTOML) > 0 && !wantsText:
		r.faults = append(r.faults, asTOML...)
	case len(asText) > 0:
		r.faults = append(r.faults, asText...)
	default:
		return fmt.Errorf("--set %s: %q is no key: write key=value, for example turn.realm=example.org", key, key)
	}
	return nil
}

// try reads a text. If anything is wrong with it nothing is changed.
func (r *reader) try(text string, at func(string) place) error {
	next := *r.c
	one := newReader(&next)
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
	merge(r.given, one.given)
	return nil
}

// news leaves out what is only said of a key because its value, one in it, or that of the key which
// makes it a fault could not be read.
func (r *reader) news(faults Faults) Faults {
	return slices.DeleteFunc(faults, func(f Fault) bool {
		return slices.ContainsFunc(append(f.about(), f.because), func(key string) bool {
			return slices.ContainsFunc(r.faults, func(unread Fault) bool {
				return unread.Key == key || strings.HasPrefix(unread.Key, key+".")
			})
		})
	})
}

// placed adds to each fault the place of its key: of several keys, the one that was given last; if
// none was given, the place of the key that makes it a fault.
func (r *reader) placed(faults Faults) Faults {
	for i := range faults {
		f := &faults[i]
		for _, key := range f.about() {
			if p := r.places[key]; cmp.Or(cmp.Compare(p.set, f.set), cmp.Compare(p.line, f.line)) > 0 {
				f.place = p
			}
		}
		if f.place == (place{}) {
			f.place = r.places[f.because]
		}
	}
	return faults
}
