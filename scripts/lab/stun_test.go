//go:build linux

package lab_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"signalbox/scripts/lab"
)

// discovery has the server answer from two addresses and two ports.
var discovery = []string{"--set", "stun.alternate=" + lab.AddrServer2 + ":3479"}

// TestNATDiscovery has clients of others' making find out, by asking the box,
// what the lab's NATs are: coturn's for RFC 5780, and one of 2003, which speaks
// RFC 3489 only.
func TestNATDiscovery(t *testing.T) {
	t.Parallel()
	lab.Require(t, "turnutils_natdiscovery", "turnutils_stunclient", "stun")
	l := lab.New(t, lab.PortRestricted, lab.Symmetric)
	lab.StartServer(t, l.Server, lab.Config, discovery...)

	const mapping, filtering = "NAT with %s Mapping!", "NAT with %s Filtering!"
	const independent, dependent = "Endpoint Independent", "Address and Port Dependent"
	type verdicts struct {
		mode               lab.NAT
		mapping, filtering string
		classic            string
	}
	for _, client := range []struct {
		in, nat  *lab.Namespace
		address  string
		verdicts []verdicts
	}{
		{l.A, l.NATA, lab.AddrA, []verdicts{
			{lab.PortRestricted, independent, dependent, "Independent Mapping, Port Dependent Filter"},
			{lab.FullCone, independent, independent, "Independent Mapping, Independent Filter"},
		}},
		{l.B, l.NATB, lab.AddrB, []verdicts{
			{lab.Symmetric, dependent, dependent, "Dependent Mapping"},
			// Once it has asked both addresses, both may answer.
			{lab.AddressRestricted, independent, independent, "Independent Mapping, Independent Filter"},
		}},
	} {
		t.Run(client.in.Public, func(t *testing.T) {
			t.Parallel()
			for _, want := range client.verdicts {
				t.Run(string(want.mode), func(t *testing.T) {
					l.SetNAT(t, client.nat, want.mode)
					out := output(t, client.in, "turnutils_natdiscovery", "-m", "-f", "-L", client.address,
						lab.AddrServer)
					for _, line := range []string{fmt.Sprintf(mapping, want.mapping),
						fmt.Sprintf(filtering, want.filtering)} {
						if !strings.Contains(out, line) {
							t.Errorf("turnutils_natdiscovery does not say %q:\n%s", line, out)
						}
					}
					out = output(t, client.in, "stun", lab.AddrServer)
					if !strings.Contains(out, want.classic) {
						t.Errorf("stun does not say %q:\n%s", want.classic, out)
					}
				})
			}
		})
	}
}

// TestSTUNClient asks the box as most do, for the address that it sees: coturn's
// client, and the one of 2003, which also asks for what a box with one address
// refuses.
func TestSTUNClient(t *testing.T) {
	t.Parallel()
	lab.Require(t, "turnutils_stunclient", "stun")
	l := lab.New(t, lab.FullCone, lab.Symmetric)
	lab.StartServer(t, l.Server, lab.Config)
	out := output(t, l.A, "turnutils_stunclient", lab.AddrServer)
	if !strings.Contains(out, "UDP reflexive addr: "+lab.AddrNATA+":") {
		t.Errorf("turnutils_stunclient does not name %s:\n%s", lab.AddrNATA, out)
	}
	out = output(t, l.A, "stun", lab.AddrServer, "-v")
	if !strings.Contains(out, "MappedAddress = "+lab.AddrNATA+":") || strings.Contains(out, "0.0.0.0") {
		t.Errorf("stun does not name %s:\n%s", lab.AddrNATA, out)
	}
}

// output runs a command that says what it found, whatever its exit status.
func output(t *testing.T, in *lab.Namespace, name string, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	out, _ := in.Command(ctx, name, args...).CombinedOutput()
	if ctx.Err() != nil {
		t.Fatalf("%s does not end:\n%s", name, out)
	}
	return string(out)
}
