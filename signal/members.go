package signal

import "net/netip"

// Members is told who may reach whom, as it happens, so that a relay need not be a proxy for
// anybody else. Its methods are called under the hub's locks, in the order of the events. They must
// not block and must not call the hub.
type Members interface {
	// Opened tells of a new session, whose client connects from source. user is its handle, or
	// empty; other sessions have the same only if they are the same user's.
	Opened(id, user string, source netip.Addr)
	// Identified tells who is behind the session, right after Opened, if that is known: who is the
	// same for all sessions of one user, or of one token that names no user and from one source,
	// and names nobody else. It stays when the session moves. account is whom its use of the relay
	// is counted for; see Pass.Account.
	Identified(id, who, account string)
	// Moved is another address that its client connects from.
	Moved(id string, source netip.Addr)
	// Joined makes the session one of a group whose members may reach each other.
	Joined(group, id string)
	// Called lets two sessions reach each other until they hang up, or one of them is gone. Of a
	// user who is called on several, each is called; those that don't answer have hung up.
	Called(from, to string)
	// HungUp ends that, in either order of the two.
	HungUp(from, to string)
	// Left takes it out of the group again, at its own wish or at the operator's.
	Left(group, id string)
	// Claimed is an address that the session has signaled as its own candidate. It is only a claim.
	Claimed(id string, addr netip.Addr)
	// Ended tells of the end of a session; another one may have the same id later. lost says that
	// only the signaling connection is known to be gone: the session did not leave its groups, and
	// its media may go on.
	Ended(id string, lost bool)
}

// noMembers is for a hub without a relay.
type noMembers struct{}

func (noMembers) Opened(string, string, netip.Addr) {}
func (noMembers) Identified(string, string, string) {}
func (noMembers) Moved(string, netip.Addr)          {}
func (noMembers) Joined(string, string)             {}
func (noMembers) Called(string, string)             {}
func (noMembers) HungUp(string, string)             {}
func (noMembers) Left(string, string)               {}
func (noMembers) Claimed(string, netip.Addr)        {}
func (noMembers) Ended(string, bool)                {}
