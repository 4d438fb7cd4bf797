// Package rooms is the server API: by it the operator's own server takes part in the hub. It makes
// rooms and ends them, lists who is there, speaks to clients, takes them out of a room, and mints
// room tokens. openapi.json describes it; a test compares that file with the table of operations.
//
// A request brings one of the keys in api.keys. A key is long, so nobody guesses it: it is looked
// at first, and only wrong ones are limited by source. So who shares an address with the operator's
// server can't lock it out.
package rooms

import (
	"bytes"
	"crypto/sha256"
	"crypto/subtle"
	_ "embed" // openapi.json
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"slices"
	"sync/atomic"
	"time"
	"unicode/utf8"

	"signalbox/internal/admission"
	"signalbox/internal/answer"
	"signalbox/internal/source"
	"signalbox/internal/state"
	"signalbox/internal/status"
	"signalbox/signal"
)

// Hub is what the API needs of the hub.
type Hub interface {
	Rooms(after string, limit int, match func(name string) bool) []signal.RoomSnapshot
	Room(name string) (signal.RoomSnapshot, bool)
	Keep(plan signal.Plan) (fresh bool, err error)
	CloseRoom(name string) error
	Evict(room string, match func(signal.Member) bool) ([]signal.Member, error)
	Tell(to string, data []byte) error
	TellRoom(room string, data []byte) error
	TellMember(room, to string, data []byte) error
	MaxFrame() int
}

// Right is what a key may be used for.
type Right string

// The rights.
const (
	Read   Right = "read"   // list rooms and members
	Keep   Right = "rooms"  // make rooms and end them
	Send   Right = "send"   // speak to clients
	Kick   Right = "kick"   // take members out of a room
	Tokens Right = "tokens" // mint room tokens
)

// Rights returns all of them.
func Rights() []Right { return []Right{Read, Keep, Send, Kick, Tokens} }

// Key lets a server in.
type Key struct {
	Name  string // for the log
	Key   state.Secret
	May   []Right
	Rooms []string // patterns of the rooms that it is for; empty: all, and what is in no room
	Users []string // patterns of the users whom it may make and speak to by name; empty: all, and peers
}

// covers reports whether the key is for a room, or for all rooms of a pattern, however it is typed:
// what follows on the last letter of a pattern can make another letter of it.
func (k *Key) covers(room string) bool {
	room = signal.RoomName(room)
	return len(k.Rooms) == 0 ||
		slices.ContainsFunc(k.Rooms, func(p string) bool { return admission.Matches(p, room) })
}

// coversUser reports whether the key is for a user.
func (k *Key) coversUser(user string) bool {
	user = signal.Visible(user)
	return len(k.Users) == 0 ||
		slices.ContainsFunc(k.Users, func(p string) bool { return admission.Matches(p, user) })
}

// Options may change while the box runs.
type Options struct {
	Keys []Key // none: the API is off
	Mint func(admission.TokenRequest) (admission.Token, error)
}

// API serves /api/rooms, /api/send, /api/tokens and /api/openapi.json.
type API struct {
	hub     Hub
	log     *slog.Logger
	wrong   *source.Limiter
	inForce atomic.Pointer[inForce]

	served, failed, refused, limited atomic.Uint64
}

// inForce is Options with the hashes of the keys, which have one length, so comparing them reveals
// nothing.
type inForce struct {
	Options
	hashes [][sha256.Size]byte
}

// Wrong keys that one source may try a second, and at once, before it is told to wait.
const (
	wrongPerSecond = 1
	wrongBurst     = 20
)

// New makes the API; see Apply.
func New(hub Hub, log *slog.Logger) *API {
	a := &API{hub: hub, log: log, wrong: source.NewLimiter(wrongPerSecond, wrongBurst)}
	a.Apply(Options{})
	return a
}

// Apply puts options into force.
func (a *API) Apply(o Options) {
	next := &inForce{Options: o}
	next.Keys = slices.Clone(o.Keys)
	for i, k := range next.Keys {
		next.Keys[i].Rooms = each(k.Rooms, signal.RoomName)
		next.Keys[i].Users = each(k.Users, signal.Visible)
		next.hashes = append(next.hashes, sha256.Sum256([]byte(k.Key)))
	}
	a.inForce.Store(next)
}

// each applies change to all texts of a list.
func each(list []string, change func(string) string) (out []string) {
	for _, s := range list {
		out = append(out, change(s))
	}
	return out
}

// find returns the key that a request brings, or nil.
func (f *inForce) find(brought string) (found *Key) {
	hash := sha256.Sum256([]byte(brought))
	for i := range f.hashes {
		if subtle.ConstantTimeCompare(hash[:], f.hashes[i][:]) == 1 {
			found = &f.Keys[i]
		}
	}
	return found
}

// Status counts the requests.
func (a *API) Status() status.ServerAPI {
	return status.ServerAPI{
		On: len(a.inForce.Load().Keys) > 0, Served: a.served.Load(), Failed: a.failed.Load(),
		Wrong: a.refused.Load(), Limited: a.limited.Load(),
	}
}

//go:embed openapi.json
var openAPI []byte

// Routes are the API's routes. They are there when it is off, too, and say so.
func (a *API) Routes() map[string]http.Handler {
	routes := map[string]http.Handler{
		"GET /api/openapi.json": http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			w.Header().Set("X-Content-Type-Options", "nosniff")
			w.Write(openAPI) //nolint:errcheck // the client is gone
		}),
	}
	methods := map[string][]string{}
	for _, op := range operations() {
		routes[op.method+" "+op.path] = a.serve(op)
		methods[op.path] = append(methods[op.path], op.method)
	}
	for path, list := range methods {
		routes[path] = wrongMethod(list)
	}
	routes["/api/rooms/"] = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		answer.Error(w, http.StatusNotFound, answer.NotFound, "there is no such path: see /api/openapi.json")
	})
	return routes
}

// wrongMethod answers what has no operation.
func wrongMethod(methods []string) http.Handler {
	slices.Sort(methods)
	allowed := ""
	for i, m := range methods {
		if i > 0 {
			allowed += ", "
		}
		allowed += m
	}
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Allow", allowed)
		answer.Error(w, http.StatusMethodNotAllowed, answer.BadRequest, "use "+allowed)
	})
}

// failure is an answer that says why not.
type failure struct {
	status        int
	code, message string
}

func (f *failure) Error() string { return f.message }

func badRequest(format string, args ...any) error {
	return &failure{http.StatusBadRequest, answer.BadRequest, fmt.Sprintf(format, args...)}
}

func tooLarge(format string, args ...any) error {
	return &failure{http.StatusRequestEntityTooLarge, string(signal.CodeTooLarge), fmt.Sprintf(format, args...)}
}

// statuses are the HTTP statuses of the hub's refusals.
var statuses = [...]struct {
	code   signal.Code
	status int
}{
	{signal.CodeBadFrame, http.StatusBadRequest},
	{signal.CodeNoSuchRoom, http.StatusNotFound},
	{signal.CodeNoSuchPeer, http.StatusNotFound},
	{signal.CodeTooLarge, http.StatusRequestEntityTooLarge},
	{signal.CodeRateLimited, http.StatusTooManyRequests},
	{signal.CodeShuttingDown, http.StatusServiceUnavailable},
}

// failureOf returns what an error means to the server that asks.
func failureOf(err error) *failure {
	var f *failure
	if errors.As(err, &f) {
		return f
	}
	r := signal.RefusalOf(err)
	for _, s := range statuses {
		if s.code == r.Code {
			return &failure{s.status, string(r.Code), r.Error()}
		}
	}
	return &failure{http.StatusInternalServerError, string(signal.CodeInternal), signal.CodeInternal.Sentence()}
}

// serve lets the key in and has the operation do its work.
func (a *API) serve(op operation) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		f := a.inForce.Load()
		key := a.enter(w, r, f)
		if key == nil {
			return
		}
		status, out, err := a.run(op, &call{api: a, r: r, key: key, mint: f.Mint})
		if err != nil {
			a.failed.Add(1)
			f := failureOf(err)
			if f.status == http.StatusTooManyRequests || f.status == http.StatusServiceUnavailable {
				w.Header().Set("Retry-After", "1")
			}
			answer.Error(w, f.status, f.code, f.message)
			return
		}
		a.served.Add(1)
		if out == nil {
			w.WriteHeader(status)
			return
		}
		answer.JSON(w, status, out)
	})
}

// enter returns the key of a request, or answers it.
func (a *API) enter(w http.ResponseWriter, r *http.Request, f *inForce) *Key {
	if len(f.Keys) == 0 {
		answer.Error(w, http.StatusNotFound, answer.NotFound, "the server API is off: api.keys has no key")
		return nil
	}
	brought := answer.Bearer(r)
	if key := f.find(brought); key != nil {
		return key
	}
	a.refused.Add(1)
	// Who brings nothing guesses nothing.
	if brought != "" && !a.wrong.Allow(source.OfRequest(r), time.Now()) {
		a.limited.Add(1)
		answer.TooMany(w, "too many wrong keys from your network address: wait a while")
		return nil
	}
	w.Header().Set("WWW-Authenticate", "Bearer")
	answer.Error(w, http.StatusUnauthorized, answer.Unauthorized,
		"the server API needs a key of api.keys, as Authorization: Bearer KEY")
	return nil
}

// run does what an operation does, if the key may.
func (a *API) run(op operation, c *call) (status int, out any, err error) {
	if !slices.Contains(c.key.May, op.may) {
		return 0, nil, forbidden("this key may not do that: it lacks the right %s", op.may)
	}
	if c.room = signal.RoomName(c.r.PathValue("room")); c.room != "" && !c.key.covers(c.room) {
		return 0, nil, forbidden("this key is not for that room")
	}
	return op.serve(c)
}

func forbidden(format string, args ...any) error {
	return &failure{http.StatusForbidden, answer.Unauthorized, fmt.Sprintf(format, args...)}
}

// call is one request with a key.
type call struct {
	api  *API
	r    *http.Request
	key  *Key
	room string // of the path
	mint func(admission.TokenRequest) (admission.Token, error)
}

// read takes the request's body, of so many bytes at most.
func (c *call) read(into any, limit int) error {
	body, err := io.ReadAll(http.MaxBytesReader(nil, c.r.Body, int64(limit)))
	var long *http.MaxBytesError
	switch {
	case errors.As(err, &long):
		return tooLarge("the body is longer than %d bytes", limit)
	case err != nil:
		return badRequest("the body could not be read")
	case !utf8.Valid(body):
		return badRequest("the body is not UTF-8")
	}
	dec := json.NewDecoder(bytes.NewReader(body))
	dec.DisallowUnknownFields()
	if err := dec.Decode(into); err != nil {
		return badRequest("the body is not the JSON object that /api/openapi.json describes: %v", err)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return badRequest("something follows on the JSON object in the body")
	}
	return nil
}
