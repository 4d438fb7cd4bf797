package config

import (
	"fmt"
	"testing"
)

// An address that public_ip names is taken as it is, one of each family; a name is looked up.
func TestPublicIP(t *testing.T) {
	t.Parallel()
	for set, want := range map[string]string{
		"public_ip=auto":                             "[] [] true",
		"public_ip=[]":                               "[] [] true",
		"public_ip=198.51.100.7":                     "[198.51.100.7] [] false",
		`public_ip=["198.51.100.7", "2001:db8::7"]`:  "[198.51.100.7 2001:db8::7] [] false",
		`public_ip=["10.0.0.1", "auto"]`:             "[10.0.0.1] [] true",
		"public_ip=box.example.org":                  "[] [box.example.org] false",
		`public_ip=["a.example.org", "2001:db8::7"]`: "[2001:db8::7] [a.example.org] false",
	} {
		c, err := load(t, LoadOptions{Set: []string{set}})
		if err != nil {
			t.Errorf("%s: %v", set, err)
			continue
		}
		if got := fmt.Sprint(c.PublicIP.Addrs, c.PublicIP.Names, c.PublicIP.Auto); got != want {
			t.Errorf("%s: %s, want %s", set, got, want)
		}
	}
	for _, bad := range []string{`public_ip=["198.51.100.1", "198.51.100.2"]`, "public_ip=0.0.0.0", "public_ip=a b",
		`turn.relay_ip=["::1", "::2"]`, "turn.relay_ip=box.example.org"} {
		if _, err := load(t, LoadOptions{Set: []string{bad}}); err == nil {
			t.Errorf("%s is accepted", bad)
		}
	}
}
