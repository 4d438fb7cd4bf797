package turnsvc

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"signalbox/internal/testkit"
	"signalbox/turnsvc/cred"
	"signalbox/turnsvc/internal/wire"
)

// Each refusal has a line that says who was refused, and why; a challenge has none.
func TestIssue16RefusalsAreLogged(t *testing.T) {
	var log testkit.Log
	each(t, func(o *Options) {
		o.Log = log.Logger()
		o.Limits.PerUser, o.Limits.Permissions, o.AllowLoopback = 1, 1, false
		o.Live.Users["x"] = cred.LongTermKey("x", testRealm, "p")
	}, func(t *testing.T, r *rig, transport string) {
		// A source has five lines in ten seconds, so the clock goes on.
		const stale = 11 * time.Second
		says := func(c *client, code int, rest string) {
			t.Helper()
			want := fmt.Sprintf("code=%d client=%v %s", code, c.conn.LocalAddr(), rest)
			eventually(t, want, func() bool { return log.Count(want) == 1 })
			r.advance(stale)
		}
		c := r.dial(transport, "u", "p")
		c.allocate()
		if log.Count("client="+c.conn.LocalAddr().String()) != 0 {
			t.Errorf("a challenge is logged as a refusal:\n%s", log.String())
		}
		c.refused(403, wire.MethodCreatePermission, withPeer("10.0.0.1:9"))
		says(c, 403, `why="not a public address: turn.allow_peers" user=u peer=10.0.0.1:9`)
		c.refused(508, wire.MethodCreatePermission, withPeer("203.0.114.1:9"), withPeer("203.0.114.2:9"))
		says(c, 508, `why="limit reached: turn.limits.permissions" user=u`)

		second := r.dial(transport, "u", "p")
		second.refused(486, wire.MethodAllocate, attr(wire.AttrRequestedTransport, wire.ProtocolUDP, 0, 0, 0))
		says(second, 486, `why="limit reached: turn.limits.per_user" user=u`)

		for user, why := range map[string]string{
			"v": `why="wrong password" user=v`, "nobody\nlevel=INFO": `why="unknown user" user="nobody\nlevel=INFO"`,
			"4000000000:a": `why="wrong password, or minted with another secret" user=a`,
		} {
			wrong := r.dial(transport, user, "wrong")
			wrong.refused(401, wire.MethodAllocate, attr(wire.AttrRequestedTransport, wire.ProtocolUDP, 0, 0, 0))
			says(wrong, 401, why)
		}
	})
}

// A flood has five lines of a source, a hundred in all, and one line that sums up the rest.
func TestIssue16FloodOfRefusals(t *testing.T) {
	t.Parallel()
	var log testkit.Log
	now := time.Now()
	read := func() time.Time { return now }
	l := newCore(read, log.Logger()).refusals
	for i := range 1000 {
		for port := range 10 {
			at := netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)}), uint16(port))
			l.note(refusal{code: 401, user: strings.Repeat("工", 100), client: at})
		}
	}
	n, from := strings.Count(log.String(), "\n"), len(l.lines.from)
	if n != refusalsOfAll || from != refusalsOfAll/refusalsOfSource {
		t.Errorf("%d lines, %d sources kept", n, from)
	}
	if first, _, _ := strings.Cut(log.String(), "\n"); len(first) > 300 {
		t.Errorf("a line of %d bytes", len(first))
	}
	l.lines.settle(false)
	now = now.Add(linesPeriod)
	l.lines.settle(false)
	l.lines.settle(false)
	if n := strings.Count(log.String(), fmt.Sprint("more=", 10000-refusalsOfAll)); n != 1 {
		t.Errorf("the rest was summed up %d times", n)
	}
}
