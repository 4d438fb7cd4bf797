//go:build linux

package lab_test

import (
	"fmt"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pion/stun/v3"
	"golang.org/x/sys/unix"

	"signalbox/scripts/lab"
)

// policyConfig lets sessions reach what turn.peers says and nothing besides: no
// allow_peers, as Config has them.
func policyConfig(l *lab.Lab, peers string) string {
	config := "[web]\nlisten = \":8080\"\ntls_listen = \":8443\"\n[turn]\npeers = \"" + peers + "\"\n"
	if l.Cloud != nil {
		config = "public_ip = \"" + l.Server.Public + "\"\n" + config + "relay_ip = \"" + lab.AddrServerInside + "\"\n"
	}
	return config
}

// soonGone has the hub wait no longer than it must for those whose connection is
// lost.
var soonGone = []string{"--set", "signal.resume=1s"}

// boxes are the two ways in which a server stands on the internet.
var boxes = []struct {
	name    string
	options []lab.Option
}{
	{"public address", []lab.Option{lab.GlobalAddresses}},
	{"1:1 NAT", []lab.Option{lab.GlobalAddresses, lab.OneToOneNAT}},
}

// Mallory has a server on the internet that may write any source on its packets,
// two sessions in a room of her own, and a credential without a session. She
// does whatever TURN has for reaching somebody who is not in her room; packets
// are counted where they would arrive.
func TestHostileMemberReachesNobodyElse(t *testing.T) {
	besideOthers(t)
	for _, box := range boxes {
		t.Run(box.name, func(t *testing.T) {
			l := lab.New(t, lab.PortRestricted, lab.PortRestricted, box.options...)
			s := newSiege(t, l, lab.StartServer(t, l.Server, policyConfig(l, "room"), soonGone...))
			for _, attacker := range s.attackers {
				t.Run("refused peers, "+attacker.name, func(t *testing.T) { s.tryRefused(t, attacker) })
				t.Run("the box itself, "+attacker.name, func(t *testing.T) { s.tryBox(t, attacker) })
			}
			t.Run("spoofed sources", s.trySpoofing)
			for _, attacker := range s.attackers[:2] {
				t.Run("a member that leaves, "+attacker.name, func(t *testing.T) { s.tryMember(t, attacker) })
			}
			t.Run("a member that came later", s.tryNewcomer)
		})
	}
}

// A siege is Mallory against a box.
type siege struct {
	l               *lab.Lab
	server          *lab.Server
	mallory, victim *lab.Namespace
	members         [2]*member // Mallory's
	attackers       []party
	strangers       []party // others on the same box
	atVictim, atBox *lab.Capture
	flushed         int
}

// A party is an allocation and the room of its session, "" if it has none. Those
// of a room reach each other, and so do those of none.
type party struct {
	*turnClient
	name, room string
}

const word = "mallory was here" // in all that she sends

func newSiege(t *testing.T, l *lab.Lab, server *lab.Server) *siege {
	s := &siege{l: l, server: server, mallory: l.AddHost(t, "mallory", 66), victim: l.AddHost(t, "victim", 77)}

	// Ann is in another room, somebody in none.
	ann := hello(t, l.A, server, "Ann", nil)
	ann.join("tea")
	s.strangers = []party{{ann.turn(l.A, server, "udp"), "Ann", "tea"}, {sessionless(t, l.B, server), "nobody", ""}}

	// No trusted proxy is configured, so that these words are Mallory's own.
	lies := http.Header{"X-Forwarded-For": {s.victim.Public}, "X-Real-Ip": {s.victim.Public},
		"Forwarded": {"for=" + s.victim.Public}}
	for i, network := range []string{"udp", "tcp"} {
		s.members[i] = hello(t, s.mallory, server, "Mallory", lies)
		s.members[i].join("den")
		s.attackers = append(s.attackers, party{s.members[i].turn(s.mallory, server, network), "over " + network,
			"den"})
	}
	for i, m := range s.members {
		other := s.members[1-i]
		m.signal(other, "den", map[string]any{"candidate": map[string]any{
			"candidate": "candidate:1 1 udp 2122260223 " + s.victim.Public + " 50000 typ host", "sdpMid": "0",
		}})
		m.signal(other, "den", map[string]any{"description": map[string]any{"type": "offer",
			"sdp": "v=0\r\na=candidate:2 1 udp 1686052607 " + s.victim.Public +
				" 50001 typ srflx raddr 127.0.0.1 rport 9\r\n",
		}})
	}
	s.attackers = append(s.attackers, party{sessionless(t, s.mallory, server), "without a session", ""})

	s.atVictim, s.atBox = s.victim.Capture(t), l.Server.Capture(t)
	return s
}

// sessionless allocates with a credential of /api/ice.
func sessionless(t *testing.T, in *lab.Namespace, server *lab.Server) *turnClient {
	t.Helper()
	username, password := fetchICE(t, in, server).credential(t)
	return newTURNClient(t, in, server, "udp", username, password)
}

// flush returns when the captures hold all that the box has sent so far: the last
// of it is a packet of our own.
func (s *siege) flush(t *testing.T) {
	t.Helper()
	s.flushed++
	text := fmt.Sprint("flush ", s.flushed)
	s.l.Server.Inject(t, netip.MustParseAddrPort(boxAddr(s.l)+":9"), netip.MustParseAddrPort(s.victim.Public+":9"),
		[]byte(text))
	for _, c := range []*lab.Capture{s.atBox, s.atVictim} {
		c.Await(patience, text, func(p lab.Packet) bool { return string(p.Payload) == text })
	}
}

// boxAddr is the address that the server's own host has.
func boxAddr(l *lab.Lab) string {
	if l.Cloud != nil {
		return lab.AddrServerInside
	}
	return l.Server.Public
}

// checkSilence fails the test for each packet that left a relay for the network
// since a moment, and for each that the box sent to the victim, but for those
// that may.
func (s *siege) checkSilence(t *testing.T, since time.Time, may func(lab.Packet) bool) {
	t.Helper()
	s.flush(t)
	after := func(p lab.Packet) bool {
		return p.At.After(since) && !strings.HasPrefix(string(p.Payload), "flush ") && !may(p)
	}
	reached := s.atVictim.Packets(func(p lab.Packet) bool {
		return after(p) && !p.Outgoing && (p.Src.Addr().String() == s.server.Host() ||
			strings.Contains(string(p.Payload), word))
	})
	left := s.atBox.Packets(func(p lab.Packet) bool {
		return after(p) && p.Outgoing && p.Protocol == unix.IPPROTO_UDP &&
			(p.Src.Port() >= 49152 || strings.Contains(string(p.Payload), word))
	})
	report(t, "reached the victim", reached)
	report(t, "left a relay", left)
}

func report(t *testing.T, what string, packets []lab.Packet) {
	t.Helper()
	if len(packets) > 0 {
		t.Errorf("%d packets %s, the first: %v", len(packets), what, packets[0])
	}
}

func none(lab.Packet) bool { return false }

// shoot sends to a peer in every way that there is, whether it was let or not.
func shoot(attacker party, peer netip.AddrPort, channel uint16) {
	for range 5 {
		attacker.send(peer, word)
		attacker.channelData(channel, word)
	}
}

// tryRefused tries peers that are refused by name.
func (s *siege) tryRefused(t *testing.T, attacker party) {
	since := time.Now()
	self := attacker.relayed // allowed, at the side of one that is not
	for i, peer := range []string{
		s.victim.Public + ":9", s.victim.Public + ":443", s.l.NATA.Public + ":50000", s.l.B.Public + ":9",
		lab.AddrA + ":9", "10.0.3.1:53", "192.168.0.1:80", "100.64.0.1:9", "127.0.0.1:8080", "127.0.0.2:9",
		"0.0.0.0:8080",
		"169.254.169.254:80", "168.63.129.16:80", "100.100.100.200:80", "224.0.0.251:5353", "255.255.255.255:9",
		"240.0.0.1:9",
	} {
		peer, channel := netip.MustParseAddrPort(peer), 0x4000+uint16(i)
		if code := attacker.permit(peer); code != stun.CodeForbidden {
			t.Errorf("CreatePermission for %v: %d", peer, code)
		}
		if code := attacker.permit(self, peer); code != stun.CodeForbidden {
			t.Errorf("CreatePermission for a relay and %v: %d", peer, code)
		}
		if code := attacker.bind(channel, peer); code != stun.CodeForbidden {
			t.Errorf("ChannelBind to %v: %d", peer, code)
		}
		shoot(attacker, peer, channel)
	}
	attacker.settle()
	s.checkSilence(t, since, none)
}

// tryBox tries ports of the box. Its address is no secret and no stranger: it
// may have a permission, since relays of friends have that address; it must lead
// to those only.
func (s *siege) tryBox(t *testing.T, attacker party) {
	since := time.Now()
	ports := []uint16{53, 3478, 8080, 8443, 49151}
	var foes, friends []party
	for _, p := range append(s.attackers, s.strangers...) {
		switch {
		case p.room != attacker.room:
			foes = append(foes, p)
			ports = append(ports, p.relayed.Port())
		case p != attacker:
			friends = append(friends, p)
		}
	}
	channel := uint16(0x5000)
	for _, addr := range []string{s.server.Host(), boxAddr(s.l)} {
		for _, port := range ports {
			peer := netip.AddrPortFrom(netip.MustParseAddr(addr), port)
			attacker.permit(peer)
			attacker.bind(channel, peer)
			shoot(attacker, peer, channel)
			channel++
		}
	}
	attacker.settle()
	s.checkSilence(t, since, none)
	for _, foe := range foes {
		if code := foe.permit(attacker.relayed); code != 0 { // its own permission is not what keeps Mallory out
			t.Errorf("a permission for relays of the box: %d", code)
		}
		shoot(attacker, foe.relayed, channel)
		attacker.settle()
		foe.settle()
		if len(foe.data) > 0 {
			t.Errorf("%s received %q", foe.name, foe.data[0])
		}
	}
	// Nor is it that relays don't reach each other.
	for _, friend := range friends {
		if code := friend.permit(attacker.relayed); code != 0 {
			t.Fatalf("a permission for a friend's relay: %d", code)
		}
		attacker.send(friend.relayed, "hello, me")
		if got := friend.awaitData(); got != "hello, me" {
			t.Errorf("a friend received %q", got)
		}
	}
}

// trySpoofing sends requests with the victim's address as their source. What the
// server answers to a stranger, goes there: that is STUN, and it is little. What
// it says there never comes to Mallory, so that nothing counts as seen.
func (s *siege) trySpoofing(t *testing.T) {
	since := time.Now()
	attacker := s.attackers[0]
	at := netip.MustParseAddrPort(s.server.Host() + ":3478")
	src := netip.MustParseAddrPort(s.victim.Public + ":50000")
	peer := peerAddress(netip.MustParseAddrPort(s.victim.Public + ":9"))
	requests := []*stun.Message{
		stun.MustBuild(stun.TransactionID, stun.NewType(stun.MethodAllocate, stun.ClassRequest), requestedUDP),
		attacker.request(stun.MethodAllocate, requestedUDP), // with a nonce of her own
		attacker.request(stun.MethodRefresh),
		attacker.request(stun.MethodCreatePermission, peer),
		stun.MustBuild(stun.TransactionID, stun.NewType(stun.MethodSend, stun.ClassIndication), peer,
			stun.RawAttribute{Type: stun.AttrData, Value: []byte(word)}),
	}
	sent, sentBytes := 0, 0
	for range 10 {
		for _, request := range requests {
			s.mallory.Inject(t, src, at, request.Raw)
			sent, sentBytes = sent+1, sentBytes+len(request.Raw)
		}
	}
	// To her own relay, as if the victim were a peer; and as if it were a relay of the box.
	for _, from := range []string{s.victim.Public + ":9", s.server.Host() + ":50000"} {
		s.mallory.Inject(t, netip.MustParseAddrPort(from), attacker.relayed, []byte(word))
	}
	attacker.settle()

	challenged, bytes := 0, 0
	s.checkSilence(t, since, func(p lab.Packet) bool {
		m := &stun.Message{Raw: p.Payload}
		if p.Outgoing || p.Src != at || p.Dst != src || m.Decode() != nil {
			return false
		}
		code := errorCode(m)
		return code == stun.CodeUnauthorized || code == stun.CodeStaleNonce
	})
	for _, p := range s.atVictim.Packets(func(p lab.Packet) bool { return p.At.After(since) && p.Src == at }) {
		challenged, bytes = challenged+1, bytes+len(p.Payload)
	}
	t.Logf("%d spoofed requests of %d bytes: the victim received %d challenges of %d bytes", sent, sentBytes,
		challenged, bytes)
	if challenged == 0 || challenged > sent || bytes > sentBytes {
		t.Errorf("want some challenges, and no more of them or of their bytes than of the requests")
	}
	if code := attacker.permit(netip.MustParseAddrPort(s.victim.Public + ":9")); code != stun.CodeForbidden {
		t.Errorf("afterwards, CreatePermission for the victim: %d", code)
	}
}

// tryMember is the proof that the captures would have seen it: the victim joins
// Mallory's room and is reached, until it leaves.
func (s *siege) tryMember(t *testing.T, attacker party) {
	const channel = 0x6000
	victim := hello(t, s.victim, s.server, "Victim", nil)
	peer := netip.MustParseAddrPort(s.victim.Public + ":9")
	if code := attacker.permit(peer); code != stun.CodeForbidden {
		t.Errorf("before the victim joins, CreatePermission: %d", code)
	}
	victim.join("den")
	if code := attacker.permit(peer); code != 0 {
		t.Fatalf("the victim is a member: CreatePermission: %d", code)
	}
	if code := attacker.bind(channel, peer); code != 0 {
		t.Fatalf("the victim is a member: ChannelBind: %d", code)
	}
	sent := startStream(attacker.turnClient, channel, peer, 200*time.Microsecond)
	fromRelay := func(p lab.Packet) bool { return p.Src == attacker.relayed && p.Dst == peer }
	s.atVictim.Await(patience, "Send", func(p lab.Packet) bool {
		return fromRelay(p) && string(p.Payload) == word+
			", sent"
	})
	s.atVictim.Await(patience, "ChannelData",
		func(p lab.Packet) bool { return fromRelay(p) && string(p.Payload) == word+" 100" })
	began := time.Now()
	victim.leave("den")
	// The hub's word of it, on its way to the victim, is in the same capture.
	left := s.atVictim.Await(patience, "the hub's word that the victim has left", func(p lab.Packet) bool {
		return p.At.After(began) && !p.Outgoing && p.Protocol == unix.IPPROTO_TCP &&
			strings.Contains(string(p.Payload), `"left"`)
	})
	further := fmt.Sprint(word, " ", sent.n.Load()+300)
	s.atBox.Await(patience, "the stream's going on", func(p lab.Packet) bool {
		return p.At.After(began) && !p.Outgoing && strings.Contains(string(p.Payload), further)
	})
	sent.stop()
	attacker.settle()
	s.flush(t)

	all := s.atVictim.Packets(fromRelay)
	late := s.atVictim.Packets(func(p lab.Packet) bool { return fromRelay(p) && p.At.After(left.At) })
	last := all[len(all)-1].At.Sub(left.At)
	t.Logf("of %d packets sent, %d reached the victim; the last of them %v after the hub's word to it that it has left",
		2*sent.n.Load(), len(all), last.Round(time.Microsecond))
	// One may be on its way between two processors, for as long as the other is busy.
	if len(late) > 1 || last > time.Second {
		t.Errorf("%d packets after the victim has left, the last %v after", len(late), last)
	}
	if code := attacker.permit(peer); code != stun.CodeForbidden {
		t.Errorf("after the victim has left, CreatePermission: %d", code)
	}
	if code := attacker.bind(channel, peer); code != stun.CodeForbidden {
		t.Errorf("after the victim has left, ChannelBind: %d", code)
	}
}

// tryNewcomer has one of Mallory's sessions lose its connection. Its allocation
// lasts, for the sake of calls; but who comes then does not see it in the room,
// and is not to be reached by it.
func (s *siege) tryNewcomer(t *testing.T) {
	since := time.Now()
	ghost, listed := s.attackers[0], s.attackers[1]
	s.members[0].vanish()
	// victims have left before
	for gone := (struct{ Peer struct{ ID string } }{}); gone.Peer.ID != s.members[0].PeerID; {
		s.members[1].expect("peer-left", &gone)
	}
	victim := hello(t, s.victim, s.server, "Victim", nil)
	victim.join("den")
	peer := netip.MustParseAddrPort(s.victim.Public + ":9")
	if code := ghost.permit(peer); code != stun.CodeForbidden {
		t.Errorf("CreatePermission for somebody who came later: %d", code)
	}
	if code := ghost.bind(0x6001, peer); code != stun.CodeForbidden {
		t.Errorf("ChannelBind to somebody who came later: %d", code)
	}
	shoot(ghost, peer, 0x6001)
	ghost.settle()
	s.checkSilence(t, since, func(p lab.Packet) bool { return p.Protocol == unix.IPPROTO_TCP && p.Src.Port() == 8080 })
	if code := listed.permit(peer); code != 0 {
		t.Errorf("CreatePermission by a member that is still there: %d", code)
	}
}

// A stream sends to a peer, in both ways, until it is stopped.
type stream struct {
	n    atomic.Int64 // sent so far in each way; ChannelData bears the number
	quit chan struct{}
	done chan struct{}
	once sync.Once
}

// startStream starts one that ends with the test at the latest. The client is the
// stream's until then.
func startStream(from *turnClient, channel uint16, peer netip.AddrPort, pace time.Duration) *stream {
	s := &stream{quit: make(chan struct{}), done: make(chan struct{})}
	from.t.Cleanup(s.stop)
	go func() {
		defer close(s.done)
		every(pace, s.quit, func() (over bool) {
			from.channelData(channel, fmt.Sprint(word, " ", s.n.Add(1)))
			from.send(peer, word+", sent")
			return false
		})
	}()
	return s
}

func (s *stream) stop() {
	s.once.Do(func() { close(s.quit) })
	<-s.done
}
