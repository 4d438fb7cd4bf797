package admission

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/golang-jwt/jwt/v5"

	"signalbox/signal"
)

// Limits of a token's claims, in characters: the limits of the signaling protocol and of bans.
const (
	maxNameClaim = signal.MaxName
	maxRoomClaim = signal.MaxRoom
	maxKeyClaim  = 255
	maxCapacity  = 10_000
)

// tokenHash names a token without a jti or sub by a hash of its signed part: the signature can be
// written in more than one way.
func tokenHash(t *jwt.Token) string {
	sum := sha256.Sum256([]byte(t.Raw[:strings.LastIndexByte(t.Raw, '.')]))
	return "sha256:" + hex.EncodeToString(sum[:16])
}

// readClaims returns what the claims of a verified token admit to. Its errors begin with the
// claim's name.
func readClaims(c jwt.MapClaims) (signal.Pass, error) {
	pass := signal.Pass{Attested: true}
	if err := misspelled(c); err != nil {
		return pass, err
	}
	if _, ok := c["aud"]; ok {
		if aud, err := c.GetAudience(); err != nil || !slices.Contains(aud, audience) {
			return pass, fmt.Errorf("aud does not name %q: add it, or leave aud out", audience)
		}
	}
	exp, err := c.GetExpirationTime()
	if err != nil {
		return pass, err
	}
	if exp.Year() > 9999 {
		return pass, errors.New("exp is after the year 9999: want seconds since 1970, not milliseconds")
	}
	pass.Ends, pass.Expires = exp.Time, exp.Add(tokenLeeway)

	var id string
	for _, claim := range []struct {
		name  string
		to    *string
		limit int
	}{{"jti", &id, maxKeyClaim}, {"sub", &pass.Subject, maxKeyClaim}, {"name", &pass.Name, maxNameClaim},
		{"user", &pass.User, maxNameClaim}} {
		v, ok := c[claim.name]
		if !ok {
			continue
		}
		if *claim.to, err = textClaim(claim.name, v, claim.limit); err != nil {
			return pass, err
		}
	}
	pass.Name, pass.User = signal.Visible(pass.Name), signal.Visible(pass.User) // as the hub knows them
	switch {
	case id != "":
		pass.Key = id
	case pass.Subject != "":
		pass.Key = "sub:" + pass.Subject
	}
	if pass.Capacity, err = capacityClaim(c); err != nil {
		return pass, err
	}
	// In room a * has always matched: who signs what somebody has typed must use rooms. The log
	// tells (Guard.tellOfPatterns).
	var names, patterns []string
	for _, claim := range []struct {
		name string
		to   *[]string
	}{{"rooms", &names}, {"room_patterns", &patterns}, {"room", &patterns}} {
		v, ok := c[claim.name]
		if !ok {
			continue
		}
		list, err := roomNames(claim.name, v)
		if err != nil {
			return pass, err
		}
		*claim.to = append(*claim.to, list...)
	}
	pass.Rooms = func(name string) bool {
		return slices.Contains(names, name) ||
			slices.ContainsFunc(patterns, func(p string) bool { return Matches(p, name) })
	}
	return pass, nil
}

// capacityClaim reads capacity; 0: there is none.
func capacityClaim(c jwt.MapClaims) (int, error) {
	v, ok := c["capacity"]
	if !ok {
		return 0, nil
	}
	n, ok := v.(float64)
	if !ok || n < 1 || n > maxCapacity || n != float64(int(n)) {
		return 0, fmt.Errorf("capacity is not a whole number from 1 to %d", maxCapacity)
	}
	return int(n), nil
}

// own are the claims that mean something here.
var own = []string{"exp", "jti", "sub", "name", "user", "capacity", "rooms", "room", "room_patterns"}

// misspelled refuses a claim that its maker took for one of those: passed over in silence, it would
// admit to other rooms than meant. Other claims are other programs' business.
func misspelled(c jwt.MapClaims) error {
	plain := strings.NewReplacer("_", "", "-", "")
	for _, claim := range slices.Sorted(maps.Keys(c)) {
		if slices.Contains(own, claim) {
			continue
		}
		near := slices.IndexFunc(own, func(name string) bool {
			return strings.EqualFold(plain.Replace(claim), plain.Replace(name))
		})
		if near < 0 {
			near = slices.IndexFunc(own, func(name string) bool {
				return strings.HasPrefix(name, "room") && oneOff(strings.ToLower(claim), name)
			})
		}
		if near >= 0 {
			return fmt.Errorf("%q is no claim of this box's: did you mean %s?", claim, own[near])
		}
	}
	return nil
}

// oneOff reports whether one letter more, less, or other, or two that changed places, make b of a.
func oneOff(a, b string) bool {
	i := 0
	for i < min(len(a), len(b)) && a[i] == b[i] {
		i++
	}
	a, b = a[i:], b[i:]
	swapped := len(a) > 1 && len(b) > 1 && a[0] == b[1] && a[1] == b[0] && a[2:] == b[2:]
	return swapped || len(a) > 0 && (a[1:] == b || len(b) > 0 && a[1:] == b[1:]) || len(b) > 0 && a == b[1:]
}

// roomNames reads a claim of rooms: a string or a list of strings.
func roomNames(name string, claim any) ([]string, error) {
	list, ok := claim.([]any)
	if !ok {
		list = []any{claim}
	}
	var out []string
	for _, v := range list {
		p, err := textClaim(name, v, maxRoomClaim)
		if err != nil {
			return nil, err
		}
		out = append(out, signal.RoomName(p))
	}
	return out, nil
}

// hasPattern reports whether a claim of rooms, which was read, has a * in it.
func hasPattern(claim any) bool {
	list, _ := roomNames("room", claim)
	return slices.ContainsFunc(list, func(name string) bool { return strings.Contains(name, "*") })
}

// textClaim takes a claim that is text.
func textClaim(name string, claim any, limit int) (string, error) {
	s, ok := claim.(string)
	if !ok {
		return "", errors.New(name + " is not text")
	}
	return s, checkText(name, s, limit)
}

// CheckName returns what is wrong with a name that other people's pages and terminals will show.
// field is what the error calls it.
func CheckName(field, s string) error { return checkText(field, s, maxNameClaim) }

// checkText refuses what other people's pages and terminals should not have to show.
func checkText(field, s string, limit int) error {
	if !utf8.ValidString(s) {
		return errors.New(field + " is not UTF-8")
	}
	if err := signal.CheckText(field, s, limit); err != nil {
		return errors.New(signal.RefusalOf(err).Detail)
	}
	return nil
}
