//go:build linux

package lab_test

import (
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/pion/stun/v3"

	"signalbox/scripts/lab"
)

// A turnClient speaks TURN message by message, so that it can ask for what no
// honest client does. It shares no line with the server.
type turnClient struct {
	t                  *testing.T
	conn               net.Conn
	stream             bool
	username, password string
	realm, nonce       string
	relayed            netip.AddrPort
	data               []string // what came from peers, up to the last answer
	// answers are set while another goroutine reads, which passes them on.
	answers chan *stun.Message
}

// newTURNClient connects to the server, gets an allocation, and keeps it for the
// rest of the test.
func newTURNClient(t *testing.T, in *lab.Namespace, server *lab.Server, network, username,
	password string) *turnClient {
	t.Helper()
	return newTURNClientOf(t, in, server.Host(), network, username, password)
}

// newTURNClientOf is newTURNClient for any server, by its address.
func newTURNClientOf(t *testing.T, in *lab.Namespace, host, network, username, password string,
	how ...stun.Setter) *turnClient {
	t.Helper()
	conn, err := in.DialContext(t.Context(), network, net.JoinHostPort(host, "3478"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return allocateOn(t, conn, network == "tcp", username, password, how...)
}

// allocateOn is newTURNClientOf on a connection.
func allocateOn(t *testing.T, conn net.Conn, stream bool, username, password string,
	how ...stun.Setter) *turnClient {
	t.Helper()
	c := &turnClient{t: t, conn: conn, stream: stream, username: username, password: password}
	answer := c.ask(stun.MethodAllocate, append(how, requestedUDP)...)
	var relayed stun.XORMappedAddress
	if err := relayed.GetFromAs(answer, stun.AttrXORRelayedAddress); err != nil {
		t.Fatalf("allocate: %v: %v", answer, err)
	}
	ip, _ := netip.AddrFromSlice(relayed.IP) // of an address's length
	c.relayed = netip.AddrPortFrom(ip.Unmap(), uint16(relayed.Port))
	return c
}

// RFC 8656 §18.7: the protocol number of UDP, then padding.
var requestedUDP = stun.RawAttribute{Type: stun.AttrRequestedTransport, Value: []byte{17, 0, 0, 0}}

func peerAddress(peer netip.AddrPort) stun.Setter {
	return setter(func(m *stun.Message) error {
		return stun.XORMappedAddress{IP: peer.Addr().AsSlice(), Port: int(peer.Port())}.AddToAs(m,
			stun.AttrXORPeerAddress)
	})
}

type setter func(*stun.Message) error

func (s setter) AddTo(m *stun.Message) error { return s(m) }

// ask sends a request, authenticated as soon as the server has said with what,
// and returns the answer.
func (c *turnClient) ask(method stun.Method, attributes ...stun.Setter) *stun.Message {
	c.t.Helper()
	for range 3 {
		answer := c.exchange(c.request(method, attributes...))
		if code := errorCode(answer); code != stun.CodeUnauthorized && code != stun.CodeStaleNonce {
			return answer
		}
		var realm stun.Realm
		var nonce stun.Nonce
		if err := answer.Parse(&realm, &nonce); err != nil {
			c.t.Fatalf("a challenge without realm or nonce: %v: %v", answer, err)
		}
		c.realm, c.nonce = realm.String(), nonce.String()
	}
	c.t.Fatalf("%v: not let in as %q", method, c.username)
	return nil
}

func (c *turnClient) request(method stun.Method, attributes ...stun.Setter) *stun.Message {
	all := append([]stun.Setter{stun.TransactionID, stun.NewType(method, stun.ClassRequest)}, attributes...)
	if c.nonce != "" {
		all = append(all, stun.NewUsername(c.username), stun.NewRealm(c.realm), stun.NewNonce(c.nonce),
			stun.NewLongTermIntegrity(c.username, c.realm, c.password))
	}
	return stun.MustBuild(all...)
}

func (c *turnClient) exchange(request *stun.Message) *stun.Message {
	c.t.Helper()
	if c.answers != nil {
		return c.await(request)
	}
	c.write(request.Raw)
	c.conn.SetReadDeadline(time.Now().Add(patience))
	for {
		frame, err := c.read()
		if err != nil {
			c.t.Fatalf("no answer to %v: %v", request, err)
		}
		if m := c.note(frame); m != nil && m.TransactionID == request.TransactionID {
			return m
		}
	}
}

// await is exchange while another goroutine reads. It repeats a request that may have been lost
// (RFC 8489 §6.2.1).
func (c *turnClient) await(request *stun.Message) *stun.Message {
	c.t.Helper()
	again, over := time.NewTicker(time.Second), time.After(patience)
	defer again.Stop()
	c.write(request.Raw)
	for {
		select {
		case m, reads := <-c.answers:
			if !reads {
				c.t.Fatalf("the connection is gone, and %v has no answer", request)
			}
			if m.TransactionID == request.TransactionID {
				return m
			}
		case <-again.C:
			if !c.stream {
				c.write(request.Raw)
			}
		case <-over:
			c.t.Fatalf("no answer to %v", request)
		}
	}
}

// note keeps a frame's data, or returns the message that it is.
func (c *turnClient) note(frame []byte) *stun.Message {
	c.t.Helper()
	if frame[0]&0xC0 == 0x40 {
		c.data = append(c.data, string(frame[4:4+binary.BigEndian.Uint16(frame[2:])]))
		return nil
	}
	m := &stun.Message{Raw: frame}
	if err := m.Decode(); err != nil {
		c.t.Fatalf("received %x: %v", frame, err)
	}
	if m.Type.Method != stun.MethodData {
		return m
	}
	data, err := m.Get(stun.AttrData)
	if err != nil {
		c.t.Fatalf("%v: %v", m, err)
	}
	c.data = append(c.data, string(data))
	return nil
}

// awaitData waits until something has come from a peer and returns the first.
func (c *turnClient) awaitData() string {
	c.t.Helper()
	c.conn.SetReadDeadline(time.Now().Add(patience))
	for len(c.data) == 0 {
		frame, err := c.read()
		if err != nil {
			c.t.Fatalf("no data: %v", err)
		}
		c.note(frame)
	}
	first := c.data[0]
	c.data = c.data[1:]
	return first
}

// read returns the next frame. A stream has no datagrams: a frame says how long
// it is, ChannelData rounded up to four bytes (RFC 8656 §12.5).
func (c *turnClient) read() ([]byte, error) {
	buf := make([]byte, 1<<16)
	if !c.stream {
		n, err := c.conn.Read(buf)
		if n < 4 && err == nil {
			err = errors.New("a short datagram")
		}
		return buf[:n], err
	}
	if _, err := io.ReadFull(c.conn, buf[:4]); err != nil {
		return nil, err
	}
	size := 4 + int(binary.BigEndian.Uint16(buf[2:]))
	if buf[0]&0xC0 == 0 {
		size += 16
	}
	_, err := io.ReadFull(c.conn, buf[4:(size+3)&^3])
	return buf[:size], err
}

func (c *turnClient) write(frame []byte) {
	c.t.Helper()
	if _, err := c.conn.Write(frame); err != nil {
		c.t.Error(err) // not Fatal: streams run in goroutines
	}
}

// permit asks for one CreatePermission for all peers and returns the code of the
// refusal, or 0.
func (c *turnClient) permit(peers ...netip.AddrPort) stun.ErrorCode {
	c.t.Helper()
	var attributes []stun.Setter
	for _, peer := range peers {
		attributes = append(attributes, peerAddress(peer))
	}
	return errorCode(c.ask(stun.MethodCreatePermission, attributes...))
}

// bind asks for a channel and returns the code of the refusal, or 0.
func (c *turnClient) bind(channel uint16, peer netip.AddrPort) stun.ErrorCode {
	c.t.Helper()
	number := stun.RawAttribute{Type: stun.AttrChannelNumber, Value: binary.BigEndian.AppendUint16(nil, channel)}
	number.Value = append(number.Value, 0, 0)
	return errorCode(c.ask(stun.MethodChannelBind, number, peerAddress(peer)))
}

// send sends a Send indication. It is never answered.
func (c *turnClient) send(peer netip.AddrPort, data string) {
	c.t.Helper()
	c.write(stun.MustBuild(stun.TransactionID, stun.NewType(stun.MethodSend, stun.ClassIndication),
		peerAddress(peer), stun.RawAttribute{Type: stun.AttrData, Value: []byte(data)}).Raw)
}

// channelData sends on a channel, bound or not.
func (c *turnClient) channelData(channel uint16, data string) {
	c.t.Helper()
	frame := binary.BigEndian.AppendUint16(nil, channel)
	frame = append(binary.BigEndian.AppendUint16(frame, uint16(len(data))), data...)
	for c.stream && len(frame)%4 != 0 {
		frame = append(frame, 0)
	}
	c.write(frame)
}

// end ends the allocation.
func (c *turnClient) end() {
	c.t.Helper()
	lifetime := stun.RawAttribute{Type: stun.AttrLifetime, Value: make([]byte, 4)}
	if code := errorCode(c.ask(stun.MethodRefresh, lifetime)); code != 0 {
		c.t.Fatalf("refresh with 0: %d", code)
	}
}

// settle returns when the server has dealt with all that the client has sent:
// it takes a client's frames in order.
func (c *turnClient) settle() {
	c.t.Helper()
	if code := errorCode(c.ask(stun.MethodRefresh)); code != 0 {
		c.t.Fatalf("refresh: %d", code)
	}
}

// errorCode returns that of an error answer, or 0 of a success.
func errorCode(m *stun.Message) stun.ErrorCode {
	var code stun.ErrorCodeAttribute
	if m.Type.Class == stun.ClassSuccessResponse {
		return 0
	}
	if err := code.GetFrom(m); err != nil {
		return -1
	}
	return code.Code
}
