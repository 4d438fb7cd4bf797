//go:build linux

package lab_test

import (
	"net/netip"
	"os/exec"
	"strings"
	"testing"
	"time"

	"signalbox/scripts/lab"
)

// Before the proofs of the policy are believed, their rig has to hold.

func TestOneToOneNAT(t *testing.T) {
	besideOthers(t)
	l := lab.New(t, lab.PortRestricted, lab.Symmetric, lab.GlobalAddresses, lab.OneToOneNAT)
	outside := l.AddHost(t, "out", 80)
	inside := l.Server.ListenUDP(t, lab.AddrServerInside+":0")
	public := netip.AddrPortFrom(netip.MustParseAddr(l.Server.Public),
		inside.LocalAddr().(interface{ AddrPort() netip.AddrPort }).AddrPort().Port())
	inside.SetReadDeadline(time.Now().Add(patience))
	buf := make([]byte, 16)

	// An unsolicited packet comes in at the same port, with its source as it was.
	out := outside.ListenUDP(t, outside.Public+":0")
	if _, err := out.WriteToUDPAddrPort([]byte("in"), public); err != nil {
		t.Fatal(err)
	}
	_, from, err := inside.ReadFromUDPAddrPort(buf)
	if err != nil || from.String() != out.LocalAddr().String() {
		t.Fatalf("from outside: %v, from %v, want %v", err, from, out.LocalAddr())
	}

	// And out, to somebody who has not asked, from the same port.
	other := outside.ListenUDP(t, outside.Public+":0")
	other.SetReadDeadline(time.Now().Add(patience))
	if _, err := inside.WriteTo([]byte("out"), other.LocalAddr()); err != nil {
		t.Fatal(err)
	}
	if _, from, err = other.ReadFromUDPAddrPort(buf); err != nil || from != public {
		t.Fatalf("to outside: %v, from %v, want %v", err, from, public)
	}

	// Its own public address leads nowhere from inside.
	if _, err := inside.WriteToUDPAddrPort([]byte("hairpin"), public); err == nil {
		inside.SetReadDeadline(time.Now().Add(300 * time.Millisecond))
		if _, from, err := inside.ReadFromUDPAddrPort(buf); err == nil {
			t.Errorf("the server reaches itself by its public address, as %v", from)
		}
	}
}

func TestLabIsSealed(t *testing.T) {
	l := lab.New(t, lab.PortRestricted, lab.Symmetric, lab.GlobalAddresses)
	l.AddHost(t, "out", 80)
	if err := l.Sealed(); err != nil {
		t.Error(err)
	}
	// A cable to a namespace that is none of the lab's.
	stranger := &lab.Namespace{Name: strings.TrimSuffix(l.Server.Name, "srv") + "stranger"}
	for _, args := range []string{
		"netns add " + stranger.Name,
		"link add leak netns " + l.Server.Name + " type veth peer name leak netns " + stranger.Name,
		"-n " + l.Server.Name + " link set leak up",
	} {
		if out, err := exec.Command("ip", strings.Fields(args)...).CombinedOutput(); err != nil {
			t.Fatalf("ip %s: %v\n%s", args, err, out)
		}
	}
	t.Cleanup(func() { exec.Command("ip", "netns", "delete", stranger.Name).Run() })
	if err := l.Sealed(); err == nil || !strings.Contains(err.Error(), "leak") {
		t.Errorf("a lab with a way out: %v", err)
	}
}

func TestCaptureSeesSpoofedPackets(t *testing.T) {
	l := lab.New(t, lab.PortRestricted, lab.Symmetric)
	mallory, victim := l.AddHost(t, "mallory", 66), l.AddHost(t, "victim", 77)
	seen, sent := victim.Capture(t), mallory.Capture(t)
	src, dst := netip.MustParseAddrPort(l.NATA.Public+":7000"), netip.MustParseAddrPort(victim.Public+":9")
	for _, text := range []string{"one", "two"} {
		mallory.Inject(t, src, dst, []byte(text))
	}
	for _, text := range []string{"one", "two"} {
		is := func(p lab.Packet) bool { return p.Src == src && p.Dst == dst && string(p.Payload) == text }
		if p := seen.Await(patience, "a spoofed packet", is); p.Outgoing {
			t.Errorf("%v: taken for one that the victim sent", p)
		}
		if p := sent.Await(patience, "what was sent", is); !p.Outgoing {
			t.Errorf("%v: taken for one that was received", p)
		}
	}
	if got := seen.Packets(func(p lab.Packet) bool { return p.Src == src }); len(got) != 2 ||
		!got[0].At.Before(got[1].At) {
		t.Errorf("captured: %v", got)
	}
}
