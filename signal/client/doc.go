// Package client is a session of signalbox.v1 in Go: for bots, tests and tools. PROTOCOL.md of
// package signal describes the protocol.
//
//	s, err := client.Dial(ctx, "https://box.example.org:8443", client.Options{Name: "echo"})
//	if err != nil {
//		return err
//	}
//	defer s.Close()
//	room, err := s.Join(ctx, "tea")
//	if err != nil {
//		return err
//	}
//	for _, peer := range room.Peers { // who is there already
//		err = errors.Join(err, s.Signal(ctx, peer.ID, "tea", "hello, "+peer.Name))
//	}
//	for event := range s.Events() {
//		if message, ok := event.(client.SignalEvent); ok {
//			err = errors.Join(err, s.Signal(ctx, message.From, message.Room, message.Data))
//		}
//	}
//	return errors.Join(err, s.Err()) // why there are no more events
//
// # Connections
//
// A session outlives its connections. When one breaks, the session connects again and goes on where
// it was: it repeats its requests until they are answered, and missed events arrive, each once and
// in order. The application sees Disconnected and then Resumed. A request made meanwhile waits
// until its context ends. If the server has forgotten the session (it was restarted, or the break
// was too long), a new session takes its place: Restarted. It has the old peer id if the server can
// verify that, and it joins its rooms again: each is a Rejoined, or a RoomClosed.
//
// A connection is a WebSocket, or, where the network blocks WebSockets, a stream of events down and
// POSTs up.
//
// # Events
//
// No event is dropped: events wait in a queue for the application. If the application doesn't read,
// the session ends with ErrSlowConsumer when 4096 events or 16 MiB are waiting. The heartbeat and
// the requests never wait for the application.
//
// # Goroutines
//
// A session has two goroutines, besides those of net/http for an event stream. They are gone when
// Close returns. Close may also be called for a session that has ended by itself.
//
// # WebRTC
//
// ICEServers has the fields of RTCIceServer; the program in the directory example is
// a peer of pion/webrtc that browsers with the SDK connect with. The example below connects two of
// pion's own.
//
// # Verbs
//
// The verbs are those of the SDK's session in browsers, without what needs a browser:
//
//	SDK                                          here
//	connect, its token, keep and signal          Dial, Options.Token, Options.Replaces, ctx
//	session.join, room.leave, room.broadcast     Join, JoinWithToken, Leave, Broadcast
//	session.signal                               Signal
//	session.call("@bob"), call.hangup            Signal to "@bob", HangUp; PROTOCOL.md has what
//	                                             calls say in signals
//	session.ping, session.refreshIce             Ping, RefreshICE
//	session.iceServers, the event ice            ICEServers, ICEUpdated
//	the events state, resumed, rejoined, closed  Disconnected, Resumed, Restarted,
//	                                             Rejoined, RoomClosed
//	session.close                                Close
package client
