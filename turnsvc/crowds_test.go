package turnsvc

import (
	"fmt"
	"net"
	"testing"
	"time"

	"signalbox/internal/testkit"
	"signalbox/turnsvc/cred"
	"signalbox/turnsvc/internal/wire"
)

// mintedFrom is a client at an address of its own, with a credential of another program's.
func (r *rig) mintedFrom(ip, name, password string) *client {
	r.t.Helper()
	dialer := net.Dialer{LocalAddr: &net.UDPAddr{IP: net.ParseIP(ip)}}
	conn, err := dialer.Dial("udp", r.addr["udp"])
	if err != nil {
		r.t.Skip(err) // this system has no such loopback address
	}
	r.t.Cleanup(func() { conn.Close() })
	c := r.clientOn(conn, "udp")
	c.user, c.key = name, cred.LongTermKey(name, testRealm, password)
	return c
}

// A site that mints one id, or none, for all its clients is said once, with the key to raise, and
// so is a static user that all of them have; many clients at one address are not. What is refused
// then is counted by the limit.
func TestIssue16SharedUserIsSaid(t *testing.T) {
	for name, whole := range map[string]func(r *rig) (user, password string){
		"one id": func(r *rig) (string, string) {
			return r.keys.Mint(cred.Shared, "galene", r.s.core.clock.wall().Add(time.Hour))
		},
		"no id": func(r *rig) (string, string) {
			c := r.mintedAs("udp", fmt.Sprint(r.s.core.clock.wall().Add(time.Hour).Unix()))
			return c.user, ""
		},
		"static": func(*rig) (string, string) { return "u", "p" },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var log testkit.Log
			r := newRig(t, func(o *Options) {
				o.Log = log.Logger()
				o.Limits.PerUser = crowdSources
			})
			user, password := whole(r)
			key := r.mintedAs("udp", user).key
			const said = "one TURN user is used from many addresses"
			for i := range crowdSources {
				if n := len(r.s.Snapshot().SharedUsers); n != 0 {
					t.Fatalf("%d shared users of %d clients", n, i)
				}
				c := r.mintedFrom(fmt.Sprint("127.0.0.", 10+i), user, password)
				if password == "" {
					c.key = key
				}
				c.allocate()
			}
			eventually(t, said, func() bool { return len(r.s.Snapshot().SharedUsers) == 1 && log.Count(said) == 1 })
			if u := r.s.Snapshot().SharedUsers[0]; u.Sources != crowdSources || u.Allocations != crowdSources {
				t.Errorf("%+v", u)
			}
			late := r.mintedFrom("127.0.0.99", user, password)
			if password == "" {
				late.key = key
			}
			late.refused(486, wire.MethodAllocate, withUDP)
			if n := r.s.Snapshot().Limits["turn.limits.per_user"]; n != 1 {
				t.Errorf("per_user has refused %d", n)
			}
		})
	}
	t.Run("one address", func(t *testing.T) {
		t.Parallel()
		r := newRig(t, func(o *Options) { o.Limits.PerUser = crowdSources })
		for range crowdSources {
			r.dial("udp", "u", "p").allocate()
		}
		sweeps := r.s.core.clock.now() + int64(2*sweepInterval)
		eventually(t, "a sweep", func() bool { return r.s.core.clock.now() > sweeps })
		if n := len(r.s.Snapshot().SharedUsers); n != 0 {
			t.Errorf("%d shared users", n)
		}
	})
}
