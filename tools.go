package signalbox

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"signalbox/turnsvc/cred"
)

// CheckHost says, a sentence each, what of a valid configuration does not fit this machine.
func CheckHost(c Config) []string {
	var warnings []string
	local, err := localAddrs()
	if err != nil {
		return []string{"this machine's addresses can't be read: " + err.Error()}
	}
	addrs := map[string]string{"web.listen": c.Web.Listen, "web.tls_listen": c.Web.TLSListen,
		"metrics.listen": c.Metrics.Listen}
	if c.STUN.Alternate != "" {
		addrs["stun.alternate"] = c.STUN.Alternate
	}
	for _, s := range c.TURN.Listen {
		addrs["turn.listen "+s] = s
	}
	for key, s := range addrs {
		if a, err := listenAddr(s); err == nil && !a.Addr().IsUnspecified() && !slices.Contains(local, a.Addr()) {
			warnings = append(warnings, fmt.Sprintf("%s: this machine has no address %s", key, a.Addr()))
		}
	}
	where, err := relayAddresses(&c, nil, nil)
	if err == nil {
		names, lookupErr := c.resolve(context.Background(), outside{lookupHost, probeSTUN}, where, nil)
		if lookupErr != nil {
			warnings = append(warnings, "public_ip, public_host: "+lookupErr.Error())
		}
		where, err = relayAddresses(&c, names, nil)
	}
	if err != nil {
		warnings = append(warnings, err.Error())
	}
	for _, r := range where {
		if note := scopeNote(r.public.ip); note != "" && !c.Dev {
			warnings = append(warnings, fmt.Sprintf("relay address %s (%s): %s", r.public.ip, r.public.why, note))
		}
	}
	warnings = append(warnings, checkCertificate(&c, time.Now())...)
	if _, err := openWebRoot(c.Web.Root); err != nil {
		warnings = append(warnings, err.Error())
	}
	if _, err := newAdmission(&c); err != nil {
		warnings = append(warnings, err.Error())
	}
	if c.Auth.Mode == "open" && (c.Auth.Password != "" || c.Auth.JWTKey != "") {
		warnings = append(warnings, `auth.mode is "open": nobody is asked for auth.password or a token`)
	}
	for _, s := range c.Web.TrustedProxies {
		if p, err := netip.ParsePrefix(s); err == nil && p.Bits() == 0 {
			warnings = append(warnings, "web.trusted_proxies: "+s+
				" trusts everybody: any client can claim any address: name your proxies only")
		}
	}
	if note := c.openMetrics(); note != "" {
		warnings = append(warnings, note)
	}
	slices.Sort(warnings)
	return warnings
}

// Credential is a minted TURN credential.
type Credential struct {
	Username string    `json:"username"`
	Password string    `json:"password"`
	Expires  time.Time `json:"expires"`
}

// MintCredential mints a credential of the shared-secret class: any program with the secret could
// mint the same.
func MintCredential(c Config, state *State, id string, ttl time.Duration) (Credential, error) {
	secret := c.TURN.Secret
	if secret == "" {
		var err error
		if secret, err = state.existingSecret(turnSecretFile); err != nil {
			return Credential{}, err
		}
	}
	expires := time.Now().Add(ttl).Truncate(time.Second)
	user, password := cred.NewKeys(string(secret)).Mint(cred.Shared, id, expires)
	return Credential{user, password, expires}, nil
}

// shortDuration writes a duration without its zero parts: "1h", not "1h0m0s".
func shortDuration(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}
