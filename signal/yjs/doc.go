// Package yjs speaks the protocol of y-webrtc's signaling server, so that the editors and
// whiteboards that Yjs connects from browser to browser find each other by the box:
//
//	mux.Handle("GET /yjs", yjs.New(hub, yjs.Options{Capacity: 128}))
//
// and in the page new WebrtcProvider(name, doc, {signaling: ["wss://box.example.org/yjs"]}).
//
// A topic is the room "yjs/" and its name. Who subscribes joins; a publish goes to all subscribers,
// the sender too, with the number of them as clients. Fields that the protocol does not know pass.
// Where the hub asks for a token, the address has it: /yjs?token=...
//
// The original does some things otherwise: there everybody may publish to a topic whose name he can
// guess, and one frame that is not JSON ends the server. Here only subscribers publish, and junk is
// counted, and ends the connection of a client that sends nothing else.
//
// A member of the room that speaks another protocol gets the publish as it is. What it broadcasts
// reaches subscribers as the data of a publish.
package yjs
