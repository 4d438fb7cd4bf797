package admission

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/golang-jwt/jwt/v5"

	"signalbox/signal"
)

// Limits of what a token's claims say, in characters: those of the signaling protocol, and of what
// a ban is written with.
const (
	maxNameClaim = 64
	maxRoomClaim = 128
	maxKeyClaim  = 255
	maxCapacity  = 10_000
)

// tokenHash names a token that has no name of its own, by what is signed: the signature can be
// written in more than one way.
func tokenHash(t *jwt.Token) string {
	sum := sha256.Sum256([]byte(t.Raw[:strings.LastIndexByte(t.Raw, '.')]))
	return "sha256:" + hex.EncodeToString(sum[:16])
}

// readClaims says what the claims of a verified token admit to. Its errors begin with the claim's
// name.
func readClaims(c jwt.MapClaims) (signal.Pass, error) {
	pass := signal.Pass{Attested: true}
	if _, ok := c["aud"]; ok {
		if aud, err := c.GetAudience(); err != nil || !slices.Contains(aud, audience) {
			return pass, fmt.Errorf("aud names somebody else: want %q in it, or none", audience)
		}
	}
	exp, err := c.GetExpirationTime()
	if err != nil {
		return pass, err
	}
	if exp.Year() > 9999 {
		return pass, errors.New("exp is after the year 9999: want seconds since 1970, not milliseconds")
	}
	pass.Expires = exp.Add(tokenLeeway)

	var id, subject string
	for _, claim := range []struct {
		name  string
		to    *string
		limit int
	}{{"jti", &id, maxKeyClaim}, {"sub", &subject, maxKeyClaim}, {"name", &pass.Name, maxNameClaim},
		{"user", &pass.User, maxNameClaim}} {
		v, ok := c[claim.name]
		if !ok {
			continue
		}
		if *claim.to, err = textClaim(v, claim.limit); err != nil {
			return pass, fmt.Errorf("%s %w", claim.name, err)
		}
	}
	switch {
	case id != "":
		pass.Key = id
	case subject != "":
		pass.Key = "sub:" + subject
	}
	if v, ok := c["capacity"]; ok {
		n, ok := v.(float64)
		if !ok || n < 1 || n > maxCapacity || n != float64(int(n)) {
			return pass, fmt.Errorf("capacity is not a whole number from 1 to %d", maxCapacity)
		}
		pass.Capacity = int(n)
	}
	var patterns []string
	if v, ok := c["room"]; ok {
		if patterns, err = roomPatterns(v); err != nil {
			return pass, fmt.Errorf("room %w", err)
		}
	}
	pass.Rooms = func(name string) bool {
		return slices.ContainsFunc(patterns, func(p string) bool { return matches(p, name) })
	}
	return pass, nil
}

// roomPatterns reads the room claim: a string or a list of strings.
func roomPatterns(claim any) ([]string, error) {
	list, ok := claim.([]any)
	if !ok {
		list = []any{claim}
	}
	var out []string
	for _, v := range list {
		p, err := textClaim(v, maxRoomClaim)
		if err != nil {
			return nil, err
		}
		out = append(out, p)
	}
	return out, nil
}

// textClaim takes a claim that is text.
func textClaim(claim any, limit int) (string, error) {
	s, ok := claim.(string)
	if !ok {
		return "", errors.New("is not text")
	}
	return s, checkText(s, limit)
}

// CheckName says what is wrong with a name that other people's pages and terminals are to show.
func CheckName(s string) error { return checkText(s, maxNameClaim) }

// checkText refuses what other people's pages and terminals should not have to show.
func checkText(s string, limit int) error {
	switch {
	case !utf8.ValidString(s):
		return errors.New("is not UTF-8")
	case utf8.RuneCountInString(s) > limit:
		return fmt.Errorf("is longer than %d characters", limit)
	case strings.ContainsFunc(s, unprintable):
		return errors.New("has a control character in it")
	}
	return nil
}

// unprintable finds the characters that no name needs and that change how the text around it is
// shown, as the signaling protocol has it: controls, line separators, and those that override the
// direction of what follows.
func unprintable(r rune) bool {
	return unicode.IsControl(r) || r == '\u2028' || r == '\u2029' || '\u202a' <= r && r <= '\u202e' || '\u2066' <= r &&
		r <= '\u2069'
}

// matches reports whether name fits a pattern, in which * stands for any run of characters, the
// empty one, too.
func matches(pattern, name string) bool {
	first, rest, star := strings.Cut(pattern, "*")
	if !star {
		return pattern == name
	}
	name, ok := strings.CutPrefix(name, first)
	if !ok {
		return false
	}
	for {
		part, next, more := strings.Cut(rest, "*")
		if !more {
			return strings.HasSuffix(name, part)
		}
		// The first place is as good as any: what follows then has the most room.
		_, name, ok = strings.Cut(name, part)
		if !ok {
			return false
		}
		rest = next
	}
}
