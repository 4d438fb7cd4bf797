//go:build linux

package lab

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"testing"
)

// Addresses of every lab. They may stand in several labs at once, each in its
// own namespaces.
const (
	AddrA       = "10.0.1.2"
	AddrB       = "10.0.2.2"
	AddrNATA    = "203.0.113.1"
	AddrNATB    = "203.0.113.2"
	AddrServer  = "203.0.113.10"
	AddrServer2 = "203.0.113.11"
)

// A Lab is a set of namespaces: two clients, each behind a NAT, and a server.
type Lab struct {
	A, B       *Namespace // the clients
	NATA, NATB *Namespace // their routers
	Server     *Namespace

	inet *Namespace // the wire between routers and server
}

// New brings a lab up with the two NATs in the given modes and takes it down
// with the test. It calls [Require], and empties the test's [Artifacts].
func New(t testing.TB, a, b NAT) *Lab {
	t.Helper()
	Require(t)
	if err := os.RemoveAll(Artifacts(t)); err != nil { // of an earlier run
		t.Fatal(err)
	}
	l, err := Up(a, b)
	if err != nil {
		t.Fatalf("bring the lab up: %v", err)
	}
	t.Cleanup(func() {
		if err := l.Down(); err != nil {
			t.Errorf("take the lab down: %v", err)
		}
	})
	return l
}

// Up brings a lab up outside of a test. The caller calls Down, also after
// a panic; failing that, the next lab on this machine clears it away.
func Up(a, b NAT) (*Lab, error) {
	if err := reap(); err != nil {
		return nil, fmt.Errorf("clear an earlier lab away: %w", err)
	}
	me, err := owner(os.Getpid())
	if err != nil {
		return nil, err
	}
	var tag [3]byte
	rand.Read(tag[:])
	host := func(role string) *Namespace {
		return &Namespace{Name: namePrefix + me + "-" + hex.EncodeToString(tag[:]) + "-" + role}
	}
	l := &Lab{
		A: host("a"), B: host("b"), NATA: host("nata"), NATB: host("natb"),
		Server: host("srv"), inet: host("inet"),
	}
	if err := l.build(a, b); err != nil {
		return nil, errors.Join(err, l.Down())
	}
	return l, nil
}

// Down ends everything that runs in the lab and removes it.
func (l *Lab) Down() error {
	var errs []error
	for _, n := range l.namespaces() {
		if _, err := os.Stat(netnsDir + "/" + n.Name); err == nil {
			errs = append(errs, n.remove())
		}
	}
	return errors.Join(errs...)
}

// SetNAT changes the mode of a router, NATA or NATB, and forgets its mappings.
func (l *Lab) SetNAT(t testing.TB, router *Namespace, mode NAT) {
	t.Helper()
	if err := l.setNAT(router, mode); err != nil {
		t.Fatal(err)
	}
	router.Exec(t, "conntrack", "-F")
}

func (l *Lab) setNAT(router *Namespace, mode NAT) error {
	client, public := AddrA, AddrNATA
	if router == l.NATB {
		client, public = AddrB, AddrNATB
	}
	rules, err := mode.ruleset(client, public)
	if err != nil {
		return err
	}
	return router.nft(rules)
}

func (l *Lab) namespaces() []*Namespace {
	return []*Namespace{l.A, l.B, l.NATA, l.NATB, l.Server, l.inet}
}

func (l *Lab) build(a, b NAT) error {
	var add strings.Builder
	for _, n := range l.namespaces() {
		fmt.Fprintf(&add, "netns add %s\n", n.Name)
	}
	veth := func(nameX string, x *Namespace, nameY string, y *Namespace) {
		fmt.Fprintf(&add, "link add %s netns %s type veth peer name %s netns %s\n", nameX, x.Name, nameY, y.Name)
	}
	veth("eth0", l.A, "lan", l.NATA)
	veth("eth0", l.B, "lan", l.NATB)
	veth("wan", l.NATA, "nata", l.inet)
	veth("wan", l.NATB, "natb", l.inet)
	veth("eth0", l.Server, "srv", l.inet)
	if err := ipBatch(add.String()); err != nil {
		return err
	}

	// IPv6 addresses are valid at once. The second that the kernel takes to look for
	// duplicates would end amid a page's load: Chromium calls it a change of
	// network and drops what it is loading.
	for _, n := range []*Namespace{l.A, l.B, l.Server} {
		err := n.sysctl("net/ipv6/conf/eth0/accept_dad", "0")
		if err != nil && !errors.Is(err, fs.ErrNotExist) { // a kernel may lack IPv6
			return err
		}
	}

	for _, step := range []struct {
		in       *Namespace
		commands string
	}{
		{l.inet, "link add br0 type bridge\n" +
			"link set nata master br0 up\nlink set natb master br0 up\nlink set srv master br0 up\nlink set br0 up\n"},
		{l.A, client(AddrA, "10.0.1.1")},
		{l.B, client(AddrB, "10.0.2.1")},
		{l.NATA, router("10.0.1.1", AddrNATA)},
		{l.NATB, router("10.0.2.1", AddrNATB)},
		// A default route although nothing lies beyond: the server finds its public
		// address by it, as on a rented machine.
		{l.Server, loopback + "link set eth0 up\naddr add " + AddrServer + "/24 dev eth0\n" +
			"addr add " + AddrServer2 + "/24 dev eth0\nroute add default dev eth0 src " + AddrServer + "\n"},
	} {
		if err := step.in.ip(step.commands); err != nil {
			return err
		}
	}

	for _, nat := range []struct {
		router *Namespace
		mode   NAT
	}{{l.NATA, a}, {l.NATB, b}} {
		if err := nat.router.sysctl("net/ipv4/ip_forward", "1"); err != nil {
			return err
		}
		if err := l.setNAT(nat.router, nat.mode); err != nil {
			return err
		}
	}
	return nil
}

const loopback = "link set lo up\n"

func client(addr, gateway string) string {
	return loopback + "link set eth0 up\naddr add " + addr + "/24 dev eth0\nroute add default via " + gateway + "\n"
}

func router(lan, wan string) string {
	return loopback + "link set lan up\nlink set wan up\naddr add " + lan + "/24 dev lan\naddr add " + wan + "/24 dev wan\n"
}
