package coturn

import (
	"fmt"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// OPTIONS.md says what the importer does.
func TestIssue16OptionsAreDocumented(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("OPTIONS.md")
	if err != nil {
		t.Fatal(err)
	}
	var want strings.Builder
	if err := WriteOptions(&want); err != nil {
		t.Fatal(err)
	}
	if string(text) != want.String() {
		t.Error("OPTIONS.md is out of date: go run ./cmd/signalbox import-coturn --options " +
			">cmd/signalbox/internal/coturn/OPTIONS.md")
	}
	times := map[string]int{}
	for _, table := range []map[string]string{carried, same, different} {
		for name := range table {
			if times[name]++; times[name] > 1 {
				t.Errorf("%s is in two tables", name)
			}
		}
	}
}

// Options that are said to become a key do so, and the key is one of this box's.
func TestIssue16OptionsAreCarriedOver(t *testing.T) {
	t.Parallel()
	config, err := os.ReadFile("../../../../config.toml")
	if err != nil {
		t.Fatal(err)
	}
	// What other options need to have an effect.
	base := "cert=c\npkey=k\nprometheus\nuser=ann:secret\n"
	values := map[string]string{
		"listening-ip": "192.0.2.1", "relay-ip": "192.0.2.1", "external-ip": "192.0.2.1", "user": "bob:secret",
		"rest-api-separator": "-", "allowed-peer-ip": "192.0.2.1", "denied-peer-ip": "192.0.2.1", "prometheus": "0",
		"allocation-default-address-family": "ipv6", "no-udp": "", "no-tcp": "", "no-tls": "", "no-dtls": "",
		"keep-address-family": "", "verbose": "", "Verbose": "", "use-auth-secret": "",
	}
	imported := func(conf string) string {
		text, notes, err := Import(strings.NewReader(conf), nil)
		if err != nil {
			t.Fatal(err)
		}
		return text + fmt.Sprint(notes)
	}
	before := imported(base)
	key := regexp.MustCompile(`\b(?:[a-z]+\.)+([a-z_]+)|public_ip`)
	for _, name := range slices.Sorted(maps.Keys(carried)) {
		value, ok := values[name]
		if !ok {
			value = "=1234"
		} else if value != "" {
			value = "=" + value
		}
		if after := imported(base + name + value + "\n"); after == before {
			t.Errorf("%s%s changes nothing", name, value)
		}
		keys := key.FindAllStringSubmatch(carried[name], -1)
		if len(keys) == 0 {
			t.Errorf("%s: %q names no key", name, carried[name])
		}
		for _, k := range keys {
			last := k[0][strings.LastIndex(k[0], ".")+1:]
			if !strings.Contains(string(config), "\n"+last+" = ") && !strings.Contains(string(config), "[["+k[0]+"]]") {
				t.Errorf("%s: there is no key %s", name, k[0])
			}
		}
	}
}
