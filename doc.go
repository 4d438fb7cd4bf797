// Package signalbox is a TURN server, a STUN responder and a WebRTC signaling hub in one process,
// with the pages that prove that it works.
//
//	cfg, err := signalbox.Load(signalbox.LoadOptions{Dev: true})
//	state, err := signalbox.OpenState(dir)
//	app, err := signalbox.New(cfg, state, nil)
//	err = app.Listen()
//	err = app.Run(ctx)
//
// # The house
//
// This package is the one assembly point: app.go wires the components, edge*.go own every listening
// socket, cert*.go the certificate, routes.go every HTTP route, config.go every key. metrics.go
// says all that Status knows in numbers, on a listener of its own; doctor.go is what the command of
// that name asks. auth*.go say who may enter, credentials.go hands out TURN credentials to those
// without a session, proxies.go finds the client behind a reverse proxy. The components know
// nothing of each other; glue.go adapts what one needs of another:
//
//	cmd/signalbox -> signalbox -> turnsvc (STUN and TURN), signal (the hub), webui (pages and browser SDK)
//
// # Life cycle
//
// New wires and reads the state directory, Listen binds every socket or none, Run serves until its
// context is done and returns when every goroutine has ended, Drain refuses new work and lets
// allocations finish. Ten appliances run in one process: nothing is global.
//
// On the way down the hub goes first, so that clients hear why, then HTTP, then TURN, then the
// listening sockets.
//
// # Locks
//
// Each package has its own order (see the doc.go of signal and turnsvc). Between them: the hub
// tells turnsvc who may reach whom under its own locks, and turnsvc never calls the hub;
// credentials are minted under no lock. So no circle can close.
//
// # Glossary
//
// A client holds an allocation: a relayed transport address, at which peers reach it. A permission
// lets one peer address through, a channel is a number that stands for one peer. An ICE server is
// an entry of RTCConfiguration.iceServers. A session is a client of the hub, a room is where
// sessions find each other.
package signalbox
