package turnsvc

import (
	"log/slog"
	"net/netip"
	"strings"
	"sync/atomic"
)

// refusals logs who was refused, and why: one line each, within limits of each source and of all.
// What is beyond is summed up in one line when a period ends. Challenges, which begin every
// session, are no refusals.
type refusals struct {
	log     *slog.Logger
	shown   *shown
	watches *watches // are told of all, without these limits
	lines   lineLimit
}

// The messages of these lines of the log. The admin API knows them, and scripts/fail2ban the first
// one.
const (
	RequestRefused  = "turn request refused"
	RequestsRefused = "turn requests refused: there were more than have a line each"
)

const (
	refusalsOfSource = 5
	refusalsOfAll    = 100
	// longestShown is how much of a user name is logged, in bytes: clients choose it.
	longestShown = 64
)

// refusal is what a line says. user is whom the credential was issued to, as far as its name tells:
// the log names none. peer is the zero AddrPort if there is none; without a why it says the phrase
// of the code.
type refusal struct {
	link      link // that the request came by
	code      int
	why, user string
	// For who watches: what to say instead of why, the session whose credential this proved to be,
	// and the name of a login that is refused, as it was sent.
	told, session, login string
	client, peer         netip.AddrPort
	test                 bool // it was a TestUser's: it has no line
}

// shown is how the log shows addresses, once by has been called.
type shown struct {
	how atomic.Pointer[func(netip.AddrPort) string]
}

// by sets how addresses are shown (Live.ShowAddress); nil: as they are.
func (s *shown) by(how func(netip.AddrPort) string) {
	if how == nil {
		how = netip.AddrPort.String
	}
	s.how.Store(&how)
}

func (s *shown) addr(at netip.AddrPort) string { return (*s.how.Load())(at) }

// shortened is what the log shows of a user's name.
func shortened(user string) string {
	if len(user) <= longestShown {
		return user
	}
	return strings.ToValidUTF8(user[:longestShown], "") + "..."
}

// note tells who watches of a refusal, and logs it if there is room for it.
func (l *refusals) note(r refusal) {
	if r.why == "" {
		r.why = reasons[r.code]
	}
	l.watches.refused(&r)
	if r.test || !l.lines.fit(r.client.Addr()) {
		return
	}
	attrs := []any{"code", r.code, "client", l.shown.addr(r.client), "why", r.why, "user", shortened(r.user)}
	if r.peer.IsValid() {
		attrs = append(attrs, "peer", l.shown.addr(r.peer))
	}
	l.log.Info(RequestRefused, attrs...)
}
