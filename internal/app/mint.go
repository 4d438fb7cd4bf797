package app

import (
	"fmt"
	"net/url"
	"time"

	"signalbox/internal/admission"
	"signalbox/internal/config"
	"signalbox/internal/state"
	"signalbox/turnsvc/cred"
)

// What commands mint with the secrets of a box that runs, or will run, with a configuration.

// Credential is a minted TURN credential.
type Credential struct {
	Username string `json:"username"`
	Password string `json:"password"`
	Expires  int64  `json:"expires"` // Unix milliseconds
}

// MintCredential mints a credential of the shared-secret class: any program with the secret could
// mint the same.
func MintCredential(c *config.Config, dir *state.Dir, id string, ttl time.Duration) (Credential, error) {
	if ttl > cred.MaxLife {
		return Credential{}, fmt.Errorf("%v is more than a year, and the box refuses such credentials", ttl)
	}
	secret := c.TURN.Secret
	if secret == "" {
		var err error
		if secret, err = dir.ExistingSecret(state.TURNSecret); err != nil {
			return Credential{}, err
		}
	}
	keys := cred.NewKeys(string(secret)).SeparatedBy(string(c.TURN.RESTSeparator))
	expires := time.Now().Add(ttl).Truncate(time.Second)
	user, password := keys.Mint(cred.Shared, id, expires)
	return Credential{user, password, expires.UnixMilli()}, nil
}

// MintToken makes a room token that a box with this configuration accepts.
func MintToken(c *config.Config, r admission.TokenRequest) (admission.Token, error) {
	token, err := admission.Mint(c.Auth.JWTKey, r)
	// The token is in the fragment, which browsers send to no server.
	if base := c.OthersOrigin(); err == nil && base != "" && len(r.Rooms) == 1 && len(r.Patterns) == 0 {
		token.URL = base + "/call/" + url.PathEscape(r.Rooms[0]) + "#token=" + token.Token
	}
	return token, err
}
