package config

import (
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/BurntSushi/toml"
)

// defaults is the text of config.toml.
func defaults(t testing.TB) string {
	t.Helper()
	text, err := os.ReadFile("../../config.toml")
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// load reads a configuration as the program does.
func load(t testing.TB, o LoadOptions) (Config, error) {
	t.Helper()
	return Load(defaults(t), o)
}

// withoutFile is what an error says, without the name of the file that each of its lines begins
// with.
func withoutFile(err error, file string) string {
	if file == "" {
		return err.Error()
	}
	return strings.ReplaceAll(err.Error(), file+": ", "")
}

// writeFile writes a configuration file.
func writeFile(t testing.TB, text string) (path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "config.toml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// Every key of Config stands in config.toml, and none other: what is not documented there does not
// exist.
func TestConfigTOMLHasEveryKey(t *testing.T) {
	t.Parallel()
	var table map[string]any
	meta, err := toml.Decode(defaults(t), &table)
	if err != nil {
		t.Fatal(err)
	}
	documented := map[string]bool{"turn.users.name": true, "turn.users.password": true, "turn.users.key": true,
		"turn.users": true, "admin.tokens": true} // in comments
	for _, k := range meta.Keys() {
		documented[k.String()] = true
	}
	var fields []string
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
			delete(documented, key)
			switch {
			case reflect.PointerTo(f.Type).Implements(reflect.TypeFor[toml.Unmarshaler]()):
				fields = append(fields, key)
			case f.Type.Kind() == reflect.Struct:
				walk(key+".", f.Type)
			case f.Type.Kind() == reflect.Slice && f.Type.Elem().Kind() == reflect.Struct:
				walk(key+".", f.Type.Elem())
				fields = append(fields, key)
			default:
				fields = append(fields, key)
			}
		}
	}
	walk("", reflect.TypeFor[Config]())
	for key := range documented {
		t.Errorf("%s is in config.toml, and no key", key)
	}
	if keys := Keys(); !slices.Equal(keys, fields) {
		t.Errorf("Keys are %v, want %v", keys, fields)
	}

	// Each key has words above it.
	var previous string
	for i, line := range strings.Split(defaults(t), "\n") {
		if strings.Contains(line, " = ") && !strings.HasPrefix(line, "#") && !strings.HasPrefix(previous, "#") &&
			!strings.Contains(previous, " = ") {
			t.Errorf("config.toml line %d has no words above it: %s", i+1, line)
		}
		previous = line
	}
}

// Whoever uncomments a block of config.toml has a configuration.
func TestCommentedBlocksLoad(t *testing.T) {
	t.Parallel()
	lines, blocks, inBlock := strings.Split(defaults(t), "\n"), 0, false
	for i, line := range lines {
		text, comment := strings.CutPrefix(line, "# ")
		if comment && strings.HasPrefix(text, "[[") {
			blocks, inBlock = blocks+1, true
		}
		if inBlock = inBlock && comment; inBlock {
			lines[i] = text
		}
	}
	c, err := load(t, LoadOptions{File: writeFile(t, strings.Join(lines, "\n"))})
	if err != nil || len(c.TURN.Users)+len(c.Admin.Tokens) != blocks || blocks < 3 {
		t.Errorf("%d blocks, users %v, tokens %v: %v", blocks, c.TURN.Users, c.Admin.Tokens, err)
	}
}

func TestDefaultsAreValid(t *testing.T) {
	t.Parallel()
	c, err := load(t, LoadOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if c.Web.Listen.String() != ":8080" || c.TURN.Listen[0].String() != ":3478" || c.Signal.RoomCapacity != 8 ||
		c.TURN.CredentialTTL != Duration(time.Hour) {
		t.Errorf("unexpected defaults: %+v", c)
	}
	dev, err := load(t, LoadOptions{Dev: true, Set: []string{"web.listen=:9000"}})
	if err != nil {
		t.Fatal(err)
	}
	if dev.Web.Listen.String() != ":9000" || dev.TURN.Listen[0].String() != "127.0.0.1:3478" || dev.Drain.Timeout != 0 {
		t.Errorf("--dev changes defaults only, and explicit keys win: %+v", dev)
	}
}

func TestSecretsAreNotPrinted(t *testing.T) {
	t.Parallel()
	c, err := load(t, LoadOptions{Set: []string{"turn.secret=hunter2hunter2hunter2",
		"admin.token=hunter2hunter2hunter2",
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
