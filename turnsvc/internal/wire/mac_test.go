package wire

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha1" //nolint:gosec // as in mac.go
	"testing"
)

func TestMAC(t *testing.T) {
	for _, size := range []int{0, 1, 16, sha1.BlockSize, sha1.BlockSize + 1, 200} {
		key, msg := bytes.Repeat([]byte{0xA7}, size), bytes.Repeat([]byte{3}, HeaderSize+size)
		msg[2], msg[3] = byte((size+integritySize)>>8), byte(size+integritySize)
		want := hmac.New(sha1.New, key)
		want.Write(msg)
		if got := messageIntegrity(nil, msg, key); !bytes.Equal(got, want.Sum(nil)) {
			t.Errorf("a key of %d bytes: %x, want %x", size, got, want.Sum(nil))
		}
	}
}
