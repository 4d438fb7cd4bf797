package webhook

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"strconv"
	"time"

	"signalbox/internal/state"
)

// Header has the signature of a request.
const Header = "Signalbox-Signature"

// Sign returns the signature of a body: "t=1767229200,v1=HEX". HEX is the HMAC-SHA256, under the
// secret, of the time as it stands there, a dot, and the body byte for byte. A receiver computes
// the same, compares in constant time, and refuses a time that is more than five minutes off, so
// that a request that somebody has recorded can't be repeated later.
func Sign(secret state.Secret, now time.Time, body []byte) string {
	t := strconv.FormatInt(now.Unix(), 10)
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(t))
	mac.Write([]byte{'.'})
	mac.Write(body)
	return fmt.Sprintf("t=%s,v1=%s", t, hex.EncodeToString(mac.Sum(nil)))
}

const (
	firstPause = time.Second
	maxPause   = 5 * time.Minute
)

// pause is how long to wait after so many failures in a row: twice as long each time, less up to a
// half at random, so that many boxes don't come back to one server together.
func pause(failures int) time.Duration {
	d := maxPause
	if n := failures - 1; n < 16 {
		d = min(firstPause<<n, maxPause)
	}
	return d - rand.N(d/2)
}
