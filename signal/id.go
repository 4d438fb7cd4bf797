package signal

import (
	"crypto/rand"
	"encoding/base64"
)

// newPeerID makes an id that nobody can guess, from an alphabet that is safe in URLs and TURN user
// names.
func newPeerID() string {
	var id [16]byte
	rand.Read(id[:]) // never fails: the runtime ends the process first
	return base64.RawURLEncoding.EncodeToString(id[:])
}

// newNonce makes the part of a resume token that tells one session from another with the same id.
func newNonce() string {
	var b [8]byte
	rand.Read(b[:]) // never fails: the runtime ends the process first
	return base64.RawURLEncoding.EncodeToString(b[:])
}
