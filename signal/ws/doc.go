// Package ws carries the sessions of any dialect over WebSockets. It does not interpret the frames.
//
// # Goroutines
//
// The goroutine of the HTTP request ends when the connection is open. From then on there is always
// one goroutine that reads: as long as the client says nothing it only waits (conn.wait), with a
// small stack and no buffer. The first byte ends it, and it leaves the connection to another one
// (conn.work), which borrows an input, takes messages apart (input.go) and has the session process
// them; a burst is read into a larger buffer, which is given back at the next pause. When the
// client has said nothing for a moment, or only a pong, that one ends, and a new one waits. At
// last one ends the connection (conn.end): it waits for the writer, which comes and goes, too (see
// Link.PumpOnDemand), and closes the connection and the link.
//
// So an idle session costs one small stack and its state, and a busy one starts no goroutines.
//
// # Limits
//
// A message is counted against its session's rate when it begins, before it is read, let alone
// inflated. Pings count, too, and pongs that don't answer a ping of the hub's. All bytes read, and
// what they inflate to, come out of a budget of the connection (Link.Throttle): beyond it the
// connection is read slowly. A message must end in time, whatever comes meanwhile.
package ws
