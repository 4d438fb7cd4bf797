package admission

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/go-jose/go-jose/v4"

	"signalbox/internal/netaddr"
)

// Sets of public keys (RFC 7517), from a file or an address.

const (
	maxKeySet   = 256 << 10 // bytes
	maxKeys     = 16        // of one set: a token without a kid is tried with each
	fetchWithin = 10 * time.Second

	// Between two fetches: what Cache-Control says, within these bounds; without it, keepKeys.
	minKeepKeys, keepKeys, maxKeepKeys = time.Minute, 15 * time.Minute, 24 * time.Hour
	// missedPause is how often a token with an unknown key causes a fetch, since strangers can make
	// such tokens up. A fetch that fails is tried again after it, too.
	missedPause = 30 * time.Second
)

// Cache keeps what was fetched for the next start; *state.Dir is one.
type Cache interface {
	Read(name string) ([]byte, error)
	Write(name string, data []byte) error
}

// parseKeySet takes the keys of a set that the box can use.
func parseKeySet(text []byte) ([]*verifier, error) {
	var set struct{ Keys []json.RawMessage }
	if err := json.Unmarshal(text, &set); err != nil {
		return nil, fmt.Errorf("this is no set of keys (JWKS): %w", err)
	}
	if len(set.Keys) == 0 {
		return nil, errors.New("the set of keys (JWKS) is empty")
	}
	var keys []*verifier
	var errs []error
	for i, entry := range set.Keys {
		key, err := parseJWK(entry)
		switch {
		case err != nil: // RFC 7517 §5: others are to be ignored
			errs = append(errs, fmt.Errorf("key %d: %w", i+1, err))
		case len(keys) == maxKeys:
			return nil, fmt.Errorf("there are more than %d keys in the set", maxKeys)
		default:
			keys = append(keys, key)
		}
	}
	if len(keys) == 0 {
		return nil, fmt.Errorf("there is no public key for signatures in the set (JWKS): %w", errors.Join(errs...))
	}
	return keys, nil
}

func parseJWK(text []byte) (*verifier, error) {
	var jwk jose.JSONWebKey
	if err := json.Unmarshal(text, &jwk); err != nil {
		return nil, errors.New("it can't be read")
	}
	if !jwk.IsPublic() || !jwk.Valid() {
		return nil, errors.New("it is no public key")
	}
	if jwk.Use != "" && jwk.Use != "sig" {
		return nil, errors.New("it is not for signatures")
	}
	method, err := methodOf(jwk.Key)
	if err != nil {
		return nil, err
	}
	if jwk.Algorithm != "" && jwk.Algorithm != method.Alg() {
		return nil, fmt.Errorf("it is for %.20q: want %s", jwk.Algorithm, method.Alg())
	}
	return &verifier{method: method, key: jwk.Key, id: jwk.KeyID}, nil
}

func isURL(text string) bool {
	return strings.HasPrefix(text, "https://") || strings.HasPrefix(text, "http://")
}

// checkURL refuses addresses from which anybody on the way could hand out keys.
func checkURL(text string) error {
	u, err := url.Parse(text)
	switch {
	case err != nil || u.Host == "":
		return errors.New("the address of the set of keys (JWKS) is no URL")
	case u.User != nil:
		return errors.New("the address of the set of keys (JWKS) has a password in it")
	case u.Scheme != "https" && u.Hostname() != "localhost" && !netaddr.IsLoopback(u.Hostname()):
		return errors.New("the set of keys (JWKS) comes without TLS: want https://")
	}
	return nil
}

// keySet is a set of keys at an address. Whoever is let in waits for no fetch: one goroutine of the
// Guard's fetches, and the last set that could be read holds meanwhile.
type keySet struct {
	url    string
	cache  Cache // nil: none
	keys   atomic.Pointer[[]*verifier]
	missed atomic.Bool  // somebody has brought a token with a key that isn't there
	tried  atomic.Int64 // when it was fetched last, in Unix nanoseconds
	wake   func()       // has Guard.Keep look

	due time.Time // owned by the goroutine that fetches
}

// fetchedFrom returns the set at an address: the one in force, or the one that the last start has
// kept.
func fetchedFrom(url string, cache Cache, wake func(), before *tokens) *keySet {
	if before != nil {
		for _, set := range before.fetched {
			if set.url == url {
				return set
			}
		}
	}
	s := &keySet{url: url, cache: cache, wake: wake}
	s.keys.Store(new([]*verifier))
	if cache != nil {
		if text, err := cache.Read(s.file()); err == nil {
			if keys, err := parseKeySet(text); err == nil {
				s.keys.Store(&keys)
			}
		}
	}
	return s
}

// file is where the cache has the set.
func (s *keySet) file() string {
	sum := sha256.Sum256([]byte(s.url))
	return "jwks-" + hex.EncodeToString(sum[:8]) + ".json"
}

// want has the set fetched soon, and reports whether that may bring another key. As long as no set
// could be fetched at all, nobody knows what it would bring.
func (s *keySet) want() bool {
	if time.Since(time.Unix(0, s.tried.Load())).Abs() < missedPause { // also after a clock was set back
		return len(*s.keys.Load()) == 0
	}
	s.missed.Store(true)
	s.wake()
	return true
}

// refresh fetches the set if it is time to, and returns when to ask again.
func (s *keySet) refresh(ctx context.Context, log *slog.Logger) time.Time {
	now := time.Now()
	if now.Before(s.due) && !s.missed.Load() {
		return s.due
	}
	keep, err := s.fetch(ctx, log)
	s.tried.Store(time.Now().UnixNano())
	s.missed.Store(false)
	if err != nil && ctx.Err() == nil {
		keep = missedPause
		log.Warn("can't fetch the keys of room tokens: the last ones hold", "url", s.url, "keys", len(*s.keys.Load()),
			"err", err)
	}
	s.due = time.Now().Add(keep)
	return s.due
}

func (s *keySet) fetch(ctx context.Context, log *slog.Logger) (keep time.Duration, err error) {
	ctx, cancel := context.WithTimeout(ctx, fetchWithin)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.url, nil)
	if err != nil {
		return 0, err
	}
	resp, err := (&http.Client{
		// Nothing stays open until the next time, minutes later.
		Transport: &http.Transport{Proxy: http.ProxyFromEnvironment, DisableKeepAlives: true,
			MaxResponseHeaderBytes: 64 << 10},
		CheckRedirect: func(req *http.Request, via []*http.Request) error {
			if len(via) > 3 {
				return errors.New("too many redirects")
			}
			return checkURL(req.URL.String())
		},
	}).Do(req)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return 0, fmt.Errorf("the answer is %d", resp.StatusCode)
	}
	text, err := io.ReadAll(io.LimitReader(resp.Body, maxKeySet+1))
	if err != nil {
		return 0, err
	}
	if len(text) > maxKeySet {
		return 0, fmt.Errorf("the set has more than %d bytes", maxKeySet)
	}
	keys, err := parseKeySet(text)
	if err != nil {
		return 0, err
	}
	s.keys.Store(&keys)
	if s.cache != nil {
		if err := s.cache.Write(s.file(), text); err != nil {
			log.Warn("can't keep the keys of room tokens for the next start: they are in force", "url", s.url,
				"err", err)
		}
	}
	return keepFor(resp.Header.Get("Cache-Control")), nil
}

// keepFor is how long a set is good without a look at its address.
func keepFor(cacheControl string) time.Duration {
	for _, part := range strings.Split(cacheControl, ",") {
		if age, ok := strings.CutPrefix(strings.TrimSpace(strings.ToLower(part)), "max-age="); ok {
			n, err := strconv.ParseUint(strings.Trim(age, `"`), 10, 64) // RFC 9111 §5.2: quoted or not
			switch {
			case err != nil && !errors.Is(err, strconv.ErrRange):
				return keepKeys
			case n >= uint64(maxKeepKeys/time.Second): // also if it is out of range
				return maxKeepKeys
			}
			return max(time.Duration(n)*time.Second, minKeepKeys)
		}
	}
	return keepKeys
}

// Keep fetches the sets of keys that are at an address, at once and from time to time, until ctx is
// done. Where there are none, it does nothing.
func (g *Guard) Keep(ctx context.Context, log *slog.Logger) {
	for {
		next := time.Now().Add(maxKeepKeys)
		if t, ok := (*g.inForce.Load()).(*tokens); ok {
			for _, set := range t.fetched {
				if due := set.refresh(ctx, log); due.Before(next) {
					next = due
				}
			}
		}
		timer := time.NewTimer(time.Until(next))
		select {
		case <-ctx.Done():
		case <-timer.C:
		case <-g.wake:
		}
		timer.Stop()
		if ctx.Err() != nil {
			return
		}
	}
}
