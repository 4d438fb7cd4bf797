// Package native speaks signalbox.v1, the hub's own protocol, which ../PROTOCOL.md describes: JSON
// frames over WebSocket, or over server-sent events and POSTs. It is an ordinary dialect of package
// signal, and uses nothing that another could not use.
//
//	server := native.New(hub)
//	mux.Handle("GET /signal", server)
//	mux.HandleFunc("GET /signal/events", server.Events) // where WebSockets are blocked
//	mux.HandleFunc("POST /signal/send", server.Send)
//	mux.HandleFunc("OPTIONS /signal/send", server.Send)
//
// A conversation (conversation.go) is the dialect of one session: it remembers which of the
// client's numbered frames were processed, answers ids, and calls the session's verbs. decode.go
// reads frames, encode.go writes them. events.go sends them where WebSockets are blocked, and
// post.go takes what the client posts then (body.go).
package native
