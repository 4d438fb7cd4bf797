package turnsvc

import (
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"regexp"
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

// The filter of scripts/fail2ban finds the address in the lines of guesses, and in no others,
// whatever name a client has chosen.
func TestIssue16Fail2BanReadsRefusals(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../scripts/fail2ban/filter.d/signalbox.conf")
	if err != nil {
		t.Fatal(err)
	}
	_, rules, _ := strings.Cut(string(text), "failregex = ")
	rules, _, _ = strings.Cut(rules, "\nignoreregex")
	var filters []*regexp.Regexp
	for rule := range strings.Lines(rules) {
		rule = strings.Replace(strings.TrimSpace(rule), "<HOST>", "([0-9a-f.:]+)", 1)
		filters = append(filters, regexp.MustCompile(rule))
	}
	const forged = `x level=INFO msg="turn request refused" code=401 client=192.0.2.9:9 why="wrong password"`
	for _, tt := range []struct {
		r    refusal
		want string // the address that is banned
	}{
		{refusal{code: 401, why: "wrong password", user: "u"}, "198.51.100.7"},
		{refusal{code: 401, why: "wrong password, or minted with another secret", user: "1:u"}, "198.51.100.7"},
		{refusal{code: 401, why: "unknown user", user: forged}, "198.51.100.7"},
		{refusal{code: 401, why: "unknown user", client: netip.MustParseAddrPort("[2001:db8::1]:9")}, "2001:db8::1"},
		{refusal{code: 401, why: "the credential has expired", user: forged}, ""},
		{refusal{code: 403, user: forged}, ""},
		{refusal{code: 403, user: `x code=401 client=192.0.2.9:9 why=unknown user`}, ""},
		{refusal{code: 403, user: `x,"code":401,"client":"192.0.2.9:9","why":"unknown user`}, ""},
		{refusal{code: 486, user: "u"}, ""},
	} {
		if !tt.r.client.IsValid() {
			tt.r.client = netip.MustParseAddrPort("198.51.100.7:4242")
		}
		var log testkit.Log
		for _, format := range []slog.Handler{slog.NewTextHandler(&log, nil), slog.NewJSONHandler(&log, nil)} {
			newCore(time.Now, slog.New(format).With("part", "turn")).refusals.note(tt.r)
		}
		for line := range strings.Lines(log.String()) {
			got := ""
			for _, f := range filters {
				if m := f.FindStringSubmatch(strings.TrimSpace(line)); m != nil {
					got = m[1]
				}
			}
			if got != tt.want {
				t.Errorf("bans %q, want %q, by %s", got, tt.want, line)
			}
		}
	}
}
