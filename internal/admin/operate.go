package admin

import (
	_ "embed" // openapi.json
	"net/http"

	"signalbox/internal/answer"
	"signalbox/signal"
)

//go:embed openapi.json
var openAPI []byte

// serveOpenAPI serves what describes the API. It holds no secret.
func serveOpenAPI(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.Write(openAPI) //nolint:errcheck // the client is gone
}

// Rooms is what closing a room needs of the hub. CloseRoom calls Changed, whoever has it closed.
type Rooms interface {
	Room(name string) (signal.RoomSnapshot, bool)
	CloseRoom(name string) error
}

// Close names a room to end. Its members leave it as kicked, and may open it again.
type Close struct {
	Room string `json:"room"`
}

// Closed counts the members whom the end of a room has put out.
type Closed struct {
	Members int `json:"members"`
}

func (a *API) serveClose(w http.ResponseWriter, r *http.Request) {
	var c Close
	if err := decode(w, r, &c); err != nil || c.Room == "" {
		refuse(w, http.StatusBadRequest, BadRequest, `want {"room":"..."}`)
		return
	}
	shot, _ := a.o.Rooms.Room(c.Room)
	if a.o.Rooms.CloseRoom(c.Room) != nil {
		refuse(w, http.StatusNotFound, NoSuchRoom,
			"there is no room of that name: `signalbox rooms` lists them")
		return
	}
	a.o.Log.Info("room closed", "room", c.Room, "members", len(shot.Members), "by", by(r))
	answer.JSON(w, http.StatusOK, Closed{len(shot.Members)})
}

// Draining says what the box waits for before it ends.
type Draining struct {
	Allocations int `json:"allocations"`
}

// serveDrain has the box end once its allocations have ended, or drain.timeout is over.
func (a *API) serveDrain(w http.ResponseWriter, r *http.Request) {
	if err := a.o.Drain(); err != nil {
		refuse(w, http.StatusConflict, Impossible, err.Error())
		return
	}
	a.o.Log.Warn("draining, as the admin API was asked to", "by", by(r))
	answer.JSON(w, http.StatusOK, Draining{a.o.Relay.Allocations()})
}

// Config is the configuration in force: keys that wait for a restart have their old values.
type Config struct {
	TOML string `json:"toml"` // every key with its value, without secrets
}

func (a *API) serveConfig(w http.ResponseWriter, _ *http.Request) {
	text, err := a.o.Config()
	if err != nil {
		refuse(w, http.StatusConflict, Impossible, err.Error())
		return
	}
	answer.JSON(w, http.StatusOK, Config{text})
}
