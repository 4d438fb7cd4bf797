package turnsvc

import (
	"log/slog"
	"time"
)

// end says why an allocation has ended.
type end string

const (
	endExpired   end = "expired"       // its lifetime is over
	endReleased  end = "released"      // its client has ended it: a Refresh with lifetime 0
	endStream    end = "stream-closed" // the connection of its client is over
	endKicked    end = "kicked"        // by the operator, or by a ban
	endSession   end = "session-over"  // the signaling session that it was for is over
	endUser      end = "user-changed"  // a reload has removed its user, or changed the password
	endWithdrawn end = "withdrawn"     // its right was taken away while it was being made
	endShutdown  end = "shutting-down" // the server is stopping
)

// Ends have more lines than refusals: each of them had a key.
const (
	endsOfSource = 50
	endsOfAll    = 200
)

// shortLife is how long an allocation that carries nothing is of no interest: browsers make one for
// each way to the relay, and give back those that they don't need.
const shortLife = 10 * time.Second

// unused reports whether an allocation that ends now was given back at once, and has carried
// nothing.
func (a *allocation) unused() bool {
	return a.clock.now()-a.created < int64(shortLife) && a.carried() == Relayed{}
}

// ends logs what each allocation was: one line each, within limits of each source and of all, and
// none for those that were not used.
type ends struct {
	log   *slog.Logger
	clock clock
	shown *shown
	lines lineLimit
}

// note logs the end of an allocation.
func (e *ends) note(a *allocation) {
	if a.unused() {
		e.lines.omit()
		return
	}
	if !e.lines.fit(a.client.Addr()) {
		return
	}
	carried := a.carried()
	age := time.Duration(e.clock.now() - a.created).Round(time.Second)
	e.log.Info("turn allocation ended", "why", string(a.why), "client", e.shown.addr(a.client),
		"class", a.class.String(), "transport", a.link.transport(), "relay", e.shown.addr(a.relayed),
		"age", age.String(),
		"fromClientBytes", carried.FromClientBytes, "fromClientPackets", carried.FromClientPackets,
		"toClientBytes", carried.ToClientBytes, "toClientPackets", carried.ToClientPackets,
		"user", shortened(a.issued)) // last: it is what clients may have chosen
}
