package turnsvc

import (
	"bytes"
	"encoding/binary"
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"signalbox/turnsvc/internal/wire"
)

// everyFrame is one frame of each kind, as they should be.
func everyFrame(c *client) map[string][]byte {
	return map[string][]byte{
		"Binding": (&client{}).build(wire.MethodBinding),
		"Allocate": c.build(wire.MethodAllocate, withUDP, withLifetime(600), withFamily(wire.FamilyIPv4),
			attr(wire.AttrEvenPort, 0x80)),
		"Refresh":          c.build(wire.MethodRefresh, withLifetime(600)),
		"CreatePermission": c.build(wire.MethodCreatePermission, withPeer("127.0.0.1:9"), withPeer("127.0.0.2:9")),
		"ChannelBind":      c.build(wire.MethodChannelBind, withChannel(0x4000), withPeer("127.0.0.1:9")),
		"Send":             c.sendFrame("127.0.0.1:9", "some data"),
		"Send over IPv6":   c.sendFrame("[::1]:9", "some data"),
		"ChannelData":      c.channelFrame(0x4000, "some data"),
	}
}

func TestAbuse18TruncatedAttributes(t *testing.T) {
	each(t, nil, func(t *testing.T, r *rig, transport string) {
		c := r.dial(transport, "u", "p")
		c.allocate()
		c.ok(wire.MethodChannelBind, withChannel(0x4000), withPeer("127.0.0.1:9"))

		// Each type of attribute at each length, in each method, at message sizes around those that
		// Go allocates in.
		types := []uint16{
			wire.AttrMappedAddress, 0x0003, wire.AttrUsername, wire.AttrMessageIntegrity, wire.AttrErrorCode,
			wire.AttrUnknownAttributes,
			wire.AttrChannelNumber, wire.AttrLifetime, wire.AttrXORPeerAddress,
			wire.AttrData, wire.AttrRealm, wire.AttrNonce, wire.AttrXORRelayedAddress, wire.AttrRequestedFamily,
			wire.AttrEvenPort,
			wire.AttrRequestedTransport, wire.AttrDontFragment, wire.AttrIntegritySHA256,
			wire.AttrXORMappedAddress, wire.AttrReservationToken, 0x8000, wire.AttrFingerprint,
		}
		methods := []uint16{wire.MethodBinding, wire.MethodAllocate, wire.MethodRefresh, wire.MethodSend,
			wire.MethodData,
			wire.MethodCreatePermission, wire.MethodChannelBind}
		for _, typ := range types {
			for size := range 26 {
				for _, method := range methods {
					for _, class := range []uint16{wire.ClassRequest, wire.ClassIndication, wire.ClassSuccess,
						wire.ClassError} {
						b := wire.Begin(nil, method, class, c.tid[:])
						b.Attr(typ, make([]byte, size))
						b.Attr(wire.AttrData, []byte("x"))
						c.write(b.End(size%2 == 0))
					}
				}
			}
			c.settle()
		}
		// The same, signed, where it comes to the books. An Allocate's or Refresh's optional
		// attributes are malformed by any other length.
		for _, typ := range []uint16{wire.AttrLifetime, wire.AttrXORPeerAddress, wire.AttrChannelNumber,
			wire.AttrRequestedFamily,
			wire.AttrRequestedTransport, wire.AttrEvenPort, wire.AttrReservationToken} {
			for _, size := range []int{0, 1, 2, 3, 5, 7, 9, 12, 19, 21} {
				for _, method := range []uint16{wire.MethodAllocate, wire.MethodRefresh, wire.MethodCreatePermission,
					wire.MethodChannelBind} {
					c.request(method, attr(typ, make([]byte, size)...))
				}
			}
		}
		c.ok(wire.MethodRefresh)
		if transport != "udp" {
			return // a stream has no truncated frames, only late ones
		}
		for _, frame := range everyFrame(c) {
			for size := range len(frame) {
				c.write(frame[:size])
				if size >= wire.HeaderSize && frame[0]&0xC0 == 0 { // and with a length that says so
					cut := bytes.Clone(frame[:size])
					binary.BigEndian.PutUint16(cut[2:], uint16(size-wire.HeaderSize))
					c.write(cut)
				}
			}
			c.settle()
		}
		c.ok(wire.MethodRefresh)
	})
}

// settle waits until what was sent is handled, and throws all answers away.
func (c *client) settle() {
	c.t.Helper()
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); { // UDP may lose a few under such a load
		c.write(c.unsigned(wire.MethodBinding))
		if c.answerOrNil(200*time.Millisecond) != nil {
			c.unhandled = nil
			return
		}
	}
	c.t.Fatal("the server says nothing any more")
}

// unsigned makes a request of a stranger, whose answer the client then awaits.
func (c *client) unsigned(method uint16, attrs ...setter) []byte {
	nonce := c.nonce
	defer func() { c.nonce = nonce }()
	c.nonce = nil
	return c.build(method, attrs...)
}

func TestAbuse19StreamsThatAreNotTURN(t *testing.T) {
	header := func(typ, size uint16) []byte {
		b := binary.BigEndian.AppendUint16(nil, typ)
		b = binary.BigEndian.AppendUint16(b, size)
		return append(binary.BigEndian.AppendUint32(b, wire.MagicCookie), make([]byte, 12)...)
	}
	atOnce := map[string][]byte{
		"STUN of FFEC":       header(1, 0xFFEC),
		"STUN of FFFC":       header(1, 0xFFFC),
		"STUN of FFFF":       header(1, 0xFFFF),
		"STUN of 5000":       header(1, 5000),
		"ChannelData FFFC":   {0x40, 0x00, 0xFF, 0xFC, 1, 2, 3, 4, 5},
		"ChannelData FFFF":   {0x40, 0x00, 0xFF, 0xFF, 1, 2, 3, 4, 5},
		"HTTP":               []byte("GET / HTTP/1.1\r\nHost: x\r\n\r\n"),
		"TLS":                {0x16, 0x03, 0x01, 0x02, 0x00, 0x01, 0x00, 0x01, 0xFC},
		"SSH":                []byte("SSH-2.0-OpenSSH_9.9\r\n"),
		"no cookie":          append([]byte{0, 1, 0, 0, 1, 2, 3, 4}, make([]byte, 12)...),
		"64 KiB of garbage":  bytes.Repeat([]byte{0xA5}, 64<<10),
		"64 KiB of zeros":    make([]byte, 64<<10),
		"64 KiB of channels": bytes.Repeat([]byte{0x40, 0, 0, 0}, 16<<10),
	}
	late := map[string][]byte{
		"nothing": nil, "one byte": {0}, "half a header": header(1, 8)[:10], "half a request": header(1, 8),
	}
	patient := newRig(t, nil) // with the deadlines of every day: who is shown out at once does not wait for them
	r := newRigWith(t, nil, func(s *Server) { s.streams.timeouts = quick })
	dial := func(r *rig) *client {
		c := r.dial("tcp", "u", "p")
		if err := c.conn.SetDeadline(time.Now().Add(patience)); err != nil {
			t.Fatal(err)
		}
		return c
	}
	ended := func(name string, c *client) {
		t.Helper()
		if n, err := c.conn.Read(make([]byte, 1)); n != 0 || err == nil {
			t.Errorf("%s: it got an answer", name)
		} else if e, ok := err.(net.Error); ok && e.Timeout() {
			t.Errorf("%s: the connection stays", name)
		}
	}
	for name, frame := range atOnce {
		for _, step := range []int{len(frame), 1} {
			if step == 1 && len(frame) > 1000 {
				continue
			}
			c := dial(patient)
			for chunk := range slices.Chunk(frame, step) {
				if _, err := c.conn.Write(chunk); err != nil {
					break // it has been shown out
				}
			}
			ended(name, c)
		}
	}
	waiting := map[string]*client{}
	for name, frame := range late {
		c := dial(r)
		if _, err := c.conn.Write(frame); err != nil {
			t.Fatal(err)
		}
		waiting[name] = c
	}
	for name, c := range waiting {
		ended(name, c)
	}
	eventually(t, "no stream is left", func() bool { return r.s.streams.count()+patient.s.streams.count() == 0 })

	// A frame's worth of time is no byte's: dripping does not buy more.
	c := dial(r)
	began := time.Now()
	tick := time.NewTicker(10 * time.Millisecond) // the attack is its slowness
	defer tick.Stop()
	for _, b := range bytes.Repeat(header(1, 1400), 60) { // twelve seconds of it
		if _, err := c.conn.Write([]byte{b}); err != nil {
			break
		}
		<-tick.C
	}
	took := time.Since(began)
	t.Logf("a dripping client was served for %v", took)
	if took > 10*time.Second {
		t.Error("that is too long")
	}
}

func (t *streams) count() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.all)
}

// Frames arrive in whatever pieces TCP makes of them.
func TestAbuse19FramesInPieces(t *testing.T) {
	r := newRig(t, nil)
	peer := r.peer()
	at := peer.LocalAddr().String()
	c := r.dial("tcp", "u", "p")
	c.allocate()
	c.ok(wire.MethodChannelBind, withChannel(0x4000), withPeer(at))
	var all []byte
	var want []string
	for size := range 10 {
		data := strings.Repeat("x", size)
		all = append(all, c.channelFrame(0x4000, data)...)
		all = append(all, c.sendFrame(at, data)...)
		want = append(want, data, data)
	}
	check := func(how string) {
		t.Helper()
		for i := range want {
			if data, _ := readPeer(t, peer); data != want[i] {
				t.Fatalf("%s: packet %d is %d bytes, want %d", how, i, len(data), len(want[i]))
			}
		}
	}
	c.write(all)
	check("all at once")
	for _, b := range all {
		c.write([]byte{b})
	}
	check("byte by byte")
	for chunk := range slices.Chunk(all, 7) {
		c.write(chunk)
	}
	check("in sevens")

	// The longest that each kind can be. A datagram carries less than a frame; what is longer is
	// dropped, and the stream goes on.
	longest := strings.Repeat("y", wire.MaxPayload(netip.MustParseAddr("127.0.0.1")))
	want = []string{longest, "z", "z"}
	c.write(c.channelFrame(0x4000, longest))
	c.write(c.channelFrame(0x4000, longest+"y"))
	c.write(c.channelFrame(0x4000, strings.Repeat("y", 0xFFFF)))
	c.write(c.channelFrame(0x4000, "z"))
	c.write(c.sendFrame(at, strings.Repeat("y", 0xFFFC-16)))
	c.write(c.channelFrame(0x4000, "z"))
	check("64 KiB")
	if n := r.s.Snapshot().Drops["too-long"]; n != 3 {
		t.Errorf("%d packets were too long, want 3", n)
	}
	// In process there is no datagram: the neighbor's framing must hold all the same.
	for _, transport := range transports {
		b := r.dial(transport, "v", "q")
		relay := b.allocate()
		b.ok(wire.MethodCreatePermission, withPeer(c.relayed.String()))
		c.ok(wire.MethodCreatePermission, withPeer(relay.String()))
		c.write(c.sendFrame(relay.String(), longest[:65000]))
		if _, _, data := b.received(); data != longest[:65000] {
			t.Errorf("%s: %d bytes came", transport, len(data))
		}
		number := map[string]uint16{"udp": 0x4001, "tcp": 0x4002}[transport]
		c.ok(wire.MethodChannelBind, withChannel(number), withPeer(relay.String()))
		c.write(c.channelFrame(number, strings.Repeat("y", 0xFFFF)))
		c.write(c.channelFrame(number, "still in step"))
		if _, _, data := b.received(); data != "still in step" {
			t.Errorf("%s: %d bytes came", transport, len(data))
		}
	}
}

func TestAbuse20UnknownAttributesAreNamed(t *testing.T) {
	each(t, nil, func(t *testing.T, r *rig, transport string) {
		c := r.dial(transport, "u", "p")
		unknown := []setter{attr(0x7FFF, 1), attr(0x8001, 1), attr(0x0030), attr(0xC001, 2)}
		want := []byte{0x7F, 0xFF, 0x00, 0x30}
		for _, method := range []uint16{wire.MethodAllocate, wire.MethodRefresh, wire.MethodCreatePermission,
			wire.MethodChannelBind} {
			if method == wire.MethodRefresh {
				c.allocate()
			}
			m := c.refused(420, method, append([]setter{withUDP}, unknown...)...)
			if list, _ := m.Get(wire.AttrUnknownAttributes); !bytes.Equal(list, want) || !m.SignedBy(c.key) {
				t.Errorf("method %#x: UNKNOWN-ATTRIBUTES % x, signed: %v", method, list, m.SignedBy(c.key))
			}
		}
		m := c.answerTo(c.unsigned(wire.MethodBinding, unknown...))
		if list, _ := m.Get(wire.AttrUnknownAttributes); m.code() != 420 || !bytes.Equal(list, want) {
			t.Errorf("Binding: code %d, UNKNOWN-ATTRIBUTES % x", m.code(), list)
		}
		c.ok(wire.MethodRefresh, attr(0x8001, 1), attr(0xC001, 2)) // comprehension-optional ones are ignored
		if r.s.Allocations() != 1 {
			t.Error("a refused request had an effect")
		}
	})
}

func TestAbuse21UnsupportedTransportAndFamily(t *testing.T) {
	each(t, func(o *Options) { o.Relays = o.Relays[:1] }, func(t *testing.T, r *rig, transport string) {
		c := r.dial(transport, "u", "p")
		for _, protocol := range []byte{0, 1, 6, 16, 18, 255} {
			c.refused(442, wire.MethodAllocate, attr(wire.AttrRequestedTransport, protocol, 0, 0, 0))
		}
		for _, family := range []byte{0, wire.FamilyIPv6, 3, 255} {
			c.refused(440, wire.MethodAllocate, withUDP, withFamily(family))
		}
		if r.s.Allocations() != 0 {
			t.Error("there is an allocation")
		}
	})
}

// panicLink breaks whatever is sent on it.
type panicLink struct{ probeLink }

func (panicLink) send([]byte, netip.AddrPort)   { panic("of a test") }
func (panicLink) answer([]byte, netip.AddrPort) { panic("of a test") }

func TestAbuse22PanicEndsOneFrameOnly(t *testing.T) {
	r := newRig(t, nil)
	in := &inlet{link: panicLink{probeLink{func() {}}}}
	frame := (&client{}).build(wire.MethodBinding)
	buf := new(wire.Buffer)
	r.s.front.receive(in, buf.Packet(copy(buf[wire.Headroom:], frame)), netip.MustParseAddrPort("192.0.2.1:1"))
	// The same in the books.
	raw := (&client{}).build(wire.MethodRefresh)
	probe := &request{link: panicLink{probeLink{func() {}}}, raw: raw}
	probe.msg.Decode(raw)
	if !r.s.books.submit(probe) {
		t.Fatal("the queue is full")
	}
	eventually(t, "both are counted", func() bool { return r.s.core.counters.drops[dropPanic].Load() == 2 })
	r.s.core.counters.drops[dropPanic].Store(0) // the rig wants none
	r.dial("udp", "u", "p").allocate()
	r.dial("tcp", "u", "p").allocate()
}
