package turnsvc

import (
	"crypto/hmac"
	"crypto/sha1"
	"encoding/base64"
	"fmt"
	"testing"
	"time"

	"signalbox/internal/testkit"
	"signalbox/turnsvc/cred"
	"signalbox/turnsvc/internal/wire"
)

// mintedAs is a client with a credential of that name, as another program makes its password.
func (r *rig) mintedAs(transport, name string) *client {
	mac := hmac.New(sha1.New, []byte(testSecret))
	mac.Write([]byte(name))
	return r.dial(transport, name, base64.StdEncoding.EncodeToString(mac.Sum(nil)))
}

// coturn's two forms of a name, with a colon and with another separator, up to a year ahead; a time
// at both ends; and what is counted by the id without its time.
func TestIssue16RESTNames(t *testing.T) {
	var log testkit.Log
	for separator, forms := range map[string][]string{":": {"%d:%s", "%[2]s:%[1]d"}, "|": {"%d|%s", "%[2]s|%[1]d"}} {
		each(t, func(o *Options) {
			o.Log = log.Logger()
			o.Live.Keys = o.Live.Keys.SeparatedBy(separator)
			o.Limits.PerUser = 1
		}, func(t *testing.T, r *rig, transport string) {
			until := func(life time.Duration) int64 { return r.s.core.clock.wall().Add(life).Unix() }
			for _, form := range forms {
				name := func(life time.Duration, id string) string { return fmt.Sprintf(form, until(life), id) }
				r.mintedAs(transport, name(-time.Minute, "x")).refused(401, wire.MethodAllocate, withUDP)
				r.mintedAs(transport, name(367*24*time.Hour, "x")).refused(401, wire.MethodAllocate, withUDP)
				milliseconds := fmt.Sprintf(form, until(time.Hour)*1000, "x")
				r.mintedAs(transport, milliseconds).refused(401, wire.MethodAllocate, withUDP)
				r.mintedAs(transport, name(365*24*time.Hour, form)).allocate()
				// The same user with another credential.
				r.mintedAs(transport, name(time.Hour, form)).refused(486, wire.MethodAllocate, withUDP)
				// One who chooses an id that is a time lives no longer for it.
				r.mintedAs(transport, name(-time.Minute, fmt.Sprintf(form, until(time.Hour), "x"))).
					refused(401, wire.MethodAllocate, withUDP)
			}
			if log.Count("expires more than a year ahead") == 0 {
				t.Error("nobody was told of credentials that expire too late")
			}
			if n := r.s.KickUser(forms[0]); n != 1 {
				t.Errorf("the id of a credential had %d allocations", n)
			}
		})
	}
	_, err := newSettings(Live{Keys: cred.NewKeys("x"), Users: map[string][]byte{"bob:1893456000": nil}}, false, nil)
	if err == nil {
		t.Error("a static user has the name of a minted credential")
	}
}
