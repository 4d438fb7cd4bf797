// Package ws carries the sessions of any dialect over WebSockets. It knows nothing of what the
// frames say.
//
// A connection has two goroutines: that of its HTTP request reads, processes what it reads, and
// ends the connection; it starts the writer, which runs the link's pump, and waits for it.
package ws
