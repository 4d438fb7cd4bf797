package wire

import (
	"bytes"
	"net/netip"
	"testing"
)

func sample(addr netip.AddrPort, key []byte) []byte {
	b := Begin(nil, MethodAllocate, ClassRequest, []byte("transaction."))
	b.Attr(AttrUsername, []byte("u"))
	b.XORAddr(AttrXORPeerAddress, addr)
	b.Uint32(AttrLifetime, 600)
	b.Sign(key)
	return b.End(true)
}

func TestWhatIsBuiltDecodes(t *testing.T) {
	t.Parallel()
	for _, s := range []string{"192.0.2.1:9", "[2001:db8::1]:65535"} {
		addr, key := netip.MustParseAddrPort(s), []byte("key")
		frame := sample(addr, key)
		var m Message
		if !m.Decode(frame) {
			t.Fatalf("% x does not decode", frame)
		}
		value, _ := m.Get(AttrXORPeerAddress)
		if got, ok := XORAddress(value, m.TransactionID()); !ok || got != addr {
			t.Errorf("XOR-PEER-ADDRESS %v, want %v", got, addr)
		}
		if m.Method != MethodAllocate || m.Class != ClassRequest || m.n != 3 || !m.Fingerprint {
			t.Errorf("decoded as %#x, %#x, %v", m.Method, m.Class, m.attrs[:m.n])
		}
		if !m.SignedBy(key) || m.SignedBy([]byte("another")) {
			t.Error("MESSAGE-INTEGRITY is not that of the key")
		}
		for i := range len(frame) - 8 { // FINGERPRINT covers all that stands before it
			broken := bytes.Clone(frame)
			broken[i] ^= 1
			if m.Decode(broken) {
				t.Errorf("decodes with byte %d changed", i)
			}
		}
	}
}

// Data is framed in place, for clients as they read it.
func TestFraming(t *testing.T) {
	t.Parallel()
	b := new(Buffer)
	for _, data := range []string{"", "x", "four", "odd bytes"} {
		packet := func() Packet { return b.Packet(copy(b.Room(), data)) }
		for _, pad := range []bool{false, true} {
			frame := FrameChannelData(packet(), FirstChannel, pad)
			copy(b.Room(), frame)
			number, got, ok := ChannelData(b.Packet(len(frame)))
			if !ok || number != FirstChannel || string(got.Data()) != data || pad && len(frame)%4 != 0 {
				t.Errorf("%q, padded %v: % x", data, pad, frame)
			}
			if size, padded, ok := FrameSize(frame, true); !ok || size != 4+len(data) || pad && padded != len(frame) {
				t.Errorf("%q, padded %v: size %d, %d with padding", data, pad, size, padded)
			}
			if _, _, ok := FrameSize(frame, false); ok {
				t.Error("ChannelData of a stranger is a frame")
			}
		}
		for _, s := range []string{"192.0.2.1:9", "[2001:db8::1]:9"} {
			var m Message
			if frame := FrameDataIndication(packet(), netip.MustParseAddrPort(s)); !m.Decode(frame) {
				t.Fatalf("% x does not decode", frame)
			}
			value, _ := m.Get(AttrXORPeerAddress)
			peer, _ := XORAddress(value, m.TransactionID())
			if got, _ := m.Get(AttrData); string(got) != data || peer.String() != s {
				t.Errorf("%q of %v, want %q of %s", got, peer, data, s)
			}
		}
	}
	for _, s := range []string{"192.0.2.1:9", "[2001:db8::1]:9"} {
		peer := netip.MustParseAddrPort(s)
		most := MaxIndicated(peer.Addr())
		frame := FrameDataIndication(b.Packet(most), peer)
		var m Message
		if !m.Decode(frame) || len(frame) != HeaderSize+0xFFFC {
			t.Errorf("the longest data makes a frame of %d bytes", len(frame))
		}
		if data, _ := m.Get(AttrData); len(data) != most {
			t.Errorf("%d bytes of data become %d", most, len(data))
		}
	}
}

// Not parallel: it counts allocations.
func TestBuilderAllocatesNothing(t *testing.T) {
	scratch, id := make([]byte, 256), make([]byte, 12)
	addr := netip.MustParseAddrPort("[2001:db8::1]:9")
	if n := testing.AllocsPerRun(100, func() {
		b := Begin(scratch, MethodBinding, ClassSuccess, id)
		b.XORAddr(AttrXORMappedAddress, addr)
		b.Addr(AttrMappedAddress, addr)
		b.ErrorCode(420, "Unknown Attribute")
		b.End(true)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// Nothing that a stranger sends panics, and both decoders of Send indications agree.
func FuzzDecode(f *testing.F) {
	f.Add(sample(netip.MustParseAddrPort("192.0.2.1:9"), []byte("key")))
	send := Begin(nil, MethodSend, ClassIndication, make([]byte, 12))
	send.XORAddr(AttrXORPeerAddress, netip.MustParseAddrPort("192.0.2.1:9"))
	send.Attr(AttrData, []byte("data"))
	f.Add(send.End(true))
	f.Add(append([]byte{0, 1, 0, 8}, make([]byte, 24)...))
	f.Fuzz(func(t *testing.T, frame []byte) {
		if len(frame) < 4 || len(frame) > MaxDatagram {
			return
		}
		if IsClassicBinding(frame) {
			for rest, ok := frame[HeaderSize:], true; ok && len(rest) > 0; {
				_, rest, ok = NextClassic(rest)
			}
		}
		FrameSize(frame, true)
		b := new(Buffer)
		packet := b.Packet(copy(b.Room(), frame))
		ChannelData(packet)
		peer, data, _, sent := ParseSend(packet)
		var m Message
		if !m.Decode(frame) || !sent || m.Integrity != 0 || m.BadIntegrity {
			return
		}
		value, _ := m.Get(AttrXORPeerAddress)
		want, _ := XORAddress(value, m.TransactionID())
		if got, _ := m.Get(AttrData); peer != want || !bytes.Equal(got, data.Data()) {
			t.Errorf("a Send of %q to %v is read as %q to %v", got, want, data.Data(), peer)
		}
	})
}
