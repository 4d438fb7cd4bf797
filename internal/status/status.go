// Package status has the types of the appliance's status: for /api/admin/status, for the commands,
// and as numbers for Prometheus.
package status

import (
	"runtime/debug"

	"signalbox/internal/cert"
	"signalbox/internal/trouble"
	"signalbox/internal/usage"
	"signalbox/signal"
	"signalbox/turnsvc"
)

// Status is the state of the appliance at one moment. Times are Unix milliseconds.
type Status struct {
	Version   string   `json:"version"`
	StartedAt int64    `json:"startedAt"`
	Ready     bool     `json:"ready"` // as /readyz says it: not while draining
	PublicIP  []string `json:"publicIP"`
	// LogLinesLost counts lines of the log since the start that nobody has read in time.
	LogLinesLost uint64 `json:"logLinesLost"`
	// Certificate is nil if TLS is off.
	Certificate *cert.Status     `json:"certificate,omitempty"`
	Web         WebConnections   `json:"web"`
	Admin       AdminLogins      `json:"admin"`
	API         ServerAPI        `json:"api"`
	Webhook     Webhook          `json:"webhook"`
	SelfTest    SelfTest         `json:"selfTest"`
	Notices     Notices          `json:"notices"`
	TURN        turnsvc.Snapshot `json:"turn"`
	// Usage is nil if turn.usage is off.
	Usage  *usage.Sums     `json:"usage,omitempty"`
	Signal signal.Snapshot `json:"signal"`
}

type (
	// Allocation describes one allocation.
	Allocation = turnsvc.Allocation
	// Count is how many allocations there are of a kind.
	Count = turnsvc.Count
)

// The messages of the lines of the log that tell whom the relay has refused.
const (
	RequestRefused  = turnsvc.RequestRefused
	RequestsRefused = turnsvc.RequestsRefused
)

// WebConnections counts the connections of the web ports, except those of trusted proxies and of
// this machine itself.
type WebConnections struct {
	Open    int    `json:"open"`
	Refused uint64 `json:"refused"` // since the start: too many of one source, or in all
}

// AdminLogins counts the logins to the admin API that were refused since the start, with a token or
// with the code of the one-time link.
type AdminLogins struct {
	Wrong   uint64 `json:"wrong"`
	Limited uint64 `json:"limited"` // too many wrong ones from that source: not looked at
}

// ServerAPI counts the requests to the server API, /api/rooms and so on, since the start.
type ServerAPI struct {
	On      bool   `json:"on"` // api.keys has one
	Served  uint64 `json:"served"`
	Failed  uint64 `json:"failed"`  // with a right key, and nevertheless refused
	Wrong   uint64 `json:"wrong"`   // with a wrong key, or none
	Limited uint64 `json:"limited"` // too many wrong ones from that source
}

// Webhook tells how the operator's server hears of what happens, and how it answers. Counts are
// since the start.
type Webhook struct {
	News         bool   `json:"news"` // webhook.url is set
	Waiting      int    `json:"waiting"`
	Delivered    uint64 `json:"delivered"`
	Lost         uint64 `json:"lost"`              // too many waited
	Failures     uint64 `json:"failures"`          // attempts that failed, and were repeated
	Problem      string `json:"problem,omitempty"` // why the last attempt failed, until one succeeds
	LastDelivery int64  `json:"lastDelivery,omitempty"`

	Asks       bool   `json:"asks"` // webhook.connect_url is set
	Admitted   uint64 `json:"admitted"`
	Refused    uint64 `json:"refused"`
	Unanswered uint64 `json:"unanswered"` // clients about whom there was no answer
}

// SelfTest is what the box has found out about itself.
type SelfTest struct {
	On     bool    `json:"on"`
	At     int64   `json:"at,omitempty"` // when it looked last; 0: it has not yet
	Faults []Fault `json:"faults,omitempty"`
}

// Fault is something that is wrong.
type Fault struct {
	Code   trouble.Code `json:"code"`
	Detail string       `json:"detail"`
	Since  int64        `json:"since"` // when it was found
}

// Notices count what the operator was told, since the start.
type Notices struct {
	On       bool   `json:"on"` // [notify] says how
	Sent     uint64 `json:"sent"`
	Failures uint64 `json:"failures"`          // attempts that failed, and were repeated
	Problem  string `json:"problem,omitempty"` // why the last attempt failed, until one succeeds
	Last     int64  `json:"last,omitempty"`    // when one was sent
}

// Vitals are the numbers of Status, without the lists, and with the hub's summary. They are cheap
// to make.
type Vitals struct {
	Status
	Hub signal.Summary
	// StaticUsers are those who have used something this month.
	StaticUsers []usage.Row
}

// version is set by the release build.
var version string

// Version is the release, or what the Go tool knows of the build.
func Version() string {
	if version != "" {
		return version
	}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" && len(s.Value) >= 12 {
			return "devel-" + s.Value[:12]
		}
	}
	return "devel"
}
