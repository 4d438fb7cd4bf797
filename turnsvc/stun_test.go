package turnsvc

import (
	"bytes"
	"encoding/binary"
	"net"
	"net/netip"
	"testing"
	"time"

	"signalbox/turnsvc/cred"
	"signalbox/turnsvc/internal/wire"
)

// discovery is a server whose STUN responder has two addresses and two ports.
type discovery struct {
	t  testing.TB
	s  *Server
	at [2][2]netip.AddrPort // by address, by port
}

// newDiscovery serves TURN on the first port of each address and STUN alone on the second.
func newDiscovery(t testing.TB) *discovery {
	t.Helper()
	d := &discovery{t: t, s: newServer(t)}
	conns := fourSockets(t)
	if err := d.s.EnableDiscovery(conns); err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{}, 4)
	for i := range conns {
		for j, conn := range conns[i] {
			d.at[i][j] = wire.AddrPort(conn.LocalAddr())
			serve := d.s.ServePacket
			if j == 1 {
				serve = d.s.ServeSTUN
			}
			go func() {
				if err := serve(conn); err != nil {
					t.Error(err)
				}
				done <- struct{}{}
			}()
		}
	}
	t.Cleanup(func() {
		for i := range conns {
			for _, conn := range conns[i] {
				conn.Close()
				<-done
			}
		}
		if n := d.s.core.counters.drops[dropPanic].Load(); n != 0 {
			t.Errorf("%d panics were recovered", n)
		}
	})
	return d
}

// fourSockets are on 127.0.0.1 and 127.0.0.2, with the same two ports.
func fourSockets(t testing.TB) (conns [2][2]*net.UDPConn) {
	t.Helper()
	for range 100 {
		var opened []*net.UDPConn
		listen := func(host byte, port int) *net.UDPConn {
			conn, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, host), Port: port})
			if err == nil {
				opened = append(opened, conn)
			}
			return conn
		}
		for j := range 2 {
			if conns[0][j] = listen(1, 0); conns[0][j] != nil {
				conns[1][j] = listen(2, conns[0][j].LocalAddr().(*net.UDPAddr).Port)
			}
		}
		if len(opened) == 4 {
			return conns
		}
		for _, conn := range opened { // another program had one of the ports
			conn.Close()
		}
	}
	t.Skip("needs 127.0.0.1 and 127.0.0.2")
	return conns
}

// ask sends a request to one of the sockets and returns the answer, and where it came from.
func (d *discovery) ask(conn *net.UDPConn, to netip.AddrPort, request []byte) (answer []byte, from netip.AddrPort) {
	d.t.Helper()
	if _, err := conn.WriteToUDPAddrPort(request, to); err != nil {
		d.t.Fatal(err)
	}
	return d.read(conn)
}

func (d *discovery) read(conn *net.UDPConn) (answer []byte, from netip.AddrPort) {
	d.t.Helper()
	answer = make([]byte, 1500)
	if err := conn.SetReadDeadline(time.Now().Add(patience)); err != nil {
		d.t.Fatal(err)
	}
	n, from, err := conn.ReadFromUDPAddrPort(answer)
	if err != nil {
		d.t.Fatalf("no answer: %v", err)
	}
	return answer[:n], from
}

func listenLoopback(t testing.TB) *net.UDPConn {
	t.Helper()
	conn, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

// plainAddress decodes an attribute in the format of MAPPED-ADDRESS.
func plainAddress(t testing.TB, value []byte) netip.AddrPort {
	t.Helper()
	if len(value) != 8 || value[1] != wire.FamilyIPv4 {
		t.Fatalf("want an IPv4 address, got % x", value)
	}
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte(value[4:])), binary.BigEndian.Uint16(value[2:]))
}

var bindingID = []byte("a binding id")

func bindingRequest(attrs ...setter) []byte {
	b := wire.Begin(nil, wire.MethodBinding, wire.ClassRequest, bindingID)
	for _, a := range attrs {
		a(&b)
	}
	return b.End(false)
}

// Whichever of the four is asked, for whichever change: the answer leaves from the one that RFC
// 5780 §6.1, table 1, names, and says so.
func TestDiscoveryAnswersFromTheRightSocket(t *testing.T) {
	t.Parallel()
	d := newDiscovery(t)
	conn := listenLoopback(t)
	for i := range 2 {
		for j := range 2 {
			for flags := range byte(4) {
				request := bindingRequest(attr(wire.AttrChangeRequest, 0, 0, 0, flags<<1))
				answer, from := d.ask(conn, d.at[i][j], request)
				want := d.at[i^int(flags>>1)][j^int(flags&1)]
				if from != want {
					t.Errorf("asked %v with flags %#x: the answer came from %v, want %v", d.at[i][j], flags<<1, from,
						want)
				}
				var m message
				if !m.Decode(answer) || m.Class != wire.ClassSuccess {
					t.Fatalf("want a success answer, got % x", answer)
				}
				for typ, want := range map[uint16]netip.AddrPort{
					wire.AttrMappedAddress: wire.AddrPort(conn.LocalAddr()), wire.AttrResponseOrigin: want,
					wire.AttrOtherAddress: d.at[1-i][1-j],
				} {
					value, _ := m.Get(typ)
					if got := plainAddress(t, value); got != want {
						t.Errorf("asked %v with flags %#x: attribute %#x is %v, want %v", d.at[i][j], flags<<1, typ,
							got, want)
					}
				}
				value, _ := m.Get(wire.AttrXORMappedAddress)
				if got, _ := wire.XORAddress(value, m.TransactionID()); got != wire.AddrPort(conn.LocalAddr()) {
					t.Errorf("XOR-MAPPED-ADDRESS is %v", got)
				}
			}
		}
	}
}

func TestDiscoveryResponsePort(t *testing.T) {
	t.Parallel()
	d := newDiscovery(t)
	asking, answered := listenLoopback(t), listenLoopback(t)
	port := wire.AddrPort(answered.LocalAddr()).Port()
	for _, value := range [][]byte{{byte(port >> 8), byte(port)}, {byte(port >> 8), byte(port), 0, 0}} {
		if _, err := asking.WriteToUDPAddrPort(bindingRequest(attr(wire.AttrResponsePort, value...)),
			d.at[0][0]); err != nil {
			t.Fatal(err)
		}
		answer, from := d.read(answered)
		var m message
		if !m.Decode(answer) || from != d.at[0][0] {
			t.Fatalf("got % x from %v", answer, from)
		}
		mapped, _ := m.Get(wire.AttrXORMappedAddress)
		if got, _ := wire.XORAddress(mapped, m.TransactionID()); got != wire.AddrPort(asking.LocalAddr()) {
			t.Errorf("XOR-MAPPED-ADDRESS is %v, want that of the socket that asked", got)
		}
	}
}

func TestDiscoveryRefusals(t *testing.T) {
	t.Parallel()
	d := newDiscovery(t)
	conn := listenLoopback(t)
	const attrPadding = 0x0026
	for name, tc := range map[string]struct {
		request []byte
		code    int
		unknown []byte
	}{
		"PADDING": {bindingRequest(attr(attrPadding, make([]byte, 1400)...)), 420, []byte{0, 0x26}},
		"PADDING and a change": {bindingRequest(attr(wire.AttrChangeRequest, 0, 0, 0, 6), attr(attrPadding, 0, 0)), 420,
			[]byte{0, 0x26}},
		"CHANGE-REQUEST, odd size": {bindingRequest(attr(wire.AttrChangeRequest, 6)), 400, nil},
		"RESPONSE-PORT, odd size":  {bindingRequest(attr(wire.AttrResponsePort, 1, 2, 3)), 400, nil},
		"more than can be listed": {bindingRequest(attr(1), attr(2), attr(4), attr(5), attr(7)), 420,
			[]byte{0, 1, 0, 2, 0, 4, 0, 5}},
		"a number that needs bytes": {bindingRequest(attr(1), attr(2), attr(4)), 420, []byte{0, 1, 0, 2, 0, 4}},
	} {
		answer, from := d.ask(conn, d.at[1][1], tc.request)
		var m message
		if !m.Decode(answer) || m.code() != tc.code || from != d.at[1][1] {
			t.Errorf("%s: code %d from %v, want %d", name, m.code(), from, tc.code)
		}
		if list, _ := m.Get(wire.AttrUnknownAttributes); !bytes.Equal(list, tc.unknown) {
			t.Errorf("%s: UNKNOWN-ATTRIBUTES % x, want % x", name, list, tc.unknown)
		}
	}
}

// A second port that gave out relays would be a second thing to guard, for nobody.
func TestSTUNPortServesNoTURN(t *testing.T) {
	t.Parallel()
	d := newDiscovery(t)
	conn := listenLoopback(t)
	allocate := wire.Begin(nil, wire.MethodAllocate, wire.ClassRequest, bindingID)
	withUDP(&allocate)
	if _, err := conn.WriteToUDPAddrPort(allocate.End(false), d.at[0][1]); err != nil {
		t.Fatal(err)
	}
	// What comes back first is the answer to what was asked second.
	if answer, _ := d.ask(conn, d.at[0][1],
		bindingRequest()); binary.BigEndian.Uint16(answer) != wire.MethodBinding|wire.ClassSuccess {
		t.Errorf("the answer to an Allocate is % x", answer)
	}
	if answer, _ := d.ask(conn, d.at[0][0],
		allocate.End(false)); binary.BigEndian.Uint16(answer) != wire.MethodAllocate|wire.ClassError {
		t.Errorf("the first port is one of TURN; it answers % x", answer)
	}
}

func TestEnableDiscoveryWantsTwoAddressesAndTwoPorts(t *testing.T) {
	t.Parallel()
	c := fourSockets(t)
	t.Cleanup(func() {
		for i := range c {
			c[i][0].Close()
			c[i][1].Close()
		}
	})
	s := newServer(t)
	for name, conns := range map[string][2][2]*net.UDPConn{
		"one address":   {{c[0][0], c[0][1]}, {c[0][0], c[0][1]}},
		"one port":      {{c[0][0], c[0][0]}, {c[1][0], c[1][0]}},
		"crossed ports": {{c[0][0], c[0][1]}, {c[1][1], c[1][0]}},
		"by port":       {{c[0][0], c[1][0]}, {c[0][1], c[1][1]}},
	} {
		if s.EnableDiscovery(conns) == nil {
			t.Errorf("%s: no error", name)
		}
	}
	if err := s.EnableDiscovery(c); err != nil {
		t.Error(err)
	}
}

// Without an alternate address the answer is as small as it gets, and a request for another address
// is refused, not ignored.
func TestBindingWithoutDiscoveryIsSmall(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	c := r.dial("udp", "u", "p")
	c.write(bindingRequest())
	if answer := c.read(patience); len(answer) != 32 {
		t.Errorf("20 bytes are answered with %d", len(answer))
	}
	c.write(bindingRequest(attr(wire.AttrChangeRequest, 0, 0, 0, 2)))
	var m message
	if !m.Decode(c.read(patience)) || m.code() != 420 {
		t.Errorf("CHANGE-REQUEST: code %d", m.code())
	}
}

// 8 of the operators' reports: attributes count by what they say. Debian's stun client sends a
// CHANGE-REQUEST without flags, and ICE checks come to the STUN port.
func TestBindingReadsAttributesByValue(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	c := r.dial("udp", "u", "p")
	d := newDiscovery(t)
	for name, tc := range map[string]struct {
		request []byte
		code    int
	}{
		"CHANGE-REQUEST 0":           {bindingRequest(attr(wire.AttrChangeRequest, 0, 0, 0, 0)), 0},
		"CHANGE-REQUEST, other bits": {bindingRequest(attr(wire.AttrChangeRequest, 0, 0, 0, 1)), 0},
		"CHANGE-REQUEST, odd size":   {bindingRequest(attr(wire.AttrChangeRequest, 0)), 420},
		"RESPONSE-PORT 0":            {bindingRequest(attr(wire.AttrResponsePort, 0, 0)), 0},
		"RESPONSE-PORT 0, padded":    {bindingRequest(attr(wire.AttrResponsePort, 0, 0, 0, 0)), 0},
		"RESPONSE-PORT 1":            {bindingRequest(attr(wire.AttrResponsePort, 0, 1)), 420},
		"an ICE check": {c.build(wire.MethodBinding, attr(wire.AttrUsername, []byte("one:other")...),
			attr(wire.AttrPriority, 1, 2, 3, 4), attr(wire.AttrUseCandidate),
			func(b *wire.Builder) { b.Sign([]byte("a key of nobody here")) }), 0},
	} {
		c.write(tc.request)
		var m message
		if !m.Decode(c.read(patience)) || m.code() != tc.code {
			t.Errorf("%s: code %d, want %d", name, m.code(), tc.code)
		}
		if name == "an ICE check" && !m.Fingerprint {
			t.Error("an ICE check is answered without FINGERPRINT")
		}
		if tc.code != 0 {
			continue
		}
		answer, from := d.ask(listenLoopback(t), d.at[0][0], tc.request)
		if !m.Decode(answer) || m.code() != 0 || from != d.at[0][0] {
			t.Errorf("%s, with discovery: code %d from %v", name, m.code(), from)
		}
	}
	c.write(classicRequest(0, 3, 0, 4, 0, 0, 0, 0))
	types, _ := classicAttrs(t, c.read(patience), wire.ClassSuccess)
	if len(types) != 1 || types[0] != wire.AttrMappedAddress {
		t.Errorf("a CHANGE-REQUEST 0 of RFC 3489: attributes %#x", types)
	}
}

// classicRequest is a Binding request of RFC 3489, whose transaction id has 16 bytes.
func classicRequest(attrs ...byte) []byte {
	return append([]byte{0, 1, 0, byte(len(attrs)), 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16}, attrs...)
}

// classicAttrs are the attributes of an answer to classicRequest, in their order.
func classicAttrs(t testing.TB, answer []byte, class uint16) (types []uint16, values [][]byte) {
	t.Helper()
	if len(answer) < wire.HeaderSize || binary.BigEndian.Uint16(answer) != wire.MethodBinding|class ||
		!bytes.Equal(answer[4:wire.HeaderSize], classicRequest()[4:]) ||
		int(binary.BigEndian.Uint16(answer[2:])) != len(answer)-wire.HeaderSize {
		t.Fatalf("not the answer: % x", answer)
	}
	for rest := answer[wire.HeaderSize:]; len(rest) > 0; {
		size := int(binary.BigEndian.Uint16(rest[2:]))
		types, values = append(types, binary.BigEndian.Uint16(rest)), append(values, rest[4:4+size])
		rest = rest[4+size:]
	}
	return types, values
}

func TestClassicBinding(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	c := r.dial("udp", "u", "p")
	c.write(classicRequest())
	answer := c.read(patience)
	if len(answer) != 32 {
		t.Errorf("20 bytes are answered with %d", len(answer))
	}
	types, values := classicAttrs(t, answer, wire.ClassSuccess)
	if len(types) != 1 || types[0] != wire.AttrMappedAddress || plainAddress(t,
		values[0]) != wire.AddrPort(c.conn.LocalAddr()) {
		t.Errorf("attributes %#x % x, want MAPPED-ADDRESS", types, values)
	}

	// Nobody but the sender is ever answered.
	other := r.peer()
	at := wire.AddrPort(other.LocalAddr())
	c.write(classicRequest(0, 2, 0, 8, 0, 1, byte(at.Port()>>8), byte(at.Port()), 127, 0, 0, 1))
	types, values = classicAttrs(t, c.read(patience), wire.ClassError)
	if len(types) != 2 || types[1] != wire.AttrUnknownAttributes || !bytes.Equal(values[1], []byte{0, 2, 0, 2}) {
		t.Errorf("RESPONSE-ADDRESS: attributes %#x % x", types, values)
	}
	c.write(classicRequest(0, 3, 0, 4, 0, 0, 0, 2))
	if _, values = classicAttrs(t, c.read(patience), wire.ClassError); !bytes.Equal(values[0], []byte{0, 0, 4, 20}) {
		t.Errorf("CHANGE-REQUEST: ERROR-CODE % x, want 420", values[0])
	}
	for _, broken := range [][]byte{
		classicRequest(0), classicRequest(0, 3, 0, 4, 0), classicRequest(0, 6, 0, 1, 'u', 0, 0, 0),
		classicRequest()[:19],
		append(classicRequest(), 0, 0, 0, 0), // longer than it says
	} {
		c.write(broken)
	}
	c.nothing()
}

func TestClassicDiscovery(t *testing.T) {
	t.Parallel()
	d := newDiscovery(t)
	conn := listenLoopback(t)
	for flags := range byte(4) {
		answer, from := d.ask(conn, d.at[0][0], classicRequest(0, 3, 0, 4, 0, 0, 0, flags<<1))
		want := d.at[flags>>1][flags&1]
		if from != want {
			t.Errorf("flags %#x: the answer came from %v, want %v", flags<<1, from, want)
		}
		_, values := classicAttrs(t, answer, wire.ClassSuccess)
		if got := plainAddress(t, values[0]); got != wire.AddrPort(conn.LocalAddr()) {
			t.Errorf("MAPPED-ADDRESS is %v", got)
		}
		if got := plainAddress(t, values[1]); got != want {
			t.Errorf("SOURCE-ADDRESS is %v, want %v", got, want)
		}
		if got := plainAddress(t, values[2]); got != d.at[1][1] {
			t.Errorf("CHANGED-ADDRESS is %v, want %v", got, d.at[1][1])
		}
	}
}

// Any datagram, at the responder with two addresses. What is answered is well-formed, and never
// more than 80 bytes.
func FuzzSTUN(f *testing.F) {
	d := newDiscovery(f)
	f.Add(bindingRequest(attr(wire.AttrChangeRequest, 0, 0, 0, 6)))
	f.Add(bindingRequest(attr(wire.AttrResponsePort, 0, 9)))
	f.Add(bindingRequest(attr(0x0026, 0, 0)))
	f.Add(classicRequest(0, 3, 0, 4, 0, 0, 0, 6))
	f.Add(classicRequest(0, 2, 0, 8, 0, 1, 0, 9, 127, 0, 0, 1))
	l := &fuzzLink{}
	in := &inlet{link: l, corner: d.s.front.stun.corners.find(d.at[0][0]), stunOnly: true}
	src := netip.MustParseAddrPort("127.0.0.1:9")
	buf := new(wire.Buffer)
	f.Fuzz(func(t *testing.T, frame []byte) {
		if len(frame) > wire.MaxDatagram {
			return
		}
		l.sent = nil
		d.s.front.receive(in, buf.Packet(copy(buf[wire.Headroom:], frame)), src)
		if n := d.s.core.counters.drops[dropPanic].Load(); n != 0 {
			t.Fatal("a panic was recovered")
		}
		if l.sent == nil {
			return
		}
		if len(l.sent) > 80 {
			t.Errorf("%d bytes are answered with %d", len(frame), len(l.sent))
		}
		var m message
		if binary.BigEndian.Uint32(l.sent[4:]) == wire.MagicCookie && !m.Decode(l.sent) {
			t.Errorf("the answer is not well-formed: % x", l.sent)
		}
	})
}

// fuzzLink keeps the last frame that was sent.
type fuzzLink struct {
	udpLink
	sent []byte
}

func (l *fuzzLink) answer(frame []byte, _ netip.AddrPort)     { l.sent = append(l.sent[:0], frame...) }
func (l *fuzzLink) allocation(netip.AddrPort) *allocation     { return nil }
func (l *fuzzLink) setAllocation(netip.AddrPort, *allocation) {}

// newServer is one that only its fronts are used of: it need not run.
func newServer(t testing.TB) *Server {
	t.Helper()
	s, err := New(Options{
		Realm: testRealm, Live: Live{Keys: cred.NewKeys(testSecret)}, Relays: []RelayAddress{relayAt("127.0.0.1")},
		MinPort: 20000, MaxPort: 32000,
	})
	if err != nil {
		t.Fatal(err)
	}
	return s
}
