package turnsvc

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"signalbox/turnsvc/cred"
	"signalbox/turnsvc/internal/wire"
)

// TestAbuse.. are attacks that a serious TURN server withstands, numbered: 9 and 10 on permissions,
// 11 to 17 on authentication (here), 18 to 22 on parsing, 23 to 32 on resources.

func TestAbuse09OneBadPeerAndNoPermissionIsInstalled(t *testing.T) {
	each(t, func(o *Options) { o.AllowLoopback = false; o.AllowPeers = prefixes("198.51.100.0/24") },
		func(t *testing.T, r *rig, transport string) {
			c := r.dial(transport, "u", "p")
			c.allocate()
			c.refused(403, wire.MethodCreatePermission, withPeer("198.51.100.1:9"), withPeer("10.0.0.1:9"),
				withPeer("198.51.100.2:9"))
			c.refused(443, wire.MethodCreatePermission, withPeer("198.51.100.1:9"), withPeer("[2001:db9::1]:9"))
			c.refused(400, wire.MethodCreatePermission, withPeer("198.51.100.1:9"), attr(wire.AttrXORPeerAddress, 0, 1))
			c.write(c.sendFrame("198.51.100.1:9", "x"))
			eventually(t, "the packet is dropped", func() bool { return r.s.Snapshot().Drops["no-permission"] == 1 })
			if p := r.s.Snapshot().Allocations[0].Permissions; len(p) != 0 {
				t.Errorf("refused requests installed %v", p)
			}
		})
}

// lines counts what is logged.
type lines struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lines) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(b)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func (l *lines) log(o *Options) {
	o.Log = slog.New(slog.NewTextHandler(l, &slog.HandlerOptions{Level: slog.LevelDebug}))
}

func TestAbuse10PermissionIsForOneAddress(t *testing.T) {
	for _, transport := range transports {
		t.Run(transport, func(t *testing.T) {
			t.Parallel()
			var logged lines
			r := newRig(t, logged.log)
			c := r.dial(transport, "u", "p")
			relayed := c.allocate()
			friend, stranger := r.peerAt("127.0.0.1"), r.peerAt("127.0.0.2")
			c.ok(wire.MethodCreatePermission, withPeer(friend.LocalAddr().String()))
			before := logged.String()
			for range 50 {
				c.write(c.sendFrame(stranger.LocalAddr().String(), "out"))
				c.write(c.channelFrame(0x4000, "out"))
				if _, err := stranger.WriteToUDPAddrPort([]byte("in"), relayed); err != nil {
					t.Fatal(err)
				}
			}
			eventually(t, "all are dropped and counted", func() bool {
				drops := r.s.Snapshot().Drops
				return drops["no-permission"] == 50 && drops["no-channel"] == 50 && drops["peer-unknown"] == 50
			})
			if after := logged.String(); after != before {
				t.Errorf("dropped packets are logged: %s", strings.TrimPrefix(after, before))
			}
			if _, err := friend.WriteToUDPAddrPort([]byte("hello"), relayed); err != nil {
				t.Fatal(err)
			}
			if p, _, data := c.received(); data != "hello" || p.String() != friend.LocalAddr().String() {
				t.Errorf("got %q of %v", data, p)
			}
		})
	}
}

func TestAbuse11NoncesThatAreNotOurs(t *testing.T) {
	each(t, nil, func(t *testing.T, r *rig, transport string) {
		now := r.s.core.clock.wall()
		elsewhere := netip.MustParseAddr("192.0.2.1")
		here := netip.MustParseAddr("127.0.0.1")
		for name, nonce := range map[string][]byte{
			"none":            {},
			"garbage":         []byte("garbage"),
			"of our length":   bytes.Repeat([]byte("A"), nonceSize),
			"too long":        bytes.Repeat([]byte("x"), 700),
			"expired":         r.s.gate.challenges.nonces.append(nil, here, now.Add(-time.Hour)),
			"of the future":   r.s.gate.challenges.nonces.append(nil, here, now.Add(time.Hour)),
			"another's":       r.s.gate.challenges.nonces.append(nil, elsewhere, now),
			"another process": newNonces(make([]byte, 32), time.Hour).append(nil, here, now),
		} {
			c := r.dial(transport, "u", "p")
			c.nonce = nonce
			m := c.answerTo(c.build(wire.MethodAllocate, withUDP))
			fresh, _ := m.Get(wire.AttrNonce)
			realm, _ := m.Get(wire.AttrRealm)
			if m.code() != 438 || string(realm) != testRealm || len(fresh) != nonceSize ||
				m.Integrity != 0 {
				t.Fatalf("%s: code %d, realm %q, nonce %q", name, m.code(), realm, fresh)
			}
			c.nonce = fresh
			if m := c.answerTo(c.build(wire.MethodAllocate, withUDP)); m.Class != wire.ClassSuccess {
				t.Errorf("%s: no success in one round trip, but %d", name, m.code())
			}
		}
		// Signed, but without what a signed request needs.
		for _, leave := range []uint16{wire.AttrUsername, wire.AttrRealm, wire.AttrNonce} {
			c := r.dial(transport, "u", "p")
			c.refused(400, wire.MethodAllocate) // learns a nonce
			if m := c.answerTo(c.buildSigned(wire.MethodAllocate, nil, leave)); m.code() != 400 || m.Integrity != 0 {
				t.Errorf("without %#x: code %d", leave, m.code())
			}
		}
	})
}

// buildSigned makes a signed request without an attribute of the credential, and with what the tail
// adds behind the signature.
func (c *client) buildSigned(method uint16, attrs []setter, leave uint16, tail ...setter) []byte {
	b := wire.Begin(nil, method, wire.ClassRequest, c.tid[:])
	for _, a := range attrs {
		a(&b)
	}
	for typ, value := range map[uint16][]byte{wire.AttrUsername: []byte(c.user), wire.AttrRealm: []byte(testRealm),
		wire.AttrNonce: c.nonce} {
		if typ != leave {
			b.Attr(typ, value)
		}
	}
	b.Sign(c.key)
	for _, a := range tail {
		a(&b)
	}
	return b.End(false)
}

func TestAbuse12FailuresLookAlike(t *testing.T) {
	each(t, nil, func(t *testing.T, r *rig, transport string) {
		first := ""
		everything := []uint16{wire.MethodAllocate, wire.MethodRefresh, wire.MethodCreatePermission,
			wire.MethodChannelBind}
		for _, who := range []struct {
			*client
			methods []uint16
		}{
			{r.dial(transport, "u", "wrong"), everything},
			{r.dial(transport, "x", "p"), everything},
			{r.dial(transport, "1", "p"), everything},
			{r.dial(transport, "1900000000:someone", "p"), everything},
			// These are who they say, and may not allocate.
			{r.minted(transport, cred.ICE, "someone", -time.Second), everything[:1]},
			{r.minted(transport, cred.Hub, "gone", time.Hour), everything[:1]},
		} {
			c := who.client
			c.refused(401, wire.MethodAllocate, withUDP) // after a challenge
			for _, method := range who.methods {
				copy(c.tid[:], "transaction.") // so that answers can be compared
				c.nonce = r.s.gate.challenges.nonces.append(nil, netip.MustParseAddr("127.0.0.1"),
					r.s.core.clock.wall())
				m := c.answerTo(c.buildSigned(method, []setter{withUDP}, 0))
				nonce, _ := m.Get(wire.AttrNonce)
				got := strings.Replace(string(m.Raw[2:]), string(nonce), strings.Repeat("n", len(nonce)), 1)
				if first == "" {
					first = got
				}
				if m.code() != 401 || got != first {
					t.Errorf("%s, method %#x: code %d, answer\n% x, want\n% x", c.user, method, m.code(), got, first)
				}
			}
		}
		wrongRealm := r.dial(transport, "u", "p")
		wrongRealm.refused(400, wire.MethodAllocate)
		b := wire.Begin(nil, wire.MethodAllocate, wire.ClassRequest, wrongRealm.tid[:])
		b.Attr(wire.AttrUsername, []byte("u"))
		b.Attr(wire.AttrRealm, []byte("elsewhere"))
		b.Attr(wire.AttrNonce, wrongRealm.nonce)
		b.Sign(cred.LongTermKey("u", "elsewhere", "p"))
		if m := wrongRealm.answerTo(b.End(false)); m.code() != 401 || len(m.Raw) != len(first)+2 {
			t.Errorf("wrong realm: code %d, %d bytes, want 401 and %d", m.code(), len(m.Raw), len(first)+2)
		}
	})
}

func TestAbuse13AnotherUserOnTheSame5Tuple(t *testing.T) {
	each(t, nil, func(t *testing.T, r *rig, transport string) {
		c := r.dial(transport, "u", "p")
		c.allocate()
		c.ok(wire.MethodChannelBind, withChannel(0x4000), withPeer("127.0.0.1:9"))
		before := r.s.Snapshot().Allocations[0]
		c.user, c.key = "v", cred.LongTermKey("v", testRealm, "q")
		for method, attrs := range map[uint16][]setter{
			wire.MethodAllocate: {withUDP}, wire.MethodRefresh: {withLifetime(0)},
			wire.MethodCreatePermission: {withPeer("127.0.0.2:9")},
			wire.MethodChannelBind:      {withChannel(0x4001), withPeer("127.0.0.2:9")},
		} {
			want := 441
			if method == wire.MethodAllocate {
				want = 437
			}
			if m := c.refused(want, method, attrs...); !m.SignedBy(c.key) {
				t.Errorf("method %#x: the refusal is not signed", method)
			}
		}
		// The right name with the wrong password is nobody.
		c.user, c.key = "u", cred.LongTermKey("u", testRealm, "q")
		c.refused(401, wire.MethodRefresh, withLifetime(0))
		if after := r.s.Snapshot().Allocations; len(after) != 1 || after[0].Channels != before.Channels ||
			after[0].ExpiresAt != before.ExpiresAt || len(after[0].Permissions) != len(before.Permissions) {
			t.Errorf("another user changed %+v to %+v", before, after)
		}
	})
}

func TestAbuse14WhatFollowsTheSignatureHasNoEffect(t *testing.T) {
	each(t, nil, func(t *testing.T, r *rig, transport string) {
		c := r.dial(transport, "u", "p")
		c.allocate()
		tid := byte(0)
		send := func(method uint16, attrs []setter, tail ...setter) int {
			tid++
			c.tid = [12]byte{tid}
			return c.answerTo(c.buildSigned(method, attrs, 0, tail...)).code()
		}
		if code := send(wire.MethodRefresh, nil, withLifetime(0)); code != 0 || r.s.Allocations() != 1 {
			t.Errorf("LIFETIME 0 behind the signature: code %d, %d allocations", code, r.s.Allocations())
		}
		if code := send(wire.MethodCreatePermission, nil, withPeer("127.0.0.1:9")); code != 400 {
			t.Errorf("XOR-PEER-ADDRESS behind the signature: code %d", code)
		}
		if code := send(wire.MethodCreatePermission, []setter{withPeer("127.0.0.1:9")}, withPeer("10.0.0.1:9"),
			attr(0x7001)); code != 0 {
			t.Errorf("a refused peer and an unknown attribute behind the signature: code %d", code)
		}
		if code := send(wire.MethodRefresh, nil, attr(wire.AttrUsername, 'v'),
			attr(wire.AttrMessageIntegrity, make([]byte, 20)...)); code != 0 {
			t.Errorf("another USERNAME and signature behind the signature: code %d", code)
		}
		if p := r.s.Snapshot().Allocations[0].Permissions; len(p) != 1 || p[0] != "127.0.0.1" {
			t.Errorf("permissions %v", p)
		}
	})
}

func TestAbuse15IntegrityAndFingerprintOutOfShape(t *testing.T) {
	each(t, nil, func(t *testing.T, r *rig, transport string) {
		c := r.dial(transport, "u", "p")
		c.allocate()
		unsigned := func(tail ...setter) []byte {
			rand12(&c.tid)
			b := wire.Begin(nil, wire.MethodRefresh, wire.ClassRequest, c.tid[:])
			b.Attr(wire.AttrUsername, []byte(c.user))
			b.Attr(wire.AttrRealm, []byte(testRealm))
			b.Attr(wire.AttrNonce, c.nonce)
			for _, a := range tail {
				a(&b)
			}
			return b.End(false)
		}
		sign := func(b *wire.Builder) { b.Sign(c.key) }
		for _, size := range []int{0, 1, 19, 21, 32} {
			m := c.answerTo(unsigned(attr(wire.AttrMessageIntegrity, make([]byte, size)...), sign))
			if m.code() != 400 || m.Integrity != 0 || len(m.Raw) > 60 {
				t.Errorf("MESSAGE-INTEGRITY of %d bytes: code %d in %d bytes", size, m.code(), len(m.Raw))
			}
		}
		if m := c.answerTo(unsigned(attr(wire.AttrMessageIntegrity, make([]byte, 20)...), sign)); m.code() != 401 {
			t.Errorf("a wrong signature before a right one: code %d", m.code())
		}
		if m := c.answerTo(unsigned(sign, sign)); m.code() != 0 || m.Fingerprint {
			t.Errorf("a second signature, no FINGERPRINT: code %d, FINGERPRINT in the answer: %v", m.code(),
				m.Fingerprint)
		}
		right := unsigned(sign, func(b *wire.Builder) { b.Buf = b.End(true) })
		if m := c.answerTo(right); m.code() != 0 || !m.Fingerprint {
			t.Errorf("with FINGERPRINT: code %d, FINGERPRINT in the answer: %v", m.code(), m.Fingerprint)
		}
		wrong := bytes.Clone(right)
		wrong[len(wrong)-1] ^= 1
		for name, frame := range map[string][]byte{
			"wrong":    wrong,
			"not last": unsigned(func(b *wire.Builder) { b.Buf = b.End(true) }, sign),
			"short":    unsigned(sign, attr(wire.AttrFingerprint, 1, 2)),
			"twice": unsigned(sign, func(b *wire.Builder) { b.Buf = b.End(true) },
				func(b *wire.Builder) { b.Buf = b.End(true) }),
		} {
			c.write(frame)
			if m := c.answerOrNil(100 * time.Millisecond); m != nil {
				t.Errorf("FINGERPRINT %s: code %d, want silence", name, m.code())
			}
		}
		c.ok(wire.MethodRefresh)
	})
}

func TestAbuse16ExpiryEndsNoCallAndRevocationDoes(t *testing.T) {
	each(t, nil, func(t *testing.T, r *rig, transport string) {
		c := r.minted(transport, cred.Shared, "x", time.Minute)
		peer := r.peer()
		at := peer.LocalAddr().String()
		c.allocate()
		c.ok(wire.MethodChannelBind, withChannel(0x4000), withPeer(at))
		r.advance(4 * time.Minute)
		c.write(c.channelFrame(0x4000, "on and on"))
		if data, _ := readPeer(t, peer); data != "on and on" {
			t.Errorf("got %q", data)
		}
		c.ok(wire.MethodRefresh)
		c.ok(wire.MethodCreatePermission, withPeer(at))
		c.ok(wire.MethodChannelBind, withChannel(0x4000), withPeer(at))

		r.s.books.end(r.s.books.list()[0], endKicked)
		c.write(c.channelFrame(0x4000, "no more"))
		eventually(t, "the packet is dropped", func() bool { return r.s.Snapshot().Drops["no-allocation"] == 1 })
		c.refused(437, wire.MethodRefresh)
		c.refused(401, wire.MethodAllocate, withUDP)
	})
}

func TestAbuse17NoSecretIsTold(t *testing.T) {
	for _, transport := range transports {
		t.Run(transport, func(t *testing.T) {
			t.Parallel()
			var logged lines
			r := newRig(t, logged.log)
			user, password := r.keys.Mint(cred.Shared, "live", r.s.core.clock.wall().Add(time.Hour))
			for _, c := range []*client{r.dial(transport, user, password), r.dial(transport, "u", "p")} {
				c.allocate()
				c.ok(wire.MethodChannelBind, withChannel(0x4000), withPeer("127.0.0.1:9"))
			}
			r.dial(transport, user, "wr0ng-passw0rd").refused(401, wire.MethodAllocate, withUDP)
			snapshot, err := json.Marshal(r.s.Snapshot())
			if err != nil {
				t.Fatal(err)
			}
			told := logged.String() + string(snapshot)
			key := cred.LongTermKey(user, testRealm, password)
			for _, secret := range []string{password, testSecret, "wr0ng", hex.EncodeToString(key), string(key)} {
				if strings.Contains(told, secret) {
					t.Errorf("%q is told: %s", secret, told)
				}
			}
			if strings.Contains(logged.String(), user) {
				t.Errorf("the log names a credential: %s", logged.String())
			}
		})
	}
}

// 7 of the operators' reports: coturn's other form of a REST name is good, and a time in
// milliseconds, which would be good for ever, is refused and named.
func TestRESTNames(t *testing.T) {
	t.Parallel()
	var logged lines
	r := newRig(t, logged.log)
	now := r.s.core.clock.wall().Unix()
	for name, want := range map[string]int{
		fmt.Sprint(now+60, ":alice"):         0,
		fmt.Sprint("alice:", now+60):         0,
		fmt.Sprint("a:b:", now+60):           0,
		fmt.Sprint(now + 60):                 0,
		fmt.Sprint("alice:", now-60):         401,
		fmt.Sprint("alice:", 1000*(now+60)):  401,
		fmt.Sprint(1000*(now+60), ":alice"):  401,
		fmt.Sprint(now+367*24*3600, ":anna"): 401,
		"alice":                              401,
		fmt.Sprint(":", now+60):              401,
	} {
		var password string
		r.keys.Each(name, func(c cred.Class, p string) bool { password = p; return c == cred.Shared })
		c := r.dial("udp", name, password)
		if m := c.request(wire.MethodAllocate, withUDP); m.code() != want {
			t.Errorf("%s: code %d, want %d", name, m.code(), want)
		}
	}
	if text := logged.String(); strings.Count(text, "milliseconds") != 1 {
		t.Errorf("the log: %s", text)
	}
}
