package turnclient

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"io"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/pion/stun/v3"
)

// patience bounds every wait in these tests. It is never waited for unless something is broken.
const patience = 30 * time.Second

func deadline(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	t.Cleanup(cancel)
	return ctx
}

func addrPort(s string) netip.AddrPort { return netip.MustParseAddrPort(s) }

// message builds one in the server's place.
func message(typ stun.MessageType, set ...setter) []byte {
	m := &stun.Message{Type: typ}
	m.WriteHeader()
	for _, s := range set {
		s(m)
	}
	return m.Raw
}

func attribute(typ stun.AttrType, value string) setter {
	return func(m *stun.Message) { m.Add(typ, []byte(value)) }
}

func TestAddresses(t *testing.T) {
	t.Parallel()
	for _, s := range []string{"192.0.2.1:3478", "[2001:db8::1]:65535"} {
		want := addrPort(s)
		m := parse(message(stun.BindingSuccess, peerAddress(want)))
		if got, err := addressIn(m, stun.AttrXORPeerAddress); err != nil || got != want {
			t.Errorf("got %v (%v), want %v", got, err, want)
		}
	}
	for _, value := range []string{"", "\x00\x01\x00\x00", "\x00\x02\x00\x00\x01\x02\x03\x04", "\x00\x01\x00\x00" +
		strings.Repeat("x", 16), strings.Repeat("x", 200)} {
		m := parse(message(stun.BindingSuccess, attribute(stun.AttrXORMappedAddress, value)))
		if got, err := addressIn(m, stun.AttrXORMappedAddress); err == nil {
			t.Errorf("%q is %v", value, got)
		}
	}
}

func TestFramesOfAStream(t *testing.T) {
	t.Parallel()
	binding := string(message(stun.BindingRequest))
	for name, tc := range map[string]struct {
		in   string
		want []int // sizes
	}{
		"messages":       {binding + binding, []int{20, 20}},
		"channel data":   {binding + "\x40\x00\x00\x05abcde\x00\x00\x00" + binding, []int{20}},
		"http":           {"HTTP/1.1 400 Bad Request\r\n\r\n", nil},
		"half a message": {binding[:15], nil},
		"odd length":     {"\x00\x01\x00\x03\x21\x12\xa4\x42aaaaaaaaaaaaxyz", nil},
		"reserved":       {"\x80\x01\x00\x00" + binding, nil},
	} {
		r, buf := bufio.NewReader(strings.NewReader(tc.in)), make([]byte, maxFrame+1)
		var got []int
		for {
			frame, err := readFrame(r, buf)
			if err != nil {
				break
			}
			got = append(got, len(frame))
		}
		if len(got) != len(tc.want) {
			t.Errorf("%s: %v, want %v", name, got, tc.want)
		}
	}
}

// scripted is a connection whose far side answers the requests with prepared frames, each with the
// transaction ID of the last request.
type scripted struct {
	net.Conn // nil: what is not below is not called
	frames   *bufio.Reader
	id       [12]byte
	rest     []byte
}

func (s *scripted) Write(b []byte) (int, error) {
	if len(b) >= headerSize {
		copy(s.id[:], b[8:])
	}
	return len(b), nil
}

func (s *scripted) Read(b []byte) (int, error) {
	if len(s.rest) == 0 {
		frame, err := readFrame(s.frames, make([]byte, maxFrame+1))
		if err != nil {
			return 0, io.EOF
		}
		if len(frame) >= headerSize && frame[0]>>6 == 0 {
			copy(frame[8:], s.id[:])
		}
		s.rest = frame
	}
	n := copy(b, s.rest)
	s.rest = s.rest[n:]
	return n, nil
}

func (s *scripted) SetReadDeadline(time.Time) error  { return nil }
func (s *scripted) SetWriteDeadline(time.Time) error { return nil }
func (s *scripted) Close() error                     { return nil }

// FuzzAnswers: no answer of a server makes the client panic, wait for ever, or believe that it has
// a relay without the password's signature.
func FuzzAnswers(f *testing.F) {
	const prefix = "\x00\x01\x00\x00\x21\x12\xa4\x42"
	challenge := message(stun.NewType(stun.MethodAllocate, stun.ClassErrorResponse),
		attribute(stun.AttrErrorCode, "\x00\x00\x04\x01"),
		attribute(stun.AttrRealm, "r"), attribute(stun.AttrNonce, "n"))
	success := message(stun.NewType(stun.MethodAllocate, stun.ClassSuccessResponse),
		attribute(stun.AttrMessageIntegrity, strings.Repeat("x", 20)))
	f.Add(append(bytes.Clone(challenge), success...))
	f.Add(bytes.Repeat(challenge, 4))
	f.Add(message(stun.BindingSuccess, attribute(stun.AttrXORMappedAddress, "\x00\x01\x00\x00\x01\x02\x03\x04")))
	f.Add(message(stun.NewType(stun.MethodData, stun.ClassIndication), attribute(stun.AttrData, "x"),
		peerAddress(addrPort("192.0.2.1:1"))))
	f.Add(append(bytes.Clone(challenge), message(stun.NewType(stun.MethodAllocate, stun.ClassSuccessResponse),
		attribute(stun.AttrMessageIntegrity, ""))...))
	f.Add([]byte(prefix + strings.Repeat("\xff", 40)))
	f.Fuzz(func(t *testing.T, in []byte) {
		for _, stream := range []bool{false, true} {
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			conn := &scripted{frames: bufio.NewReader(bytes.NewReader(in))}
			c := &Client{conn: conn, buf: make([]byte, maxFrame+1), forget: func() bool { return true }}
			if stream {
				c.stream = bufio.NewReader(conn)
			}
			c.Login("user", "password")
			if relay, err := c.Allocate(ctx, netip.Addr{}, Lifetime); err == nil {
				t.Errorf("the relay is %v", relay)
			}
			conn.frames.Reset(bytes.NewReader(in))
			c.Binding(ctx) //nolint:errcheck // any error will do
			conn.frames.Reset(bytes.NewReader(in))
			c.Receive(ctx, time.Now().Add(patience)) //nolint:errcheck // any error will do
			c.Close()
			if ctx.Err() != nil {
				t.Error("it waits for ever")
			}
			cancel()
		}
	})
}

// Over UDP a request is repeated: the first one may be lost.
func TestLostRequestIsRepeated(t *testing.T) {
	t.Parallel()
	conn, err := net.ListenPacket("udp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	go func() {
		buf := make([]byte, 1500)
		conn.ReadFrom(buf) //nolint:errcheck // lost
		n, from, err := conn.ReadFrom(buf)
		request := parse(buf[:n])
		if err != nil || request == nil {
			return
		}
		// of another transaction
		stranger := message(stun.BindingSuccess, peerAddress(addrPort("192.0.2.66:1")))
		conn.WriteTo(stranger, from)        //nolint:errcheck // it is found missing
		conn.WriteTo([]byte("noise"), from) //nolint:errcheck // as above
		m := &stun.Message{Type: stun.BindingSuccess, TransactionID: request.TransactionID}
		m.WriteHeader()
		a := stun.XORMappedAddress{IP: net.IPv4(192, 0, 2, 1), Port: 7}
		if a.AddTo(m) == nil {
			conn.WriteTo(m.Raw, from) //nolint:errcheck // as above
		}
	}()
	ctx := deadline(t)
	c, err := Dial(ctx, ctx, Address{Transport: "udp", Addr: addrPort(conn.LocalAddr().String())}, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if got, err := c.Binding(ctx); err != nil || got != addrPort("192.0.2.1:7") {
		t.Errorf("%v, %v", got, err)
	}
}

// A refusal's code is found, and its challenge must be complete.
func TestRefusalsOnTheWire(t *testing.T) {
	t.Parallel()
	code := func(n int) setter {
		return func(m *stun.Message) {
			m.Add(stun.AttrErrorCode, binary.BigEndian.AppendUint32(nil, uint32(n/100)<<8|uint32(n%100)))
		}
	}
	refused := stun.NewType(stun.MethodAllocate, stun.ClassErrorResponse)
	for name, tc := range map[string]struct {
		frames []byte
		code   int
		words  string
	}{
		"486":                 {message(refused, code(486)), 486, ""},
		"401 without a nonce": {message(refused, code(401)), 0, "no proper realm and nonce"},
		"no code":             {message(refused), 0, "without a code"},
		"the end":             {nil, 0, "EOF"},
		"no password is asked": {message(stun.NewType(stun.MethodAllocate, stun.ClassSuccessResponse)), 0,
			"asks for no password"},
	} {
		conn := &scripted{frames: bufio.NewReader(bytes.NewReader(tc.frames))}
		c := &Client{conn: conn, stream: bufio.NewReader(conn), buf: make([]byte, maxFrame+1)}
		_, err := c.Allocate(deadline(t), netip.Addr{}, Lifetime)
		if err == nil || CodeOf(err) != tc.code || !strings.Contains(err.Error(), tc.words) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
