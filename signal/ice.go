package signal

import "time"

// minICELife keeps an issuer whose credentials are about to expire, or a wrong clock, from making
// us push without a pause.
const minICELife = 2 * time.Second

// ICE tells the session fresh ICE servers, by ICEUpdated.
func (s *Session) ICE() error {
	ice, err := s.IssueICE()
	if err == nil {
		s.send(ICEUpdated{ice})
	}
	return err
}

// IssueICE returns fresh ICE servers of the session's own, for a dialect whose client asks for them
// by another way than its connection.
func (s *Session) IssueICE() (ICE, error) {
	if err := s.mayAct(); err != nil {
		return ICE{}, err
	}
	if until := s.admittedUntil(); !until.IsZero() && !time.Now().Before(until) {
		return ICE{}, errTokenExpired
	}
	return s.issueICE(time.Now()), nil
}

// issueICE gets the session its own ICE servers, and notes to renew them at half of their lifetime,
// so that a client always holds a credential with which it can start an ICE restart.
func (s *Session) issueICE(now time.Time) ICE {
	ice := ICE{Servers: []ICEServer{}}
	if s.hub.opts.ICE == nil {
		return ice
	}
	from, until := s.client.Load(), s.admittedUntil()
	servers, expires := s.hub.opts.ICE.ICEServers(ICERequest{PeerID: s.self.ID, Host: from.Host, Source: from.Source,
		Until: until})
	if len(servers) > 0 {
		ice.Servers = servers
	}
	if expires.IsZero() {
		s.iceDue.Store(0)
		return ice
	}
	ice.Expires = expires
	// It lasts as long as can be: another would end with the token, too.
	if !until.IsZero() && until.Sub(expires) < time.Second {
		s.iceDue.Store(0)
		return ice
	}
	s.iceDue.Store(now.Add(max(expires.Sub(now), minICELife) / 2).UnixNano())
	return ice
}

// renewICE pushes fresh ICE servers when they are due. The connection's writer calls it, so a
// session is renewed as long as somebody is connected to use it.
func (s *Session) renewICE(now time.Time) {
	if due := s.iceDue.Load(); due != 0 && now.UnixNano() >= due {
		s.send(ICEUpdated{s.issueICE(now)})
		s.renewToken(now)
	}
}

// untilICE is the time until renewICE has something to do, if that is less than limit.
func (s *Session) untilICE(now time.Time, limit time.Duration) time.Duration {
	due := s.iceDue.Load()
	if due == 0 {
		return limit
	}
	return min(limit, max(0, time.Unix(0, due).Sub(now)))
}
