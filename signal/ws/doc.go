// Package ws carries the sessions of any dialect over WebSockets. It does not interpret the frames.
//
// # Goroutines
//
// The goroutine of the HTTP request ends when the connection is open. From then on somebody owns
// the reading (conn.wait): as long as the client says nothing, that is the server's lot, where all
// such connections are parked without a goroutine (lot_linux.go). When something has come, a
// goroutine of the connection's own (conn.work) borrows an input, takes messages apart (input.go)
// and has the session process them; a burst is read into a larger buffer, which is given back at
// the next pause. When the client has said nothing for a moment, or only a pong, that one parks
// the connection again and ends. Whoever fetches a parked connection (conn.fetch) owns its
// reading: the lot, since the client speaks or is gone; the writer, since it was silent for too
// long; or who stops it. At last a goroutine ends the connection (conn.end): it waits for the
// writer, which comes and goes, too (see Link.PumpOnDemand), and closes the connection and the
// link.
//
// Where there is no epoll, or the socket under a connection is not known, a goroutine with a small
// stack and no buffer waits instead (conn.sit), for the first byte.
//
// So an idle session costs its state, and a busy one starts no goroutines.
//
// # Limits
//
// A message is counted against its session's rate when it begins, before it is read, let alone
// inflated. Pings count, too, and pongs that don't answer a ping of the hub's. All bytes read, and
// what they inflate to, come out of a budget of the connection (Link.Throttle): beyond it the
// connection is read slowly. A message must end in time, whatever comes meanwhile.
package ws
