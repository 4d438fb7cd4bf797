package turnsvc

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"hash"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"signalbox/turnsvc/internal/wire"
)

const (
	nonceSize     = 20 // characters: base64 of 3 bytes of minutes and 12 of HMAC
	nonceMACBytes = 12
)

// nonces are made and checked without being stored: each is an HMAC over the source's IP address
// and the minute. A nonce that comes back proves that its sender receives packets at that address,
// which a sender with a spoofed address does not.
type nonces struct {
	macs    sync.Pool     // of hash.Hash, keyed
	minutes atomic.Uint32 // how long a nonce is good
}

func newNonces(key []byte, life time.Duration) *nonces {
	n := &nonces{macs: sync.Pool{New: func() any { return hmac.New(sha256.New, key) }}}
	n.setLifetime(life)
	return n
}

// setLifetime sets how long a nonce is good, in whole minutes; also one that clients have already.
func (n *nonces) setLifetime(life time.Duration) {
	n.minutes.Store(uint32((life + time.Minute - 1) / time.Minute))
}

// append adds the nonce for ip at the time t to dst.
func (n *nonces) append(dst []byte, ip netip.Addr, t time.Time) []byte {
	return n.appendMinute(dst, ip, uint32(t.Unix()/60))
}

func (n *nonces) appendMinute(dst []byte, ip netip.Addr, minute uint32) []byte {
	mac := n.macs.Get().(hash.Hash)
	defer n.macs.Put(mac)
	mac.Reset()
	var in [19]byte
	in[0], in[1], in[2] = byte(minute>>16), byte(minute>>8), byte(minute)
	a := ip.As16()
	copy(in[3:], a[:])
	mac.Write(in[:])
	var out [3 + sha256.Size]byte
	copy(out[:], in[:3])
	mac.Sum(out[:3])
	return base64.RawURLEncoding.AppendEncode(dst, out[:3+nonceMACBytes])
}

// valid reports whether nonce was made for ip, and not longer before t than it is good.
func (n *nonces) valid(nonce []byte, ip netip.Addr, t time.Time) bool {
	if len(nonce) != nonceSize {
		return false
	}
	var stamp [3]byte
	if _, err := base64.RawURLEncoding.Decode(stamp[:], nonce[:4]); err != nil {
		return false
	}
	minute := uint32(stamp[0])<<16 | uint32(stamp[1])<<8 | uint32(stamp[2])
	now := uint32(t.Unix() / 60)
	// 24 bits of minutes wrap after 31 years; compare modulo that. Allow one minute for a clock
	// that was set back.
	if age := (now - minute + 1) & 0xFFFFFF; age > n.minutes.Load()+1 {
		return false
	}
	var want [nonceSize]byte
	return hmac.Equal(n.appendMinute(want[:0], ip, minute), nonce)
}

// challenges tell clients the realm and a nonce, with which they sign the next request.
type challenges struct {
	realm  string
	nonces *nonces
}

// answer builds the error answer to m, 401 or 438, in dst.
func (c *challenges) answer(dst []byte, m *wire.Message, src netip.AddrPort, code int, now time.Time) []byte {
	b := wire.Begin(dst, m.Method, wire.ClassError, m.TransactionID())
	b.ErrorCode(code, "")
	b.Attr(wire.AttrRealm, []byte(c.realm))
	var nonce [nonceSize]byte
	b.Attr(wire.AttrNonce, c.nonces.append(nonce[:0], src.Addr(), now))
	return b.End(m.Fingerprint)
}
