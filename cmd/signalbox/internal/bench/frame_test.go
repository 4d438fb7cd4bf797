package bench

import (
	"bytes"
	"encoding/binary"
	"net/netip"
	"testing"

	"github.com/pion/stun/v3"
)

// What a client sends by hand is what others read.
func TestSendIndication(t *testing.T) {
	t.Parallel()
	peer := netip.MustParseAddrPort("192.0.2.7:1234")
	for size := 16; size < 21; size++ {
		f := sendIndication(peer, size)
		frame := make([]byte, f.size(size))
		payload := frame[copy(frame, f.head):][:size]
		stamp{run: 1, way: 1, sent: 2}.put(payload)
		m := &stun.Message{Raw: frame}
		if err := m.Decode(); err != nil {
			t.Fatalf("%d bytes: %v", size, err)
		}
		data, err := m.Get(stun.AttrData)
		var a stun.XORMappedAddress
		if err != nil || !bytes.Equal(data, payload) || a.GetFromAs(m, stun.AttrXORPeerAddress) != nil ||
			a.String() != peer.String() {
			t.Errorf("%d bytes: %v, %v", size, m, a)
		}
		m.Type = stun.NewType(stun.MethodData, stun.ClassIndication)
		m.WriteHeader()
		if got := payloadOf(m.Raw); !bytes.Equal(got, payload) {
			t.Errorf("%d bytes: the payload is % x", size, got)
		}
	}
}

func TestChannelData(t *testing.T) {
	t.Parallel()
	for size := 16; size < 21; size++ {
		f := channelData(0x4001, size, true)
		frame := make([]byte, f.size(size))
		copy(frame, f.head)
		if len(frame)%4 != 0 || frameSize(frame) != len(frame) || len(payloadOf(frame)) != size {
			t.Errorf("%d bytes: % x", size, frame)
		}
		if f := channelData(0x4001, size, false); f.size(size) != 4+size {
			t.Errorf("%d bytes over UDP take %d", size, f.size(size))
		}
	}
}

// No frame of a server makes the receiver read beyond it, or for ever.
func FuzzFrames(f *testing.F) {
	f.Add([]byte("\x40\x01\x00\x02ab"))
	f.Add([]byte("\x00\x17\x00\x08\x21\x12\xa4\x42aaaaaaaaaaaa\x00\x13\x00\x02ab\x00\x00"))
	f.Add([]byte("\x00\x17\x00\x05\x21\x12\xa4\x42aaaaaaaaaaaa\x00\x14\x00\x01a"))
	f.Fuzz(func(t *testing.T, in []byte) {
		if p := payloadOf(in); len(p) > len(in) {
			t.Errorf("%d bytes of %d", len(p), len(in))
		}
		if n := frameSize(in); n != 0 && n < 4 {
			t.Errorf("a frame of %d bytes", n)
		}
	})
}

func TestStamp(t *testing.T) {
	t.Parallel()
	b := make([]byte, stampSize)
	want := stamp{run: 0xfffffffe, way: 1, sent: 1<<62 + 1}
	want.put(b)
	if got := stampOf(b); got != want || binary.BigEndian.Uint32(b) != want.run {
		t.Errorf("%+v", got)
	}
}
