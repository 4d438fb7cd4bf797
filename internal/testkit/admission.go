package testkit

import (
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// RoomToken signs claims with a secret (HS256). Without exp they get one, in an hour.
func RoomToken(t testing.TB, secret string, claims jwt.MapClaims) string {
	t.Helper()
	if _, ok := claims["exp"]; !ok {
		claims["exp"] = time.Now().Add(time.Hour).Unix()
	}
	text, err := jwt.NewWithClaims(jwt.SigningMethodHS256, claims).SignedString([]byte(secret))
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// Limited guesses until that is refused as one guess too many, and reports whether what is right is
// refused then, too. It may not be: after each second another guess is judged. So it is tried a few
// times. burst is how many guesses of one source are looked at, at once.
func Limited(burst int, guess, right func() (refused bool)) bool {
	for range 10 {
		for n := 0; !guess(); n++ {
			if n == 10*burst {
				return false
			}
		}
		if right() {
			return true
		}
	}
	return false
}
