// Package chat speaks the protocol of MDN's well-known demo of calls by name (samples-server,
// s/webrtc-from-chat), which many tutorials have made their own:
//
//	server := chat.New(hub, chat.Options{Capacity: 128})
//	mux.Handle("GET /chat", server)
//	start = server.Before(start) // the demo's own client dials "/", with subprotocol json
//
// A client chooses a name, which is its user name in the hub, and enters the lobby, the room
// "chat/lobby". Its userlist are those in there. What has a target goes to that one: to a member of
// the lobby, or else to the hub's user of that name, as a call (conversation.go, call.go,
// spoken.go). A page on /call is called so, and calls: the offers, answers and candidates of both
// are translated. Where the hub asks for a token, the address has it: /chat?token=...
//
// Some things are better than in the original. One frame that is not JSON, or a target that is not
// there, harms nobody else. name and id are the sender's own, whatever it says, and nobody can send
// an id, a userlist or a rejectusername in the server's name. A partner that is lost has hung up.
// One thing is not there: a name is for as long as the connection, since calls hang on it. To ask
// for another one is answered by rejectusername, with the name that it has.
//
// # Locks
//
// What events and frames both need to know, the lobby and the calls, is under conversation.mu. It
// is never held while a verb of the session's runs.
package chat
