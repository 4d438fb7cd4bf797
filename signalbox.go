// Package signalbox is a TURN server, a STUN responder and a WebRTC signaling hub in one process,
// with the pages that prove that it works. A program that embeds it needs only this package:
//
//	cfg, err := signalbox.Load(signalbox.LoadOptions{Dev: true})
//	dir, err := signalbox.OpenState(path)
//	app, err := signalbox.New(cfg, dir, nil)
//	err = app.Listen()
//	err = app.Run(ctx)
//
// Nothing is global: ten appliances can run in one process.
//
// # Glossary
//
// A client holds an allocation: a relayed transport address, at which peers reach it. A permission
// lets one peer address through. A channel is a number that stands for one peer. An ICE server is
// an entry of RTCConfiguration.iceServers. A session is a client of the hub. A room is where
// sessions find each other.
package signalbox

import (
	_ "embed"
	"log/slog"

	"signalbox/internal/admin"
	"signalbox/internal/app"
	"signalbox/internal/config"
	"signalbox/internal/state"
	"signalbox/internal/status"
)

// DefaultConfig is the text of the default configuration. It documents every key.
//
//go:embed config.toml
var DefaultConfig string

type (
	// App is the whole appliance: New, Listen, Run.
	App = app.App
	// Config is the whole configuration. Its fields are the keys of config.toml.
	Config = config.Config
	// Reloaded says what App.Reload has done.
	Reloaded = app.Reloaded
	// LoadOptions say where a configuration comes from, besides the defaults.
	LoadOptions = config.LoadOptions
	// State is the directory in which the appliance keeps what it made itself.
	State = state.Dir
	// Status is the state of the appliance at one moment.
	Status = status.Status
	// Kick says whose sessions and allocations App.Kick ends.
	Kick = admin.Kick
)

// Load reads a configuration: the defaults, then the file, then the overrides. Its error lists
// every fault, one per line, with its key and place.
func Load(o LoadOptions) (Config, error) { return config.Load(DefaultConfig, o) }

// OpenState opens a state directory, and makes it if it does not exist.
func OpenState(path string) (*State, error) { return state.Open(path) }

// New wires an appliance. It reads the state directory, creates what is missing there, and opens
// nothing else. log may be nil.
func New(cfg Config, dir *State, log *slog.Logger) (*App, error) { return app.New(cfg, dir, log) }

// Version is the release, or what the Go tool knows of the build.
func Version() string { return status.Version() }
