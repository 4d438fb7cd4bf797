package signal

import (
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net/http"
	"net/netip"
	"time"

	"signalbox/internal/source"
)

// Options configure a Hub. The zero value is usable: an open hub without limits and without ICE
// servers.
type Options struct {
	RoomCapacity int // members of one room; 0 = no limit
	// Halls are the rooms, by full name, that take another number of members, whoever opens them.
	Halls           map[string]Hall
	Rooms           int // rooms that exist at once; 0 = no limit
	RoomsPerSession int // rooms that one session is in at once; 0 = no limit
	// Sessions is how many there may be at once, with those that wait to be resumed and connections
	// that haven't said hello; 0 = no limit.
	Sessions int
	// SessionsPerSource is the same for one IPv4 address or one IPv6 /64; a /56 may have twice as
	// many, a /48 four times. 0 = no limit.
	SessionsPerSource int

	MaxFrame int // bytes of one client frame; 0 = 64 KiB
	// Heartbeat is the time between pings; a client that is silent for 2.4 of them is gone. 0 = 25
	// s.
	Heartbeat time.Duration
	// Rate is how many frames a second one session may send, with a burst of 4 s worth; 0 = no
	// limit.
	Rate float64

	// Calls lets sessions reach each other as "@user" without sharing a room.
	Calls bool
	// Devices is how many sessions with the same user there may be at once, if tokens prove that it
	// is the same (Pass.Attested); else there is one. 0 = 1.
	Devices int

	// AllowedOrigins are the web origins ("https://example.org") whose pages may connect, besides
	// pages of the host that the request names; "*" allows any. Requests without an Origin header
	// are let in, unless a browser's other headers say that a foreign page has sent them.
	AllowedOrigins []string
	// OwnHost reports whether a Host header names this box; nil: any does. Only its pages connect
	// without being in AllowedOrigins: whoever lets another name lead here (DNS rebinding) chooses
	// Host and Origin alike. It is called from many goroutines at once and must not block.
	OwnHost func(host string) bool

	// Guard decides who may enter; nil lets everybody in.
	Guard Guard
	// EndAtExp ends sessions when the last token that they have entered with ends (Pass.Ends).
	EndAtExp bool
	// Door has the last word on who may enter; nil lets in whom Guard admits.
	Door Door
	// Bans name clients that may not enter, whatever the guard says; nil: nobody. They may change.
	Bans *source.Bans

	// Resume is how long a session outlives its connection; 0: not at all.
	Resume time.Duration
	// ResumeKey signs resume tokens, so that a client keeps its peer id over a restart. Empty: a
	// key of this process's own.
	ResumeKey []byte

	// ICE issues the servers and credentials for clients; nil: none.
	ICE ICEIssuer

	// Watcher shows sessions what the relay sees of them; nil: nothing.
	Watcher Watcher
	// Members is told who may reach whom; nil: nobody.
	Members Members
	// Journal notes what happens to rooms and calls; nil: nobody wants to know.
	Journal *Journal
	// Claims makes the hub look for candidates in what its clients signal, and tell Members of
	// them.
	Claims bool

	// Source tells the client's address; nil takes RemoteAddr. Which proxies to believe is its
	// matter.
	Source func(*http.Request) netip.Addr

	Log *slog.Logger // nil discards
}

// Hall is how many members a room takes.
type Hall struct {
	Capacity int // 0: as other rooms
	Share    int // see Terms.Share
}

// ICEServer is an RTCIceServer, as browsers take it.
type ICEServer struct {
	URLs       []string `json:"urls"`
	Username   string   `json:"username,omitempty"`
	Credential string   `json:"credential,omitempty"`
}

// ICERequest names the client that the ICE servers are for.
type ICERequest struct {
	PeerID string
	Host   string     // the Host header of the request that opened the connection
	Source netip.Addr // the client's address, as Options.Source tells it
	// Until is when the token ends with which the client was let in: the credential must not
	// outlive it. Zero: never.
	Until time.Time
}

// ICEIssuer hands out ICE servers with a credential of the asking peer's own. It is called from
// many goroutines at once and must not block. A zero expires means that the servers don't expire;
// otherwise the hub asks again at half of the remaining life and pushes the answer.
type ICEIssuer interface {
	ICEServers(ICERequest) (servers []ICEServer, expires time.Time)
}

const (
	defaultMaxFrame  = 64 << 10
	defaultHeartbeat = 25 * time.Second
	burstSeconds     = 4
	returnsBurst     = 32
)

// limits are fixed by the protocol; an operator has no reason to change them. Tests shorten them.
type limits struct {
	Hello     time.Duration // from the connection to its hello
	Write     time.Duration // for one batch of frames to leave
	Frame     time.Duration // for one frame to come in, once it has begun
	Awake     time.Duration // how long a goroutine of an idle connection waits before it goes
	Linger    time.Duration // for a client to close its end after ours
	GoingAway time.Duration // for a page that was closed to come back, since it was only reloaded
	Renew     time.Duration // for a resume token to be replaced by a newer one
	Backlog   int           // frames that wait in an outbox
	Bytes     int           // bytes that wait in an outbox
	BadFrames int           // in a row
	// Volume is bytes a second of one session, with a burst of 4 s worth; only if there is a
	// Options.Rate.
	Volume int
	// Returns is joins a second of one session that has left as many rooms before, with a burst of
	// 32; only if there is an Options.Rate.
	Returns float64
	// Arrivals and Joins are connections and joins a second from one source, with a burst of 32 s
	// worth; only if there are Options.SessionsPerSource.
	Arrivals, Joins int
	Calls           int // that one session has made, at once; it may be called four times as often
	Refusing        int // connections that are being told why they aren't served
}

func defaultLimits() limits {
	return limits{
		Hello:     10 * time.Second,
		Write:     10 * time.Second,
		Frame:     20 * time.Second,
		Awake:     500 * time.Millisecond,
		Linger:    time.Second,
		GoingAway: 5 * time.Second,
		Renew:     time.Hour,
		Backlog:   4096,
		Bytes:     1 << 20,
		BadFrames: 16,
		Volume:    1 << 20,
		Returns:   1,
		Arrivals:  64,
		Joins:     256,
		Calls:     64,
		Refusing:  64,
	}
}

func (o Options) withDefaults() (Options, error) {
	var errs []error
	for _, limit := range []struct {
		name  string
		value int
	}{
		{"Rooms", o.Rooms},
		{"RoomsPerSession", o.RoomsPerSession},
		{"Sessions", o.Sessions},
		{"SessionsPerSource", o.SessionsPerSource},
		{"MaxFrame", o.MaxFrame},
		{"Devices", o.Devices},
	} {
		if limit.value < 0 {
			errs = append(errs, fmt.Errorf("negative %s: %d", limit.name, limit.value))
		}
	}
	if o.Heartbeat < 0 {
		errs = append(errs, fmt.Errorf("negative Heartbeat: %v", o.Heartbeat))
	}
	if o.Rate < 0 || math.IsNaN(o.Rate) || math.IsInf(o.Rate, 0) {
		errs = append(errs, fmt.Errorf("invalid Rate: %v", o.Rate))
	}
	if o.Devices == 0 {
		o.Devices = 1
	}
	if o.MaxFrame == 0 {
		o.MaxFrame = defaultMaxFrame
	}
	if o.Heartbeat == 0 {
		o.Heartbeat = defaultHeartbeat
	}
	if o.Resume < 0 {
		errs = append(errs, fmt.Errorf("negative Resume: %v", o.Resume))
	}
	if len(o.ResumeKey) == 0 {
		o.ResumeKey = make([]byte, 32)
		rand.Read(o.ResumeKey) // never fails: the runtime ends the process first
	}
	if o.Bans == nil {
		o.Bans = source.NewBans()
	}
	if o.Members == nil {
		o.Members = noMembers{}
	}
	if o.Source == nil {
		o.Source = source.OfRequest
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return o, errors.Join(errs...)
}

// deadAfter is how long a client may be silent: two missed pings and some time for the answer to
// travel, a minute at the default heartbeat.
func (o Options) deadAfter() time.Duration { return 2*o.Heartbeat + 2*o.Heartbeat/5 }

// burst is how many frames a session may send at once.
func (o Options) burst() int { return int(math.Ceil(burstSeconds * o.Rate)) }
