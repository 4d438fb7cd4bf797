package turnsvc

import (
	"bytes"
	"testing"

	"signalbox/turnsvc/internal/wire"
)

// A FINGERPRINT need not be there; a wrong one tells that the frame is damaged, or none of STUN's
// (RFC 8489 §7.3).
func TestSendIndicationWithFingerprint(t *testing.T) {
	each(t, nil, func(t *testing.T, r *rig, transport string) {
		c := r.dial(transport, "u", "p")
		c.allocate()
		peer := r.peer()
		at := peer.LocalAddr().String()
		c.ok(wire.MethodCreatePermission, withPeer(at))
		plain := func(data string) *wire.Builder { return &wire.Builder{Buf: c.sendFrame(at, data)} }
		right := plain("right").End(true)
		wrong := bytes.Clone(plain("wrong").End(true))
		wrong[len(wrong)-1] ^= 1
		notLast := &wire.Builder{Buf: plain("not last").End(true)}
		attr(0x8022, 'a')(notLast)
		short := plain("short")
		attr(wire.AttrFingerprint, 1, 2)(short)
		for _, frame := range [][]byte{wrong, notLast.End(false), short.End(false), right} {
			c.write(frame)
		}
		if data, _ := readPeer(t, peer); data != "right" {
			t.Errorf("%q reached the peer", data)
		}
		if n := r.s.Snapshot().Drops["malformed"]; n != 3 {
			t.Errorf("%d are dropped, want 3", n)
		}
	})
}
