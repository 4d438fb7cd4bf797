//go:build linux

package lab

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"
	"testing"
)

// Addresses of a lab without options. They may stand in several labs at once,
// each in its own namespaces.
const (
	AddrA       = "10.0.1.2"
	AddrB       = "10.0.2.2"
	AddrNATA    = "203.0.113.1"
	AddrNATB    = "203.0.113.2"
	AddrServer  = "203.0.113.10"
	AddrServer2 = "203.0.113.11"
)

// AddrServerInside is the server's own address with the option OneToOneNAT.
const AddrServerInside = "10.0.3.2"

// AddrNeighbor is the own address of what AddNeighbor adds.
const AddrNeighbor = "10.0.4.2"

// An Option makes a lab differ from the usual one.
type Option int

const (
	// GlobalAddresses numbers the outside 203.0.114.0/24 instead of
	// 203.0.113.0/24. That is a prefix which the internet routes, so that the
	// server takes the lab's addresses for public ones. No packet finds the way
	// there: see [Lab.Sealed].
	GlobalAddresses Option = iota
	// OneToOneNAT puts a router in front of the server, as most clouds do: the
	// server itself has the address AddrServerInside only, which that router
	// maps to the public one, port by port. From inside, the public address
	// can't be reached.
	OneToOneNAT
)

// The outside of labs, as the first three numbers of a /24.
const (
	reservedNet = "203.0.113." // for documentation, RFC 5737
	globalNet   = "203.0.114."
)

// A Lab is a set of namespaces: two clients, each behind a NAT, and a server.
type Lab struct {
	A, B       *Namespace // the clients
	NATA, NATB *Namespace // their routers
	Server     *Namespace
	Cloud      *Namespace // the server's router with OneToOneNAT, else nil

	inet  *Namespace // the wire between routers and server
	hosts []*Namespace
	tag   string // the start of its namespaces' names
	net   string // reservedNet or globalNet
	path  bool   // there is a Path
}

// New brings a lab up with the two NATs in the given modes and takes it down
// with the test. It calls [Require], and empties the test's [Artifacts].
func New(t testing.TB, a, b NAT, options ...Option) *Lab {
	t.Helper()
	Require(t)
	if err := os.RemoveAll(Artifacts(t)); err != nil { // of an earlier run
		t.Fatal(err)
	}
	l, err := Up(a, b, options...)
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
func Up(a, b NAT, options ...Option) (*Lab, error) {
	if err := reap(); err != nil {
		return nil, fmt.Errorf("clear an earlier lab away: %w", err)
	}
	me, err := owner(os.Getpid())
	if err != nil {
		return nil, err
	}
	var tag [3]byte
	rand.Read(tag[:])
	l := &Lab{tag: namePrefix + me + "-" + hex.EncodeToString(tag[:]) + "-", net: reservedNet}
	if slices.Contains(options, GlobalAddresses) {
		l.net = globalNet
	}
	host := func(role, number string) *Namespace {
		return &Namespace{Name: l.tag + role, Public: l.net + number}
	}
	l.A, l.NATA = host("a", "1"), host("nata", "1")
	l.B, l.NATB = host("b", "2"), host("natb", "2")
	l.Server, l.inet = host("srv", "10"), host("inet", "0")
	if slices.Contains(options, OneToOneNAT) {
		l.Cloud = host("cloud", "10")
	}
	if err := l.build(a, b); err != nil {
		return nil, errors.Join(err, l.Down())
	}
	if err := l.Sealed(); err != nil {
		return nil, errors.Join(err, l.Down())
	}
	return l, nil
}

// AddHost adds a host that is on the outside itself, behind no NAT, at the given
// last number of an IPv4 address, from 64 on. The role is for its name: letters.
func (l *Lab) AddHost(t testing.TB, role string, number uint8) *Namespace {
	t.Helper()
	n := &Namespace{Name: l.tag + role, Public: fmt.Sprint(l.net, number)}
	l.hosts = append(l.hosts, n)
	err := errors.Join(
		ipBatch(fmt.Sprintf("netns add %s\nlink add eth0 netns %[1]s type veth peer name %s netns %s\n", n.Name, role,
			l.inet.Name)),
		noDAD(n),
		n.ip(loopback+"link set eth0 up\naddr add "+n.Public+"/24 dev eth0\n"),
		l.inet.ip("link set "+role+" master br0 up\n"),
		l.Sealed(),
	)
	if err != nil {
		t.Fatalf("add the host %s to the lab: %v", role, err)
	}
	return n
}

// AddNeighbor adds a host behind the server's router, OneToOneNAT's, in a network of its own. The
// router leads nothing from outside to it, and maps nothing of what it sends, until it is told to.
func (l *Lab) AddNeighbor(t testing.TB, role string) *Namespace {
	t.Helper()
	n := &Namespace{Name: l.tag + role, Public: l.Cloud.Public}
	l.hosts = append(l.hosts, n)
	err := errors.Join(
		ipBatch(fmt.Sprintf("netns add %s\nlink add eth0 netns %[1]s type veth peer name lan2 netns %s\n", n.Name,
			l.Cloud.Name)),
		noDAD(n),
		n.ip(client(AddrNeighbor, "10.0.4.1")),
		l.Cloud.ip("link set lan2 up\naddr add 10.0.4.1/24 dev lan2\n"),
		l.Sealed(),
	)
	if err != nil {
		t.Fatalf("add the neighbor %s to the lab: %v", role, err)
	}
	return n
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

// Renumber gives a router, NATA or NATB, the outside address with another last
// number, as internet providers do over night. Its mappings are lost.
func (l *Lab) Renumber(t testing.TB, router *Namespace, mode NAT, number uint8) {
	t.Helper()
	former := router.Public
	router.Public = fmt.Sprint(l.net, number)
	err := router.ip("addr del " + former + "/24 dev wan\naddr add " + router.Public + "/24 dev wan\n")
	if err != nil {
		t.Fatal(err)
	}
	l.SetNAT(t, router, mode)
}

// RenumberServer gives the server, which is behind no NAT, the outside address with another last
// number in the place of its first one, as a lease that ends does.
func (l *Lab) RenumberServer(t testing.TB, number uint8) {
	t.Helper()
	former := l.Server.Public
	l.Server.Public = fmt.Sprint(l.net, number)
	err := l.Server.ip("addr del " + former + "/24 dev eth0\naddr add " + l.Server.Public + "/24 dev eth0\n" +
		"route add default dev eth0 src " + l.Server.Public + "\n")
	if err != nil {
		t.Fatal(err)
	}
}

func (l *Lab) setNAT(router *Namespace, mode NAT) error {
	client := AddrA
	if router == l.NATB {
		client = AddrB
	}
	rules, err := mode.ruleset(client, router.Public)
	if err != nil {
		return err
	}
	return router.nft(rules)
}

func (l *Lab) namespaces() []*Namespace {
	all := append([]*Namespace{l.A, l.B, l.NATA, l.NATB, l.Server, l.inet}, l.hosts...)
	if l.Cloud != nil {
		all = append(all, l.Cloud)
	}
	return all
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
	if l.Cloud == nil {
		veth("eth0", l.Server, "srv", l.inet)
	} else {
		veth("eth0", l.Server, "lan", l.Cloud)
		veth("wan", l.Cloud, "srv", l.inet)
	}
	if err := ipBatch(add.String()); err != nil {
		return err
	}

	if err := noDAD(l.A, l.B, l.Server); err != nil {
		return err
	}

	// A default route although nothing lies beyond: the server finds its public
	// address by it, as on a rented machine.
	server := loopback + "link set eth0 up\naddr add " + l.Server.Public + "/24 dev eth0\n" +
		"addr add " + l.net + "11/24 dev eth0\nroute add default dev eth0 src " + l.Server.Public + "\n"
	if l.Cloud != nil {
		server = client(AddrServerInside, "10.0.3.1")
		if err := l.buildCloud(); err != nil {
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
		{l.NATA, router("10.0.1.1", l.NATA.Public)},
		{l.NATB, router("10.0.2.1", l.NATB.Public)},
		{l.Server, server},
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

// buildCloud sets up the router in front of the server.
func (l *Lab) buildCloud() error {
	return errors.Join(
		l.Cloud.ip(router("10.0.3.1", l.Cloud.Public)),
		l.Cloud.sysctl("net/ipv4/ip_forward", "1"),
		l.Cloud.nft(oneToOne(AddrServerInside, l.Cloud.Public)),
	)
}

// noDAD makes IPv6 addresses valid at once. The second that the kernel takes to
// look for duplicates would end amid a page's load: Chromium calls it a change
// of network and drops what it is loading.
func noDAD(hosts ...*Namespace) error {
	for _, n := range hosts {
		err := n.sysctl("net/ipv6/conf/eth0/accept_dad", "0")
		if err != nil && !errors.Is(err, fs.ErrNotExist) { // a kernel may lack IPv6
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
	return loopback + "link set lan up\nlink set wan up\naddr add " + lan + "/24 dev lan\naddr add " + wan +
		"/24 dev wan\n"
}
