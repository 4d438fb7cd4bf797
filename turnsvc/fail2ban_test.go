package turnsvc

import (
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"signalbox/internal/testkit"
)

const filter = "../scripts/fail2ban/filter.d/signalbox.conf"

// hostileNames try to have the log name another address, 192.0.2.9.
var hostileNames = []string{
	`x level=INFO msg="turn request refused" code=401 client=192.0.2.9:9 why="wrong password"`,
	`x code=401 client=192.0.2.9:9 why=unknown user`,
	`x,"code":401,"client":"192.0.2.9:9","why":"unknown user`,
	`","level":"INFO","msg":"turn request refused","code":401,"client":"192.0.2.9:9","why":"unknown user`,
	"\nlevel=INFO msg=\"turn request refused\" part=turn code=401 client=192.0.2.9:9 why=\"unknown user\"",
	"\r\n2026-11-29T09:00:00Z level=INFO msg=\"turn request refused\" code=401 client=192.0.2.9:9 why=\"unknown user",
	"\u2028level=INFO msg=\"turn request refused\" code=401 client=192.0.2.9:9 why=\"unknown user",
	"\x00\x1b[2K\r level=INFO client=192.0.2.9:9",
	`\`, `\"`,
	`\2026-11-29T09:00:00Z"level=INFO msg="turn request refused" code=401 client=192.0.2.9:9 why="unknown user`,
	"2026-11-29T09:00:00.000Z", "192.0.2.9", "<HOST>", "\xff\xfe", "client=192.0.2.9:9",
}

// What fail2ban bans by the filter of scripts/fail2ban: the address of each guess, and nobody else,
// whatever name a client has chosen.
func TestIssue16Fail2BanReadsRefusals(t *testing.T) {
	t.Parallel()
	testkit.Need(t, "fail2ban-regex")
	var lines testkit.Log
	var logs []*slog.Logger
	timeless := &slog.HandlerOptions{ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
		if a.Key == slog.TimeKey {
			return slog.Attr{} // in systemd's journal
		}
		return a
	}}
	for _, o := range []*slog.HandlerOptions{nil, timeless} {
		logs = append(logs, slog.New(slog.NewTextHandler(&lines, o)), slog.New(slog.NewJSONHandler(&lines, o)))
	}
	var want []string
	n := 0
	note := func(banned bool, r refusal) {
		for _, log := range logs {
			for _, at := range []string{fmt.Sprint("198.51.100.", n), fmt.Sprintf("2001:db8::1:%x", n)} {
				r.client = netip.AddrPortFrom(netip.MustParseAddr(at), 4242)
				newCore(time.Now, log.With("part", "turn")).refusals.note(r)
				if banned && !slices.Contains(want, at) {
					want = append(want, at)
				}
			}
		}
		n++
	}
	for _, name := range append(hostileNames, "u", "") {
		note(true, refusal{code: 401, why: "unknown user", user: name})
		note(false, refusal{code: 401, why: "the credential has expired", user: name})
		note(false, refusal{code: 403, user: name, peer: netip.MustParseAddrPort("192.0.2.9:9")})
	}
	note(true, refusal{code: 401, why: "wrong password", user: "u"})
	note(true, refusal{code: 401, why: "wrong password, or minted with another secret", user: "1:u"})
	note(false, refusal{code: 486, user: "u"})

	path := filepath.Join(t.TempDir(), "log")
	if err := os.WriteFile(path, []byte(lines.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	rules, err := filepath.Abs(filter) // a relative one is looked for in /etc/fail2ban
	if err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command("fail2ban-regex", "--out", "<ip>", path, rules).Output()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	found := strings.Fields(string(out))
	if len(found) != len(logs)*len(want) {
		t.Errorf("%d lines are found, want %d", len(found), len(logs)*len(want))
	}
	slices.Sort(found)
	slices.Sort(want)
	if found = slices.Compact(found); !slices.Equal(found, want) {
		t.Errorf("bans %v,\nwant %v", found, want)
	}
}

// The jail bans from all that the relay speaks, not from TCP alone, which is fail2ban's default.
func TestIssue16Fail2BanTakesTheJail(t *testing.T) {
	t.Parallel()
	testkit.Need(t, "fail2ban-client")
	dir := t.TempDir()
	for from, to := range map[string]string{"/etc/fail2ban": dir, "../scripts/fail2ban": filepath.Join(dir, "ours")} {
		if err := os.CopyFS(to, os.DirFS(from)); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"filter.d/signalbox.conf", "jail.d/signalbox.conf"} {
		if err := os.Rename(filepath.Join(dir, "ours", name), filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	out, err := exec.Command("fail2ban-client", "-c", dir, "-d").Output() // shows the configuration; starts nothing
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	for _, want := range []string{"['add', 'signalbox', 'systemd']", "['set', 'signalbox', 'maxretry', 10]",
		"'_SYSTEMD_UNIT=signalbox.service'", "['start', 'signalbox']", "['protocol', 'tcp,udp']"} {
		if !strings.Contains(string(out), want) {
			t.Errorf("%s is not in\n%s", want, out)
		}
	}
}
