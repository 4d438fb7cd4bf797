// Package ws carries the sessions of any dialect over WebSockets. It does not interpret the frames.
//
// A connection has two goroutines. The goroutine of its HTTP request reads, processes what it
// reads, and ends the connection. It starts the writer, which runs the link's pump, and waits for
// it.
package ws
