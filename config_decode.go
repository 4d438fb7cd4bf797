package signalbox

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"github.com/BurntSushi/toml"
)

// override applies one "key=value". The value is TOML; what is not, or does not fit the key, is a
// string.
func override(c *Config, set string) error {
	key, value, ok := strings.Cut(set, "=")
	key, value = strings.TrimSpace(key), strings.TrimSpace(value)
	if !ok || key == "" {
		return errors.New("write key=value, for example turn.realm=example.org")
	}
	next := *c
	err := decode(&next, key+" = "+value, nil)
	var unknown unknownKeyError
	if err != nil && !errors.As(err, &unknown) {
		next = *c
		err = decode(&next, key+" = "+strconv.Quote(value), nil)
	}
	if err == nil {
		*c = next
	}
	return err
}

// decode reads TOML text over c. lines maps keys to lines for error messages; nil leaves them out.
func decode(c *Config, text string, lines map[string]int) error {
	meta, err := toml.Decode(text, c)
	if err != nil {
		var parse toml.ParseError
		if errors.As(err, &parse) {
			where := ""
			if lines != nil {
				where = fmt.Sprintf("line %d: ", parse.Position.Line)
			}
			if parse.LastKey != "" {
				where += parse.LastKey + ": "
			}
			return errors.New(where + parse.Message)
		}
		return plainTypeError(strings.TrimPrefix(err.Error(), "toml: "), lines != nil)
	}
	if unknown := meta.Undecoded(); len(unknown) > 0 {
		e := unknownKeyError{}
		for _, key := range unknown {
			name := key.String()
			// A whole unknown table is named once, not with each of its keys.
			if n := len(e); n > 0 && strings.HasPrefix(name, e[n-1].key+".") {
				continue
			}
			e = append(e, unknownKey{name, lines[name], nearest(name)})
		}
		return e
	}
	return nil
}

// The decoder's words for a value of the wrong type.
var (
	typeErrorPlace = regexp.MustCompile(`^line (\d+) \(last key "([^"]+)"\): `)
	typeErrorWhat  = regexp.MustCompile(`^incompatible types: TOML value has type (\w+); destination has type (\w+)$`)
)

// plainTypeError says where and what in the words of this program's other errors.
func plainTypeError(text string, withLine bool) error {
	where := ""
	if m := typeErrorPlace.FindStringSubmatch(text); m != nil {
		text = text[len(m[0]):]
		where = m[2] + ": "
		if withLine {
			where = "line " + m[1] + ": " + where
		}
	}
	if m := typeErrorWhat.FindStringSubmatch(text); m != nil {
		text = fmt.Sprintf("want a value of type %s, not %s", m[2], m[1])
	}
	return errors.New(where + text)
}

type unknownKey struct {
	key  string
	line int
	near string
}

// unknownKeyError names every unknown key.
type unknownKeyError []unknownKey

func (e unknownKeyError) Error() string {
	parts := make([]string, len(e))
	for i, k := range e {
		parts[i] = k.key
		if k.line > 0 {
			parts[i] += fmt.Sprintf(" (line %d)", k.line)
		}
		if k.near != "" {
			parts[i] += ": did you mean " + k.near + "?"
		} else {
			parts[i] += ": there is no such key"
		}
	}
	return strings.Join(parts, "; ")
}

// lineNumbers finds the line of each key and table of a TOML text. It reads headers and plain keys
// only, which is what error messages need.
func lineNumbers(text string) map[string]int {
	lines := map[string]int{}
	table := ""
	for i, line := range strings.Split(text, "\n") {
		line = strings.TrimSpace(line)
		var key string
		switch {
		case strings.HasPrefix(line, "["):
			table = strings.Trim(strings.SplitN(line, "#", 2)[0], "[] \t")
			key = table
			table += "."
		default:
			name, _, ok := strings.Cut(line, "=")
			if !ok || strings.HasPrefix(line, "#") {
				continue
			}
			key = table + strings.Trim(strings.TrimSpace(name), `"'`)
		}
		if lines[key] == 0 {
			lines[key] = i + 1
		}
	}
	return lines
}

// keys returns every key of the configuration, dotted.
func keys() []string {
	var c Config
	meta, err := toml.Decode(DefaultConfig, &c)
	if err != nil {
		return nil
	}
	var all []string
	for _, k := range meta.Keys() {
		all = append(all, k.String())
	}
	return append(all, "turn.users", "turn.users.name", "turn.users.password", "turn.users.key")
}

// nearest returns the key that name was probably meant to be, or "". A key that stands in the wrong
// table counts as near.
func nearest(name string) string {
	best, bestCost := "", min(4, len(name)/2)
	for _, k := range keys() {
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
