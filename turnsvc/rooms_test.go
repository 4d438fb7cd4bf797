package turnsvc

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"signalbox/turnsvc/cred"
	"signalbox/turnsvc/internal/wire"
)

func inRooms(o *Options) { o.AllowLoopback = false }

// session opens a session that is seen at addr and returns a client with its credential.
func (r *rig) session(transport, id, addr string, rooms ...string) *client {
	r.t.Helper()
	r.s.Opened(id, "", netip.MustParseAddr(addr))
	for _, room := range rooms {
		r.s.Joined(room, id)
	}
	return r.minted(transport, cred.Hub, id, time.Hour)
}

func (r *rig) permissions(c *client) []string {
	r.t.Helper()
	for _, a := range r.s.Snapshot().Allocations {
		if a.Client == c.conn.LocalAddr().String() {
			return a.Permissions
		}
	}
	return nil
}

func TestRoomOpensAPathToItsMembersOnly(t *testing.T) {
	const ada, bob, eve, nobody = "203.0.114.1", "203.0.114.2", "203.0.114.3", "203.0.114.4"
	each(t, inRooms, func(t *testing.T, r *rig, transport string) {
		a := r.session(transport, "ada", ada, "tea")
		r.session(transport, "bob", bob, "tea")
		r.session(transport, "eve", eve, "coffee")
		a.allocate()
		a.ok(wire.MethodCreatePermission, withPeer(bob+":9"))
		a.ok(wire.MethodChannelBind, withChannel(0x4000), withPeer(bob+":9"))
		for _, peer := range []string{eve, nobody, "10.0.0.1", "127.0.0.2", "192.168.1.1"} {
			a.refused(403, wire.MethodCreatePermission, withPeer(peer+":9"))
			a.refused(403, wire.MethodCreatePermission, withPeer(bob+":9"), withPeer(peer+":9"))
		}
		// What somebody claims is no reason under "room".
		r.s.Claimed("bob", netip.MustParseAddr(nobody))
		a.refused(403, wire.MethodCreatePermission, withPeer(nobody+":9"))

		// A call makes a room of its two ends.
		r.s.Joined("call/1", "ada")
		r.s.Joined("call/1", "eve")
		a.ok(wire.MethodCreatePermission, withPeer(eve+":9"))

		// Leaving withdraws the grants before it returns, and those of others for whom left.
		r.s.Left("tea", "bob")
		if got := r.permissions(a); !slices.Equal(got, []string{eve}) {
			t.Errorf("after bob has left: permissions %v", got)
		}
		a.refused(403, wire.MethodChannelBind, withChannel(0x4000), withPeer(bob+":9"))
		r.s.Left("call/1", "ada")
		if got := r.permissions(a); len(got) != 0 {
			t.Errorf("after leaving: permissions %v", got)
		}
	})
}

// An address that the internet does not route never counts, or a member could open the relay's own
// network.
func TestSeenAddressesThatAreNotGlobalDoNotCount(t *testing.T) {
	r := newRig(t, func(o *Options) { o.AllowLoopback = false; o.HubPeers = PeersSignaled })
	for i, addr := range []string{"10.0.0.1", "127.0.0.2", "169.254.169.254", "100.64.0.1", "192.168.0.1", "::1",
		"fd00::1", "::ffff:10.0.0.1"} {
		id := fmt.Sprint("s", i)
		a := r.session("udp", id, addr, "tea")
		r.s.Claimed(id, netip.MustParseAddr(addr))
		a.allocate()
		if ip := netip.MustParseAddr(addr).Unmap(); ip.Is4() {
			a.refused(403, wire.MethodCreatePermission, withPeer(ip.String()+":9"))
		}
	}
	b := r.session("udp", "b", "203.0.114.2", "tea")
	r.s.Claimed("b", netip.MustParseAddr("203.0.114.77"))
	b.allocate()
	b.ok(wire.MethodCreatePermission, withPeer("203.0.114.77:9"))
}

// A permission for the box's own address can't tell its relays apart: the room does.
func TestRelaysOfOtherRoomsAreOutOfReach(t *testing.T) {
	each(t, inRooms, func(t *testing.T, r *rig, transport string) {
		clients := map[string]*client{
			"ada": r.session(transport, "ada", "203.0.114.1", "tea"),
			"bob": r.session("udp", "bob", "203.0.114.2", "tea", "cake"),
			"eve": r.session("udp", "eve", "203.0.114.3", "coffee", "cake"),
			"ice": r.minted("udp", cred.ICE, "x", time.Hour), "ice2": r.minted("udp", cred.ICE, "y", time.Hour),
			"u": r.dial("udp", "u", "p"), "v": r.dial("tcp", "v", "q"),
		}
		for _, c := range clients {
			c.allocate()
			c.ok(wire.MethodCreatePermission, withPeer("127.0.0.1:0")) // the box's relay address
		}
		together := func(a, b string) bool {
			pairs := [][2]string{{"ada", "bob"}, {"bob", "eve"}, {"ice", "ice2"}, {"u", "v"}}
			return a == b || slices.Contains(pairs, [2]string{a, b}) || slices.Contains(pairs, [2]string{b, a})
		}
		for from, a := range clients {
			for to, b := range clients {
				before := r.s.Snapshot().Drops["peer-denied"]
				a.write(a.sendFrame(b.relayed.String(), from+" to "+to))
				if together(from, to) {
					if _, _, data := b.received(); data != from+" to "+to {
						t.Errorf("%s to %s: got %q", from, to, data)
					}
				} else {
					eventually(t, from+" to "+to+" is denied",
						func() bool { return r.s.Snapshot().Drops["peer-denied"] == before+1 })
				}
			}
		}
		r.s.Left("tea", "bob")
		before := r.s.Snapshot().Drops["peer-denied"]
		clients["ada"].write(clients["ada"].sendFrame(clients["bob"].relayed.String(), "still there?"))
		eventually(t, "who has left is out of reach",
			func() bool { return r.s.Snapshot().Drops["peer-denied"] == before+1 })
	})
}

func TestKickEndsAllocationsAtOnce(t *testing.T) {
	each(t, inRooms, func(t *testing.T, r *rig, transport string) {
		a := r.session(transport, "ada", "203.0.114.1", "tea")
		a.allocate()
		r.s.Ended("ada", false)
		eventually(t, "the allocation ends", func() bool { return r.s.Allocations() == 0 })
		a.write(a.build(wire.MethodAllocate, withUDP))
		if m := a.answerOrNil(patience); m == nil || m.code() != 401 {
			t.Error("a session that is over allocates")
		}
		if n := len(r.s.judge.rooms.members) + len(r.s.judge.rooms.groups); n != 1 { // the rig's own session
			t.Errorf("%d members and groups are remembered", n)
		}
	})
}

// A broken signaling connection does not end a call that goes on; a silent one it does.
func TestLostSessionLastsAsLongAsItsCall(t *testing.T) {
	each(t, inRooms, func(t *testing.T, r *rig, transport string) {
		a := r.session(transport, "ada", "203.0.114.1", "tea")
		b := r.session("udp", "bob", "203.0.114.2", "tea")
		a.allocate(withLifetime(3000))
		b.allocate(withLifetime(3000))
		a.ok(wire.MethodCreatePermission, withPeer("127.0.0.1:0"), withPeer("203.0.114.2:9"))
		b.ok(wire.MethodCreatePermission, withPeer("127.0.0.1:0"))
		r.s.Ended("bob", true)
		b.refused(437, wire.MethodAllocate, withUDP) // the one it has goes on
		for range 5 {
			r.advance(20 * time.Second)
			b.write(b.sendFrame(a.relayed.String(), "are you there?"))
			if _, _, data := a.received(); data != "are you there?" {
				t.Fatalf("got %q", data)
			}
			r.s.books.settle(r.s.judge.rooms.sweep(r.s.core.clock.now()))
		}
		if got := r.permissions(a); len(got) != 2 {
			t.Errorf("the call's permissions are gone: %v", got)
		}
		r.advance(31 * time.Second)
		eventually(t, "silence ends it", func() bool { return r.s.Allocations() == 1 })
		if got := r.permissions(a); !slices.Equal(got, []string{"127.0.0.1"}) {
			t.Errorf("permissions %v for a session that is gone", got)
		}
	})
}

// Sending on to a session that has gone, to its address or to its relay, does not keep the way
// there open.
func TestTrafficTowardsALostSessionKeepsNothing(t *testing.T) {
	each(t, inRooms, func(t *testing.T, r *rig, transport string) {
		a := r.session(transport, "ada", "203.0.114.1", "tea")
		b := r.session("udp", "bob", "203.0.114.2", "tea")
		a.allocate(withLifetime(3000))
		b.allocate(withLifetime(3000))
		a.ok(wire.MethodCreatePermission, withPeer("127.0.0.1:0"), withPeer("203.0.114.2:9"))
		a.ok(wire.MethodChannelBind, withChannel(0x4000), withPeer("203.0.114.2:9"))
		b.ok(wire.MethodCreatePermission, withPeer("127.0.0.1:0"))
		r.s.Ended("bob", true)
		r.advance(20 * time.Second)
		a.write(a.sendFrame(b.relayed.String(), "to the relay"))
		b.received()
		// what sending to the address would do; no packet is to leave this machine
		for _, all := range r.s.books.list() {
			all.permissionFor(netip.MustParseAddr("203.0.114.2"), r.s.core.clock.now())
			all.channelByNumber(0x4000, r.s.core.clock.now())
		}
		r.advance(11 * time.Second)
		eventually(t, "silence from bob ends it", func() bool { return r.s.Allocations() == 1 })
		if got := r.permissions(a); !slices.Equal(got, []string{"127.0.0.1"}) {
			t.Errorf("permissions %v for a session that is gone", got)
		}
	})
}

// A lost session keeps those that it was with. To who comes later it is nobody: it is not in the
// room to be seen.
func TestLostSessionMeetsNobodyNew(t *testing.T) {
	const ada, bob, carol = "203.0.114.1", "203.0.114.2", "203.0.114.3"
	each(t, inRooms, func(t *testing.T, r *rig, transport string) {
		clients := map[string]*client{
			"ada": r.session(transport, "ada", ada, "tea"), "bob": r.session("udp", "bob", bob, "tea"),
		}
		clients["ada"].allocate()
		r.s.Ended("ada", true)
		clients["carol"] = r.session("udp", "carol", carol, "tea")
		for name, c := range clients {
			if name != "ada" {
				c.allocate()
			}
			c.ok(wire.MethodCreatePermission, withPeer("127.0.0.1:0"))
		}
		clients["ada"].ok(wire.MethodCreatePermission, withPeer(bob+":9"))
		clients["ada"].refused(403, wire.MethodCreatePermission, withPeer(carol+":9"))
		clients["bob"].ok(wire.MethodCreatePermission, withPeer(ada+":9"), withPeer(carol+":9"))
		clients["carol"].ok(wire.MethodCreatePermission, withPeer(bob+":9"))
		clients["carol"].refused(403, wire.MethodCreatePermission, withPeer(ada+":9"))
		for _, pair := range [][2]string{{"ada", "bob"}, {"bob", "carol"}} {
			from, to := clients[pair[0]], clients[pair[1]]
			from.write(from.sendFrame(to.relayed.String(), "hello"))
			if _, _, data := to.received(); data != "hello" {
				t.Errorf("%v: got %q", pair, data)
			}
		}
		for i, pair := range [][2]string{{"ada", "carol"}, {"carol", "ada"}} {
			from, to := clients[pair[0]], clients[pair[1]]
			from.write(from.sendFrame(to.relayed.String(), "hello"))
			eventually(t, fmt.Sprint(pair, " is denied"),
				func() bool { return r.s.Snapshot().Drops["peer-denied"] == uint64(i+1) })
		}
	})
}

// Those who go at the same time take the grants of each with them.
func TestLostSessionsThatEndTogether(t *testing.T) {
	each(t, inRooms, func(t *testing.T, r *rig, transport string) {
		a := r.session(transport, "ada", "203.0.114.1", "tea")
		a.allocate()
		for i := range 5 {
			addr := fmt.Sprint("203.0.114.", 2+i)
			r.session("udp", addr, addr, "tea")
			a.ok(wire.MethodCreatePermission, withPeer(addr+":9"))
			r.s.Ended(addr, true)
		}
		r.advance(31 * time.Second)
		eventually(t, "no permission is left", func() bool { return len(r.permissions(a)) == 0 })
	})
}

// The hub's limits count no lost session, so that we do.
func TestLostSessionsOfARoomAreBounded(t *testing.T) {
	r := newRooms(0)
	for i := range 3 * maxLost {
		id := fmt.Sprint(i)
		r.opened(id, "", netip.MustParseAddr("203.0.114.1"))
		r.joined("tea", id)
		r.ended(id, true, 0)
	}
	if g := r.groups["tea"]; g.lost != maxLost || len(g.members) != maxLost || len(r.members) != maxLost {
		t.Errorf("%d lost of %d in the room and %d in all, want %d", g.lost, len(g.members), len(r.members), maxLost)
	}
	r.sweep(1)
	if len(r.members)+len(r.groups) != 0 {
		t.Errorf("%d members and %d groups are remembered", len(r.members), len(r.groups))
	}
}

// Whatever races with a leave: once Left has returned, no permission is left or comes back that
// only the room allowed.
func TestLeaveRacesWithCreatePermission(t *testing.T) {
	const bob = "203.0.114.2"
	r := newRig(t, inRooms)
	a := r.session("udp", "ada", "203.0.114.1")
	r.session("udp", "bob", bob)
	a.allocate()
	stop := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
				a.write(a.build(wire.MethodCreatePermission, withPeer(bob+":9")))
				a.answerOrNil(time.Second)
			}
		}
	})
	for range 300 {
		r.s.Joined("tea", "ada")
		r.s.Joined("tea", "bob")
		for deadline := time.Now().Add(3 * time.Millisecond); time.Now().Before(deadline) &&
			len(r.permissions(a)) == 0; {
		}
		r.s.Left("tea", "bob")
		if got := r.permissions(a); len(got) != 0 {
			// Granted before, and about to be judged again in the same breath: but never to stay.
			eventually(t, "the permission does not stay", func() bool { return len(r.permissions(a)) == 0 })
		}
		r.s.Left("tea", "ada")
	}
	close(stop)
	wg.Wait()
	if got := r.permissions(a); len(got) != 0 {
		t.Errorf("permissions %v", got)
	}
}

// A session whose connection is lost keeps what it has. It gets nothing new, however long it talks
// to itself, and a kick reaches it.
func TestLostSessionGetsNothingNew(t *testing.T) {
	each(t, inRooms, func(t *testing.T, r *rig, transport string) {
		ghost, second := r.session(transport, "ghost", "203.0.114.1", "tea"),
			r.minted("udp", cred.Hub, "ghost", 2*time.Hour)
		friend := r.session("udp", "friend", "203.0.114.2", "tea")
		for _, c := range []*client{ghost, second, friend} {
			c.allocate(withLifetime(3000))
			c.ok(wire.MethodCreatePermission, withPeer("127.0.0.1:0"))
		}
		r.s.Ended("ghost", true)
		ghost.ok(wire.MethodCreatePermission, withPeer("203.0.114.2:9")) // its call goes on
		newcomer := r.session("udp", "newcomer", "203.0.114.3", "tea")
		newcomer.allocate(withLifetime(3000))
		newcomer.ok(wire.MethodCreatePermission, withPeer("127.0.0.1:0"), withPeer("203.0.114.2:9"))
		ghost.refused(403, wire.MethodCreatePermission, withPeer("203.0.114.3:9"))
		newcomer.refused(403, wire.MethodCreatePermission, withPeer("203.0.114.1:9"))
		ghost.write(ghost.sendFrame(newcomer.relayed.String(), "boo"))
		newcomer.write(newcomer.sendFrame(ghost.relayed.String(), "who is there?"))
		eventually(t, "both are denied", func() bool { return r.s.Snapshot().Drops["peer-denied"] == 2 })
		newcomer.write(newcomer.sendFrame(friend.relayed.String(), "hello"))
		if _, _, data := friend.received(); data != "hello" {
			t.Errorf("got %q", data)
		}

		// Talking to itself, and to those who don't listen, keeps nobody alive.
		r.advance(20 * time.Second)
		ghost.write(ghost.sendFrame(second.relayed.String(), "echo"))
		ghost.write(ghost.sendFrame(newcomer.relayed.String(), "boo"))
		if _, _, data := second.received(); data != "echo" {
			t.Errorf("got %q", data)
		}
		r.advance(11 * time.Second)
		eventually(t, "the ghost is gone", func() bool { return r.s.Allocations() == 2 })
	})
}

func TestKickReachesLostSessions(t *testing.T) {
	for name, kick := range map[string]func(s *Server) int{
		"by id":     func(s *Server) int { return s.KickUser("ghost") },
		"by user":   func(s *Server) int { return s.KickUser("alice") },
		"by source": func(s *Server) int { return s.KickSource(netip.MustParsePrefix("203.0.114.0/24")) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, inRooms)
			r.s.Opened("ghost", "alice", netip.MustParseAddr("203.0.114.1"))
			c := r.minted("udp", cred.Hub, "ghost", time.Hour)
			c.allocate()
			r.s.Ended("ghost", true)
			if user, source, ok := r.s.Member("ghost"); !ok || user != "alice" || source.String() != "203.0.114.1" {
				t.Errorf("member %q of %v, %v", user, source, ok)
			}
			if n := kick(r.s); n != 1 {
				t.Errorf("kicked %d allocations", n)
			}
			eventually(t, "its allocation ends", func() bool { return r.s.Allocations() == 0 })
			if _, _, ok := r.s.Member("ghost"); ok {
				t.Error("it lingers still")
			}
		})
	}
}

// Somebody who comes back too late has a new session of the same id. The call of the old one goes
// on as if nobody had come back, and ends the same way.
func TestLostSessionLingersBesideItsSuccessor(t *testing.T) {
	r := newRig(t, inRooms)
	ada := r.session("udp", "ada", "203.0.114.1", "tea")
	friend := r.session("udp", "friend", "203.0.114.2", "tea")
	for _, c := range []*client{ada, friend} {
		c.allocate(withLifetime(3000))
		c.ok(wire.MethodCreatePermission, withPeer("127.0.0.1:0"))
	}
	r.s.Ended("ada", true)
	r.s.Opened("ada", "", netip.MustParseAddr("203.0.114.7"))
	again := r.minted("udp", cred.Hub, "ada", time.Hour)
	again.allocate(withLifetime(3000))
	again.ok(wire.MethodCreatePermission, withPeer("127.0.0.1:0"))

	ada.write(ada.sendFrame(friend.relayed.String(), "still here"))
	if _, _, data := friend.received(); data != "still here" {
		t.Errorf("got %q", data)
	}
	again.refused(403, wire.MethodCreatePermission, withPeer("203.0.114.2:9")) // it has joined nothing
	r.s.Joined("tea", "ada")
	again.ok(wire.MethodCreatePermission, withPeer("203.0.114.2:9"))
	again.write(again.sendFrame(friend.relayed.String(), "back"))
	if _, _, data := friend.received(); data != "back" {
		t.Errorf("got %q", data)
	}

	r.advance(31 * time.Second)
	eventually(t, "the old call is over", func() bool { return r.s.Allocations() == 2 })
	again.ok(wire.MethodCreatePermission, withPeer("203.0.114.2:9"))

	r.s.Ended("ada", true)
	r.s.Opened("ada", "", netip.MustParseAddr("203.0.114.7"))
	if n := r.s.KickUser("ada"); n != 1 {
		t.Errorf("kicked %d allocations", n)
	}
	r.s.Ended("ada", false)
	r.s.Ended("friend", false)
	rooms := r.s.judge.rooms
	if n := len(rooms.members) + len(rooms.lost) + len(rooms.groups); n != 1 { // the rig's own session
		t.Errorf("%d entries are left", n)
	}
}

// A session that goes on from another address is seen there, too.
func TestMovedSessionIsReachedAtItsNewAddress(t *testing.T) {
	r := newRig(t, inRooms)
	r.session("udp", "ada", "203.0.114.1", "tea")
	friend := r.session("udp", "friend", "203.0.114.2", "tea")
	friend.allocate()
	friend.refused(403, wire.MethodCreatePermission, withPeer("203.0.114.7:9"))
	r.s.Moved("ada", netip.MustParseAddr("203.0.114.7"))
	friend.ok(wire.MethodCreatePermission, withPeer("203.0.114.7:9"))
	friend.ok(wire.MethodCreatePermission, withPeer("203.0.114.1:9"))
	if _, source, _ := r.s.Member("ada"); source.String() != "203.0.114.7" {
		t.Errorf("source %v", source)
	}
}

// Somebody who is called often doesn't carry the calls that are over.
func TestCallsThatAreOverLeaveNothing(t *testing.T) {
	t.Parallel()
	r := newRooms(int64(30 * time.Second))
	source := netip.MustParseAddr("203.0.114.1")
	r.opened("bob", "bob", source)
	for i, lost := range []bool{false, true, false} {
		id := strconv.Itoa(i)
		r.opened(id, "", source)
		r.called(id, "bob")
		if !together(r.members[id], r.members["bob"]) {
			t.Fatal("the call opens nothing")
		}
		if r.ended(id, lost, 0); lost {
			r.sweep(int64(time.Minute))
		}
	}
	r.opened("eve", "", source)
	r.called("eve", "bob")
	r.called("bob", "eve") // again
	r.hungUp("bob", "eve")
	r.hungUp("bob", "eve")
	if together(r.members["eve"], r.members["bob"]) {
		t.Error("a call outlives that one hung up")
	}
	r.ended("eve", false, 0)
	bob := r.members["bob"].seats.Load()
	if len(bob.calls)+len(bob.rooms) != 0 || len(r.groups)+len(r.lost) != 0 || len(r.members) != 1 {
		t.Errorf("%v, %d groups, %d lost, %d members", bob, len(r.groups), len(r.lost), len(r.members))
	}
}

// However many calls a session has, and however many rooms one of two has, the packet path looks at
// few of them.
func BenchmarkTogether(b *testing.B) {
	for _, groups := range []int{1, 1000} {
		b.Run(strconv.Itoa(groups), func(b *testing.B) {
			r := newRooms(0)
			ids := []string{"ann", "bob", "eve"}
			for _, id := range ids {
				r.opened(id, "", netip.Addr{})
			}
			for i := range groups {
				other := strconv.Itoa(i)
				r.opened(other, "", netip.Addr{})
				for _, id := range ids {
					r.called(id, other)
				}
				r.joined(other, "ann")
			}
			r.joined("bob's", "bob")
			r.called("ann", "eve")
			r.joined("0", "bob")
			ann, bob, eve := r.members["ann"], r.members["bob"], r.members["eve"]
			b.ReportAllocs()
			for b.Loop() {
				if !together(ann, bob) || !together(ann, eve) || together(bob, eve) {
					b.Fatal("wrong")
				}
			}
		})
	}
}

// A client that wanders is reached where it is, and no longer where it was long ago.
func TestSeenAddressesAreTheLatest(t *testing.T) {
	t.Parallel()
	r := newRooms(1)
	at := func(n int) netip.Addr { return netip.AddrFrom4([4]byte{8, 8, 8, byte(n)}) }
	r.opened("a", "", netip.MustParseAddr("9.9.9.9"))
	r.opened("b", "", at(1))
	r.joined("tea", "a")
	r.joined("tea", "b")
	for n := 2; n <= maxSeen+3; n++ {
		r.moved("b", at(n))
	}
	for n := 1; n <= maxSeen+3; n++ {
		if got := r.reaches(r.members["a"], at(n), false); got != (n > 3) {
			t.Errorf("address %d is reached: %v", n, got)
		}
	}
}

// An address that a member has claimed while turn.peers was wider stays open when that is narrowed
// to "signaled"; one that nobody has claimed is closed.
func TestIssue16NarrowedPeersKeepWhatWasSignaled(t *testing.T) {
	r := newRig(t, func(o *Options) { o.HubPeers = PeersPublic })
	r.s.Opened("other", "", netip.MustParseAddr("127.0.0.1"))
	r.s.Joined("tea", "live")
	r.s.Joined("tea", "other")
	claimed, unclaimed := netip.MustParseAddr("198.51.102.1"), netip.MustParseAddr("198.51.102.2")
	r.s.Claimed("other", claimed)
	c := r.minted("udp", cred.Hub, "live", time.Hour)
	c.allocate()
	c.ok(wire.MethodCreatePermission, withPeer("198.51.102.1:9"), withPeer("198.51.102.2:9"))
	live := r.s.judge.settings.Load().Live
	live.HubPeers = PeersSignaled
	if err := r.s.Apply(live); err != nil {
		t.Fatal(err)
	}
	a := r.s.books.list()[0]
	if !a.granted(claimed).outside || a.granted(unclaimed).outside {
		t.Errorf("claimed: %+v, unclaimed: %+v", a.granted(claimed), a.granted(unclaimed))
	}
}
