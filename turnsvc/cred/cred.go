// Package cred mints and verifies the time-limited TURN credentials of signalbox.
//
// A username is "<unix expiry>:<id>" (other programs may turn it round, or use another separator),
// its password base64(HMAC-SHA1(key, username)): the convention of
// draft-uberti-behave-turn-rest-00, which coturn calls static-auth-secret. The key that verifies a
// credential decides its class, so a name cannot claim a class that its issuer did not give it.
// The package is stateless: any process with the secret can verify what another one issued.
package cred

import (
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/md5"  //nolint:gosec // the long-term credential key is MD5 by definition, RFC 8489 §9.2.2
	"crypto/sha1" //nolint:gosec // the REST convention is HMAC-SHA1
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Class says who issued a credential, and so what it may do.
type Class uint8

const (
	// Static credentials are in the configuration.
	Static Class = iota
	// Hub credentials belong to a live signaling session, whose id is the credential's id.
	Hub
	// ICE credentials were handed out without a session; they reach only this box's own relays.
	ICE
	// Shared credentials were minted by other programs that hold the plain secret (TURN REST).
	Shared
)

func (c Class) String() string {
	switch c {
	case Static:
		return "static"
	case Hub:
		return "hub"
	case ICE:
		return "ice"
	case Shared:
		return "shared"
	}
	return fmt.Sprintf("class(%d)", uint8(c))
}

// Keys are the signing keys derived from one secret, and those of older secrets, which still
// verify. A Keys is immutable.
type Keys struct {
	generations []generation // the current one first
	separator   string       // in the names of Shared credentials
}

type generation struct{ hub, ice, plain []byte }

// NewKeys derives the signing keys. Hub and ICE credentials get keys of their own (HKDF-SHA256 with
// the labels "hub" and "ice"), so that an outside program that holds the secret's REST passwords
// cannot forge a session's. Empty old secrets are ignored.
func NewKeys(secret string, old ...string) *Keys {
	k := &Keys{separator: Separator}
	for _, s := range append([]string{secret}, old...) {
		if s == "" {
			continue
		}
		k.generations = append(k.generations, generation{
			hub:   derive(s, "hub"),
			ice:   derive(s, "ice"),
			plain: []byte(s),
		})
	}
	return k
}

// Separator stands between the two parts of a name, unless other programs have another one.
const Separator = ":"

// SeparatedBy returns the same keys for other programs that put another character between the parts
// of a name, as coturn's rest-api-separator. Names of classes Hub and ICE keep theirs.
func (k *Keys) SeparatedBy(separator string) *Keys { return &Keys{k.generations, separator} }

// separatorOf returns what stands between the parts of a name.
func (k *Keys) separatorOf(c Class) string {
	if c == Shared {
		return k.separator
	}
	return Separator
}

func derive(secret, label string) []byte {
	key, err := hkdf.Key(sha256.New, []byte(secret), nil, label, sha256.Size)
	if err != nil { // only for lengths that HKDF cannot give, which 32 bytes is not
		panic("cred: " + err.Error())
	}
	return key
}

// Mint returns the username and password of a credential of class Hub, ICE or Shared that is valid
// until expires.
func (k *Keys) Mint(c Class, id string, expires time.Time) (username, password string) {
	username = strconv.FormatInt(expires.Unix(), 10) + k.separatorOf(c) + id
	return username, sign(k.generations[0].key(c), username)
}

// Each calls try with the class and password that every key would have issued for username, newest
// secret first, until try returns true. The work is the same for every name, so that timing tells
// no known user from an unknown one.
func (k *Keys) Each(username string, try func(c Class, password string) bool) {
	for _, g := range k.generations {
		for _, c := range [...]Class{Hub, ICE, Shared} {
			if try(c, sign(g.key(c), username)) {
				return
			}
		}
	}
}

func (g generation) key(c Class) []byte {
	switch c {
	case Hub:
		return g.hub
	case ICE:
		return g.ice
	default:
		return g.plain
	}
}

func sign(key []byte, username string) string {
	mac := hmac.New(sha1.New, key)
	mac.Write([]byte(username))
	return base64.StdEncoding.EncodeToString(mac.Sum(nil))
}

// MaxLife is how far ahead a credential may expire: 366 days. What expires later is a mistake, such
// as a time in milliseconds, and would be good for ever.
const MaxLife = 366 * 24 * time.Hour

// Parse splits the name of a minted credential of that class into its expiry and id. ok is false
// for names of another form, a static user's for example.
//
// Names that this box makes (Hub, ICE) begin with the expiry. Those of other programs (Shared) may
// also end with it, or be nothing but it, without an id, as coturn takes them. A number counts as a
// time if it is one since 2001, so an id may be a number. If there is a time at both ends, the
// earlier one holds, since users may choose their id, and the rest is the id.
func (k *Keys) Parse(c Class, username string) (expires time.Time, id string, ok bool) {
	separator := k.separatorOf(c)
	stamp, rest, _ := strings.Cut(username, separator)
	first, okFirst := unix(stamp)
	if c != Shared {
		return first, rest, okFirst
	}
	last, before, okLast := lastTime(username, separator)
	switch {
	case okFirst && okLast && isTime(first) && isTime(last) && last.Before(first):
		return last, rest, true
	case okFirst && (isTime(first) || !okLast || !isTime(last)):
		return first, rest, true
	}
	return last, before, okLast
}

// lastTime splits a name that ends with a number of seconds.
func lastTime(username, separator string) (t time.Time, before string, ok bool) {
	i := strings.LastIndex(username, separator)
	if i <= 0 {
		return time.Time{}, "", false
	}
	t, ok = unix(username[i+len(separator):])
	return t, username[:i], ok
}

func unix(stamp string) (time.Time, bool) {
	sec, err := strconv.ParseUint(stamp, 10, 63)
	return time.Unix(int64(sec), 0), err == nil
}

// isTime reports whether a number can be an expiry: since 2001.
func isTime(t time.Time) bool { return t.Unix() >= 1e9 }

// IsMinted reports whether a username can be that of a minted credential with an id, so that no
// static user may have it: a time since 2001 at either end, a separator, and the id. Numbers of
// telephones and their like are none.
func (k *Keys) IsMinted(username string) bool {
	return isMinted(username, Separator) || k.separator != Separator && isMinted(username, k.separator)
}

func isMinted(username, separator string) bool {
	stamp, _, cut := strings.Cut(username, separator)
	first, ok := unix(stamp)
	if cut && ok && isTime(first) {
		return true
	}
	last, _, ok := lastTime(username, separator)
	return ok && isTime(last)
}

// ID returns whom a credential of that name was issued to, if it is that of a minted one of any
// class, and else the name itself.
func (k *Keys) ID(username string) string {
	for _, c := range [...]Class{Shared, Hub} {
		if _, id, ok := k.Parse(c, username); ok {
			return id
		}
	}
	return username
}

// LongTermKey returns the 16-byte key MD5(username ":" realm ":" password) of RFC 8489 §9.2.2.
func LongTermKey(username, realm, password string) []byte {
	sum := md5.Sum([]byte(username + ":" + realm + ":" + password)) //nolint:gosec // see the import
	return sum[:]
}
