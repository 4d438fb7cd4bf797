package signal

import "context"

// Door has the last word on a hello, after the Guard: it may ask somebody else, who takes a while.
// Only the client at the door waits meanwhile. It is called from many goroutines at once, under no
// lock but that client's own.
type Door interface {
	// Enter returns nil or why the visitor may not enter: a Refusal, or else it was our mistake. It
	// returns soon once ctx is done, when the hub closes; a client also has no more than ten
	// seconds for all of its hello.
	Enter(ctx context.Context, v Visitor) error
}

// Visitor is a client that has said hello and that the Guard has admitted.
type Visitor struct {
	Client
	Name, User string // as others will see them
	Key        string // Pass.Key of its token
	Attested   bool   // its token vouches for User
}

// knock asks the door.
func (s *Session) knock() error {
	if s.hub.opts.Door == nil {
		return nil
	}
	return s.hub.opts.Door.Enter(s.hub.open, Visitor{
		Client: s.Client(), Name: s.self.Name, User: s.self.User, Key: s.pass.Key, Attested: s.pass.Attested,
	})
}
