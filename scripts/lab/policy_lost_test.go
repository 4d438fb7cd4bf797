//go:build linux

package lab_test

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"signalbox/internal/testkit"
	"signalbox/scripts/lab"
)

// Somebody closes the tab instead of leaving. To the hub that is a connection
// which was lost, and media may go on without it: but only as long as it does
// from their side. What others send there keeps nothing open.
func TestLongMemberWhoIsGoneIsLeftAlone(t *testing.T) {
	testkit.Long(t)
	l := lab.New(t, lab.PortRestricted, lab.PortRestricted, lab.GlobalAddresses)
	server := lab.StartServer(t, l.Server, policyConfig(l, "room"), soonGone...)
	mallory, host := l.AddHost(t, "mallory", 66), l.AddHost(t, "victim", 77)
	atVictim := host.Capture(t)
	m, victim := hello(t, mallory, server, "Mallory", nil), hello(t, host, server, "Victim", nil)
	m.join("den")
	victim.join("den")
	attacker, victims := m.turn(mallory, server, "udp"), victim.turn(host, server, "udp")
	peer := netip.MustParseAddrPort(host.Public + ":9")
	for _, to := range []netip.AddrPort{peer, victims.relayed} {
		if code := attacker.permit(to); code != 0 {
			t.Fatalf("the victim is a member: CreatePermission for %v: %d", to, code)
		}
	}
	if code := attacker.bind(0x4000, peer); code != 0 {
		t.Fatalf("the victim is a member: ChannelBind: %d", code)
	}
	if code := victims.permit(attacker.relayed); code != 0 {
		t.Fatalf("Mallory is a member: CreatePermission: %d", code)
	}

	// Both ways there: to the victim's address, and to its relay.
	direct, relayed := startStream(attacker, 0x4000, peer, 10*time.Millisecond),
		startStream(attacker, 0x4001, victims.relayed, 10*time.Millisecond)
	defer relayed.stop()
	reached := func(p lab.Packet) bool { return !p.Outgoing && strings.Contains(string(p.Payload), word) }
	atVictim.Await(patience, "the stream",
		func(p lab.Packet) bool { return reached(p) && p.Src == attacker.relayed })
	atVictim.Await(patience, "the stream to its relay",
		func(p lab.Packet) bool { return reached(p) && p.Src.Port() == 3478 })
	// Bob's connection is lost too, but he goes on talking.
	ann, bob := hello(t, mallory, server, "Ann", nil), hello(t, host, server, "Bob", nil)
	ann.join("tea")
	bob.join("tea")
	listener, talker := ann.turn(mallory, server, "udp"), bob.turn(host, server, "udp")
	if listener.permit(talker.relayed) != 0 || talker.permit(listener.relayed) != 0 {
		t.Fatal("members are refused a permission for each other")
	}
	talk := startStream(talker, 0x4000, listener.relayed, time.Second)
	defer talk.stop()

	gone := time.Now()
	victim.vanish()
	bob.vanish()

	quiet := func(p lab.Packet) bool { return reached(p) && p.At.After(time.Now().Add(-2*time.Second)) }
	for len(atVictim.Packets(quiet)) > 0 {
		if time.Since(gone) > 50*time.Second {
			t.Fatalf("%v after the victim has gone, the stream still reaches it: %v",
				time.Since(gone).Round(time.Second), atVictim.Packets(quiet)[0])
		}
		time.Sleep(100 * time.Millisecond)
	}
	all := atVictim.Packets(reached)
	t.Logf("the last of %d packets reached the victim %v after it had gone; %d were sent by then",
		len(all), all[len(all)-1].At.Sub(gone).Round(time.Millisecond), 2*(direct.n.Load()+relayed.n.Load()))

	listener.settle()
	listener.data = nil
	listener.awaitData()
	t.Logf("Bob is heard %v after his connection was lost", time.Since(gone).Round(time.Millisecond))
}
