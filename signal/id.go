package signal

import (
	"crypto/rand"
	"encoding/base64"
)

// newPeerID makes an id that nobody can guess, from an alphabet that is safe in URLs and TURN user
// names.
func newPeerID() string { return randomText(16) }

// newNonce makes the part of a resume token that tells one session from another with the same id.
func newNonce() string { return randomText(8) }

// randomText is so many random bytes, as text.
func randomText(size int) string {
	b := make([]byte, size)
	rand.Read(b) // never fails: the runtime ends the process first
	return base64.RawURLEncoding.EncodeToString(b)
}
