package nonblock

import "net"

// Gatherer is a connection that can join writes: those of a *tls.Conn above, of which each record
// is one.
type Gatherer interface {
	// Gather has all that is written wait in memory. Flush follows soon: one caller at a time.
	Gather()
	// Flush writes all that waits, and fails as a Write does.
	Flush() error
}

// GathererOf returns the connection that can join writes below one, or that one; nil: there is
// none. Connections that stand on others have a method NetConn, as *tls.Conn has.
func GathererOf(c net.Conn) Gatherer {
	for {
		if g, ok := c.(Gatherer); ok {
			return g
		}
		above, ok := c.(interface{ NetConn() net.Conn })
		if !ok {
			return nil
		}
		c = above.NetConn()
	}
}
