package wire

import (
	"crypto/sha1" //nolint:gosec // MESSAGE-INTEGRITY is HMAC-SHA1, RFC 8489 §14.5
	"hash"
	"sync"
)

// mac is HMAC-SHA1 (RFC 2104) with one key after the other: crypto/hmac makes two hashes anew for
// each key, and every client has its own.
type mac struct {
	inner, outer hash.Hash
	pad          [sha1.BlockSize]byte
	sum          [sha1.Size]byte
	length       [2]byte // of the message
}

var macs = sync.Pool{New: func() any { return &mac{inner: sha1.New(), outer: sha1.New()} }}

// begin begins with a key; the message goes to inner.
func (m *mac) begin(key []byte) {
	if len(key) > len(m.pad) {
		sum := sha1.Sum(key)
		key = sum[:]
	}
	clear(m.pad[:])
	copy(m.pad[:], key)
	m.inner.Reset()
	m.outer.Reset()
	for i := range m.pad {
		m.pad[i] ^= 0x36
	}
	m.inner.Write(m.pad[:])
	for i := range m.pad {
		m.pad[i] ^= 0x36 ^ 0x5c
	}
	m.outer.Write(m.pad[:])
	clear(m.pad[:])
}

// end appends the code to dst, which is not handed to a hash: so it may stay on the stack.
func (m *mac) end(dst []byte) []byte {
	m.outer.Write(m.inner.Sum(m.sum[:0]))
	return append(dst, m.outer.Sum(m.sum[:0])...)
}
