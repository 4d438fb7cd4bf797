package config

import (
	"errors"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/BurntSushi/toml"
)

// reader fills a Config from TOML texts, one over the other, and collects what is wrong with them.
type reader struct {
	c      *Config
	places map[string]place // of the keys that were given, the last of each
	given  map[string]any   // what was given, table by table, without secrets; see Given
	faults Faults
}

// newReader fills c.
func newReader(c *Config) *reader {
	return &reader{c: c, places: map[string]place{}, given: map[string]any{}}
}

// text reads a TOML text. at returns the place of a key in it. Text that is not TOML is an error,
// not a fault.
func (r *reader) text(text string, at func(key string) place) error {
	var table map[string]any
	if _, err := toml.Decode(text, &table); err != nil {
		return err
	}
	r.fill(reflect.ValueOf(r.c).Elem(), table, "", at)
	return nil
}

// fill sets the fields of a struct from a table.
func (r *reader) fill(into reflect.Value, table map[string]any, prefix string, at func(string) place) {
	for name, value := range table {
		key := prefix + name
		field, ok := fieldOf(into, name)
		if !ok {
			r.fault(key, at, errors.New(unknownKey(key)))
			continue
		}
		r.places[key] = at(key)
		r.set(field, value, key, at)
	}
}

// fieldOf finds the field of a key in a struct.
func fieldOf(s reflect.Value, name string) (reflect.Value, bool) {
	for i := range s.NumField() {
		if tag := s.Type().Field(i).Tag.Get("toml"); tag == name && tag != "-" {
			return s.Field(i), true
		}
	}
	return reflect.Value{}, false
}

// set sets one field. A value that can't be used leaves it as it was.
func (r *reader) set(field reflect.Value, value any, key string, at func(string) place) {
	var err error
	switch f := field.Addr().Interface().(type) {
	case toml.Unmarshaler:
		err = f.UnmarshalTOML(value)
	case *bool:
		on, ok := value.(bool)
		if !ok {
			err = wrongType("boolean", value)
			break
		}
		*f = on
	case *[]TURNUser:
		r.users(f, value, key, at)
	default:
		switch field.Kind() {
		case reflect.String:
			var s string
			if s, err = text(value); err == nil {
				field.SetString(s)
			}
		case reflect.Struct:
			table, ok := value.(map[string]any)
			if !ok {
				err = wrongType("table", value)
				break
			}
			r.fill(field, table, key+".", at)
		default:
			panic("config: " + key + " has a type that is not read") // a test reads every key
		}
	}
	if err != nil {
		r.fault(key, at, err)
		return
	}
	r.noteGiven(key, field.Type(), value)
}

// errNoUsers is without the value, in which a password may stand.
var errNoUsers = errors.New(`write each user as a block of its own: [[turn.users]], in double brackets, then name = ` +
	`"..." and password = "..."`)

// users reads [[turn.users]], or a list of inline tables.
func (r *reader) users(into *[]TURNUser, value any, key string, at func(string) place) {
	var tables []map[string]any
	switch v := value.(type) {
	case []map[string]any:
		tables = v
	case []any:
		for _, entry := range v {
			table, ok := entry.(map[string]any)
			if !ok {
				r.fault(key, at, errNoUsers)
				return
			}
			tables = append(tables, table)
		}
	default:
		r.fault(key, at, errNoUsers)
		return
	}
	*into = make([]TURNUser, len(tables))
	for i, table := range tables {
		entry := key + "[" + strconv.Itoa(i+1) + "]."
		r.places[strings.TrimSuffix(entry, ".")] = at(strings.TrimSuffix(entry, "."))
		r.fill(reflect.ValueOf(&(*into)[i]).Elem(), table, entry, at)
	}
}

func (r *reader) fault(key string, at func(string) place, err error) {
	r.faults = append(r.faults, newFault(key, at(key), err))
}

// lineNumbers finds the line of each key and table of a TOML text; of an array of tables, "[1]" is
// the first. It reads headers and plain keys only, which is what error messages need.
func lineNumbers(text string) map[string]int {
	lines := map[string]int{}
	note := func(key string, line int) {
		if lines[key] == 0 {
			lines[key] = line
		}
	}
	entries := map[string]int{}
	table := ""
	for i, line := range strings.Split(text, "\n") {
		line = strings.TrimSpace(line)
		header := strings.TrimSpace(strings.SplitN(line, "#", 2)[0])
		switch {
		case strings.HasPrefix(header, "[["):
			name := strings.Trim(header, "[] \t")
			note(name, i+1)
			entries[name]++
			table = name + "[" + strconv.Itoa(entries[name]) + "]"
			note(table, i+1)
			table += "."
		case strings.HasPrefix(header, "["):
			table = strings.Trim(header, "[] \t")
			note(table, i+1)
			table += "."
		default:
			name, _, ok := strings.Cut(line, "=")
			if ok && !strings.HasPrefix(line, "#") {
				note(table+strings.Trim(strings.TrimSpace(name), `"'`), i+1)
			}
		}
	}
	return lines
}

// lineOf is the line of a key, or of the innermost table around it that has one: keys in braces
// have none.
func lineOf(lines map[string]int, key string) int {
	for lines[key] == 0 {
		end := strings.LastIndexAny(key, ".[")
		if end < 0 {
			return 0
		}
		key = key[:end]
	}
	return lines[key]
}

// entryNumber is what stands behind the name of an array of tables: "[1]".
var entryNumber = regexp.MustCompile(`\[\d+\]`)

// unknownKey says what to do about an unknown key.
func unknownKey(name string) string {
	near := nearest(entryNumber.ReplaceAllString(name, ""))
	switch {
	case near != "" && last(name) == near && name != near:
		return near + " stands in no table: write it above the first line in [brackets]"
	case near != "":
		return "did you mean " + near + "?"
	}
	return "there is no such key"
}

// Keys returns every key of the configuration, dotted, in the order of Config.
func Keys() (all []string) {
	var walk func(prefix string, typ reflect.Type)
	walk = func(prefix string, typ reflect.Type) {
		for i := range typ.NumField() {
			f := typ.Field(i)
			name := f.Tag.Get("toml")
			if name == "" || name == "-" {
				continue
			}
			value := reflect.New(f.Type).Interface()
			_, parses := value.(toml.Unmarshaler)
			switch {
			case !parses && f.Type.Kind() == reflect.Struct:
				walk(prefix+name+".", f.Type)
				continue
			case !parses && f.Type.Kind() == reflect.Slice:
				walk(prefix+name+".", f.Type.Elem())
			}
			all = append(all, prefix+name)
		}
	}
	walk("", reflect.TypeFor[Config]())
	return all
}

// tables returns the names of all tables.
func tables() (all []string) {
	for _, key := range Keys() {
		for end := strings.LastIndexByte(key, '.'); end > 0; end = strings.LastIndexByte(key[:end], '.') {
			if table := key[:end]; !slices.Contains(all, table) {
				all = append(all, table)
			}
		}
	}
	return all
}

// nearest returns the key or table that the user probably meant by name, or "". A key in the wrong
// table counts as near.
func nearest(name string) string {
	best, bestCost := "", min(4, len(name)/2)
	for _, k := range append(Keys(), tables()...) {
		cost := distance(name, k)
		if last(k) == last(name) {
			cost = min(cost, 2)
		}
		if cost < bestCost {
			best, bestCost = k, cost
		}
	}
	return best
}

func last(key string) string { return key[strings.LastIndexByte(key, '.')+1:] }

// distance is the Levenshtein distance.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j]+1, diagonal+1)
		}
	}
	return row[len(b)]
}
