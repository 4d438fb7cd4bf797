package turnsvc

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"signalbox/internal/testkit"
	"signalbox/turnsvc/cred"
	"signalbox/turnsvc/internal/wire"
)

// patience bounds every wait for something that must come. It is never waited for unless something
// is broken.
const patience = 30 * time.Second

// TestMain fails the run if a goroutine of this package outlives its test.
func TestMain(m *testing.M) { testkit.Main(m, patience, "signalbox/turnsvc") }

var transports = []string{"udp", "tcp"}

const (
	testRealm  = "example.org"
	testSecret = "a secret of the tests"
)

func prefixes(list ...string) []netip.Prefix {
	out := make([]netip.Prefix, len(list))
	for i, s := range list {
		out[i] = netip.MustParsePrefix(s)
	}
	return out
}

func relayAt(ip string) RelayAddress {
	return RelayAddress{Bind: netip.MustParseAddr(ip), Public: netip.MustParseAddr(ip)}
}

// behindNAT gives the box a public address that this machine does not have.
func behindNAT(o *Options) {
	o.Relays[0].Public = netip.MustParseAddr("198.51.100.7")
	if len(o.Relays) > 1 {
		o.Relays[1].Public = netip.MustParseAddr("2001:db8::7")
	}
}

// midMonth sets a clock by which no month ends while a test runs.
func midMonth(o *Options) {
	began := time.Now()
	o.Now = func() time.Time { return time.Date(2026, 6, 15, 12, 0, 0, 0, time.UTC).Add(time.Since(began)) }
}

func haveIPv6() bool {
	conn, err := net.ListenUDP("udp6", &net.UDPAddr{IP: net.IPv6loopback})
	if err == nil {
		conn.Close()
	}
	return err == nil
}

// needIPv6 skips a test on a machine without IPv6.
func needIPv6(t testing.TB) {
	t.Helper()
	if haveIPv6() {
		return
	}
	if os.Getenv("SIGNALBOX_TEST_ALL") == "1" {
		t.Fatal("this machine has no IPv6 loopback address")
	}
	t.Skip("needs IPv6, which this machine lacks")
}

// rig is a server on loopback with clients of its own making.
type rig struct {
	t      testing.TB
	s      *Server
	addr   map[string]string // by transport
	keys   *cred.Keys
	offset atomic.Int64 // added to the clock
}

// quick lets streams run out of time within tests.
var quick = timeouts{firstFrame: 2 * time.Second, idle: 3 * time.Second, stranger: 4 * time.Second,
	write: 2 * time.Second}

func newRig(t testing.TB, change func(*Options)) *rig {
	t.Helper()
	return newRigWith(t, change, func(s *Server) { s.gate.patience = 0 }) // one that waits has tests of its own
}

// newRigWith also has the tests' way with what no option says.
func newRigWith(t testing.TB, change func(*Options), tamper func(*Server)) *rig {
	t.Helper()
	r := &rig{t: t, addr: map[string]string{}, keys: cred.NewKeys(testSecret)}
	o := Options{
		Realm: testRealm,
		Live: Live{
			Keys: r.keys,
			Users: map[string][]byte{"u": cred.LongTermKey("u", testRealm, "p"),
				"v": cred.LongTermKey("v", testRealm, "q")},
			HubPeers: PeersRoom, StaticPeers: PeersPublic,
		},
		Relays:  []RelayAddress{relayAt("127.0.0.1")},
		MinPort: 20000, MaxPort: 32000, AllowLoopback: true,
		Now: func() time.Time { return time.Now().Add(time.Duration(r.offset.Load())) },
	}
	if haveIPv6() {
		o.Relays = append(o.Relays, relayAt("::1"))
	}
	if change != nil {
		change(&o)
	}
	var err error
	if r.s, err = New(o); err != nil {
		t.Fatal(err)
	}
	r.s.Opened("live", "", netip.MustParseAddr("127.0.0.1"))
	r.s.books.channelTimeout = time.Microsecond // pion's clock can't be advanced
	if tamper != nil {
		tamper(r.s)
	}
	udp, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	tcp, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r.addr["udp"], r.addr["tcp"] = udp.LocalAddr().String(), tcp.Addr().String()
	sockets := []*net.UDPConn{udp}
	if udp6, err := net.ListenUDP("udp6", &net.UDPAddr{IP: net.IPv6loopback}); err == nil {
		r.addr["udp6"] = udp6.LocalAddr().String()
		sockets = append(sockets, udp6)
	}

	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() {
		if err := r.s.Run(ctx); err != nil {
			t.Error(err)
		}
	})
	for _, udp := range sockets {
		running.Go(func() {
			if err := r.s.ServePacket(udp); err != nil {
				t.Error(err)
			}
		})
	}
	running.Go(func() {
		for {
			conn, err := tcp.Accept()
			if err != nil {
				return
			}
			running.Go(func() { r.s.ServeConn(conn, "tcp") })
		}
	})
	t.Cleanup(func() {
		cancel()
		for _, udp := range sockets {
			udp.Close()
		}
		tcp.Close()
		running.Wait()
		if n := r.s.core.counters.drops[dropPanic].Load(); n != 0 {
			t.Errorf("%d panics were recovered", n)
		}
	})
	return r
}

// advance moves the server's clock.
func (r *rig) advance(d time.Duration) { r.offset.Add(int64(d)) }

// client is a TURN client without any mercy: it sends what the test says.
type client struct {
	t         testing.TB
	conn      net.Conn
	stream    bool
	user      string
	key       []byte
	nonce     []byte
	tid       [12]byte
	rest      []byte // read from a stream and not yet used
	relayed   netip.AddrPort
	unhandled [][]byte // frames that came while an answer was awaited
}

// dial opens a client that knows a user's password.
func (r *rig) dial(transport, user, password string) *client {
	r.t.Helper()
	conn, err := net.Dial(strings.TrimSuffix(transport, "6"), r.addr[transport])
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { conn.Close() })
	return &client{t: r.t, conn: conn, stream: transport == "tcp", user: user,
		key: cred.LongTermKey(user, testRealm, password)}
}

// clientOn is a client of user u on a connection that the caller closes.
func (r *rig) clientOn(conn net.Conn, transport string) *client {
	return &client{t: r.t, conn: conn, stream: transport == "tcp", user: "u",
		key: cred.LongTermKey("u", testRealm, "p")}
}

// setter adds an attribute to a request.
type setter func(*wire.Builder)

func attr(typ uint16, value ...byte) setter { return func(b *wire.Builder) { b.Attr(typ, value) } }

func withPeer(s string) setter {
	return func(b *wire.Builder) { b.XORAddr(wire.AttrXORPeerAddress, netip.MustParseAddrPort(s)) }
}

func withLifetime(seconds uint32) setter {
	return func(b *wire.Builder) { b.Uint32(wire.AttrLifetime, seconds) }
}

func withChannel(n uint16) setter { return attr(wire.AttrChannelNumber, byte(n>>8), byte(n), 0, 0) }

func withFamily(family byte) setter { return attr(wire.AttrRequestedFamily, family, 0, 0, 0) }

var withUDP = attr(wire.AttrRequestedTransport, wire.ProtocolUDP, 0, 0, 0)

func rand12(tid *[12]byte) { rand.Read(tid[:]) }

// build makes a request, signed if the client has a nonce.
func (c *client) build(method uint16, attrs ...setter) []byte {
	rand12(&c.tid)
	b := wire.Begin(nil, method, wire.ClassRequest, c.tid[:])
	for _, a := range attrs {
		a(&b)
	}
	if c.nonce != nil {
		b.Attr(wire.AttrUsername, []byte(c.user))
		b.Attr(wire.AttrRealm, []byte(testRealm))
		b.Attr(wire.AttrNonce, c.nonce)
		b.Sign(c.key)
	}
	return b.End(true)
}

func (c *client) write(frame []byte) {
	c.t.Helper()
	if _, err := c.conn.Write(frame); err != nil {
		c.t.Fatalf("write: %v", err)
	}
}

// read returns the next frame, or nil if none comes within the time.
func (c *client) read(within time.Duration) []byte {
	c.t.Helper()
	if len(c.unhandled) > 0 {
		frame := c.unhandled[0]
		c.unhandled = c.unhandled[1:]
		return frame
	}
	return c.readConn(within)
}

func (c *client) readConn(within time.Duration) []byte {
	c.t.Helper()
	if err := c.conn.SetReadDeadline(time.Now().Add(within)); err != nil {
		c.t.Fatal(err)
	}
	buf := make([]byte, 70000)
	for {
		if c.stream {
			if size, padded, ok := wire.FrameSize(c.rest, true); ok && padded > 0 && len(c.rest) >= padded {
				frame := append([]byte(nil), c.rest[:size]...)
				c.rest = c.rest[padded:]
				return frame
			}
		}
		n, err := c.conn.Read(buf)
		if err != nil {
			var timeout net.Error
			if errors.As(err, &timeout) && timeout.Timeout() || errors.Is(err, io.EOF) {
				return nil
			}
			c.t.Fatalf("read: %v", err)
		}
		if !c.stream {
			return buf[:n:n]
		}
		c.rest = append(c.rest, buf[:n]...)
	}
}

// answer returns the answer to the last request built, which must come.
func (c *client) answer() *message {
	c.t.Helper()
	m := c.answerOrNil(patience)
	if m == nil {
		c.t.Fatal("no answer")
	}
	return m
}

func (c *client) answerOrNil(within time.Duration) *message {
	c.t.Helper()
	for {
		frame := c.readConn(within)
		if frame == nil {
			return nil
		}
		m := &message{}
		if m.Decode(frame) && string(m.TransactionID()) == string(c.tid[:]) {
			return m
		}
		c.unhandled = append(c.unhandled, frame)
	}
}

// request sends a request, follows challenges, and returns the last answer, whose signature it
// checks as a strict client does.
func (c *client) request(method uint16, attrs ...setter) *message {
	c.t.Helper()
	for range 2 {
		c.write(c.build(method, attrs...))
		m := c.answer()
		if code := m.code(); code == 438 || code == 401 && c.nonce == nil {
			nonce, ok := m.Get(wire.AttrNonce)
			if !ok {
				c.t.Fatalf("%d without NONCE", code)
			}
			c.nonce = append([]byte(nil), nonce...)
			continue
		}
		if c.nonce != nil && m.code() != 401 && m.Integrity != 0 && !m.SignedBy(c.key) {
			c.t.Fatalf("answer %d has a wrong MESSAGE-INTEGRITY", m.code())
		}
		return m
	}
	c.t.Fatal("challenged twice")
	return nil
}

// ok sends a request that must succeed, with a signed answer.
func (c *client) ok(method uint16, attrs ...setter) *message {
	c.t.Helper()
	m := c.request(method, attrs...)
	if m.Class != wire.ClassSuccess {
		c.t.Fatalf("method %#x: error %d, want success", method, m.code())
	}
	if !m.SignedBy(c.key) {
		c.t.Fatalf("method %#x: the answer is not signed", method)
	}
	return m
}

// refused sends a request that must fail with that code.
func (c *client) refused(code int, method uint16, attrs ...setter) *message {
	c.t.Helper()
	m := c.request(method, attrs...)
	if m.code() != code {
		c.t.Fatalf("method %#x: code %d, want %d", method, m.code(), code)
	}
	return m
}

// allocate makes an allocation and returns its relayed transport address.
func (c *client) allocate(attrs ...setter) netip.AddrPort {
	c.t.Helper()
	m := c.ok(wire.MethodAllocate, append([]setter{withUDP}, attrs...)...)
	value, _ := m.Get(wire.AttrXORRelayedAddress)
	addr, ok := wire.XORAddress(value, m.TransactionID())
	if !ok {
		c.t.Fatal("no XOR-RELAYED-ADDRESS")
	}
	c.relayed = addr
	return addr
}

// message is a decoded answer.
type message struct{ wire.Message }

// code is the error code of an answer, 0 of a success.
func (m *message) code() int {
	v, ok := m.Get(wire.AttrErrorCode)
	if !ok || len(v) < 4 {
		return 0
	}
	return int(v[2])*100 + int(v[3])
}

func (m *message) lifetime() time.Duration {
	v, _ := m.Get(wire.AttrLifetime)
	if len(v) != 4 {
		return -1
	}
	return time.Duration(binary.BigEndian.Uint32(v)) * time.Second
}

// channelFrame is a ChannelData message, padded on streams.
func (c *client) channelFrame(number uint16, data string) []byte {
	b := binary.BigEndian.AppendUint16(nil, number)
	b = binary.BigEndian.AppendUint16(b, uint16(len(data)))
	b = append(b, data...)
	for c.stream && len(b)%4 != 0 {
		b = append(b, 0)
	}
	return b
}

// sendFrame is a Send indication.
func (c *client) sendFrame(peer, data string) []byte {
	b := wire.Begin(nil, wire.MethodSend, wire.ClassIndication, make([]byte, 12))
	withPeer(peer)(&b)
	b.Attr(wire.AttrData, []byte(data))
	return b.End(false)
}

// received returns the peer and data of a Data indication, or the number and data of ChannelData.
func (c *client) received() (peer netip.AddrPort, number uint16, data string) {
	c.t.Helper()
	frame := c.read(patience)
	if frame == nil {
		c.t.Fatal("nothing came")
	}
	if frame[0]&0xC0 == 0x40 {
		return peer, binary.BigEndian.Uint16(frame), string(frame[4 : 4+binary.BigEndian.Uint16(frame[2:])])
	}
	var m message
	if !m.Decode(frame) || m.Method != wire.MethodData || m.Class != wire.ClassIndication {
		c.t.Fatalf("want a Data indication, got % x", frame)
	}
	value, _ := m.Get(wire.AttrXORPeerAddress)
	peer, ok := wire.XORAddress(value, m.TransactionID())
	payload, okData := m.Get(wire.AttrData)
	if !ok || !okData {
		c.t.Fatal("a Data indication without peer or data")
	}
	return peer, 0, string(payload)
}

// nothing fails if a frame comes.
func (c *client) nothing() {
	c.t.Helper()
	if frame := c.read(200 * time.Millisecond); frame != nil {
		c.t.Fatalf("want nothing, got % x", frame)
	}
}

// peer is a UDP socket on loopback, which clients reach through the relay.
func (r *rig) peer() *net.UDPConn {
	r.t.Helper()
	return r.peerAt("127.0.0.1")
}

func (r *rig) peerAt(ip string) *net.UDPConn {
	r.t.Helper()
	conn, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.AddrPortFrom(netip.MustParseAddr(ip), 0)))
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { conn.Close() })
	return conn
}

func readPeer(t testing.TB, conn *net.UDPConn) (string, netip.AddrPort) {
	t.Helper()
	buf := make([]byte, 70000)
	if err := conn.SetReadDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	n, from, err := conn.ReadFromUDPAddrPort(buf)
	if err != nil {
		t.Fatalf("nothing reached the peer: %v", err)
	}
	return string(buf[:n]), from
}

// eventually polls until done, for what the server does in its own time.
func eventually(t testing.TB, what string, done func() bool) {
	t.Helper()
	testkit.Eventually(t, patience, what, done)
}

func median(list []time.Duration) time.Duration {
	slices.Sort(list)
	return list[len(list)/2]
}

// from is one datagram.
func from(p wire.Packet, at netip.AddrPort) []wire.Datagram {
	return []wire.Datagram{{Packet: p, From: at}}
}
