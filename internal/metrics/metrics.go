// Package metrics exports the status as numbers for Prometheus, on a listener of its own. It reads
// them when somebody scrapes and counts nothing itself. No label has a value that clients could
// choose: no user but those of the configuration, no room and no address.
package metrics

import (
	"io"
	"log/slog"
	"net/http"
	"strconv"
	"time"

	"signalbox/internal/status"
	"signalbox/internal/trouble"
	"signalbox/signal/native"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// metric is a row of the table of metrics. values calls put for every combination of labels.
type metric struct {
	name   string
	typ    prometheus.ValueType
	help   string
	labels []string
	values func(v *status.Vitals, put emit)
}

type emit func(value float64, labels ...string)

const (
	gauge   = prometheus.GaugeValue
	counter = prometheus.CounterValue
)

// table is what /metrics has besides the Go runtime and the process.
var table = []metric{
	{"signalbox_build_info", gauge, "Always 1; the label is the running version.", []string{"version"},
		func(v *status.Vitals, put emit) { put(1, v.Version) }},
	{"signalbox_start_time_seconds", gauge, "When the box began to listen, in Unix seconds.", nil,
		func(v *status.Vitals, put emit) { put(float64(v.StartedAt) / 1000) }},
	{"signalbox_ready", gauge, "1 if the box listens and takes new callers, as /readyz says.", nil,
		func(v *status.Vitals, put emit) { put(oneIf(v.Ready)) }},
	{"signalbox_draining", gauge, "1 while the box refuses new callers and lets running calls end.", nil,
		func(v *status.Vitals, put emit) { put(oneIf(v.Hub.Draining)) }},
	{"signalbox_log_lines_lost_total", counter, "Lines of the log that nobody read in time.", nil,
		func(v *status.Vitals, put emit) { put(float64(v.LogLinesLost)) }},

	{"signalbox_certificate_expiry_timestamp_seconds", gauge,
		"When the served certificate expires, in Unix seconds. Absent if TLS is off, and until an ACME directory has " +
			"issued the first.", []string{"mode"},
		func(v *status.Vitals, put emit) {
			if c := v.Certificate; c != nil && !c.StandIn {
				put(float64(c.NotAfter)/1000, c.Mode)
			}
		}},
	{"signalbox_certificate_problem", gauge, "1 if signalbox status reports a problem of the certificate: it " +
		"expires soon, or the box can't get a newer one.", []string{"mode"},
		func(v *status.Vitals, put emit) {
			if c := v.Certificate; c != nil {
				put(oneIf(c.Problem != ""), c.Mode)
			}
		}},

	{"signalbox_self_test_last_run_timestamp_seconds", gauge, "When the box last looked whether it works, in Unix " +
		"seconds. Absent if notify.self_test is off.", nil,
		func(v *status.Vitals, put emit) {
			if v.SelfTest.At != 0 {
				put(float64(v.SelfTest.At) / 1000)
			}
		}},
	{"signalbox_self_test_faults", gauge, "Faults that the self-test finds now.", nil,
		func(v *status.Vitals, put emit) {
			if v.SelfTest.At != 0 {
				put(float64(len(v.SelfTest.Faults)))
			}
		}},
	{"signalbox_self_test_fault", gauge, "1 for each fault that the self-test finds now, by its code " +
		"(internal/trouble/TROUBLES.md); none: 0.", []string{"code"},
		func(v *status.Vitals, put emit) {
			seen := map[trouble.Code]bool{}
			for _, f := range v.SelfTest.Faults {
				if !seen[f.Code] {
					seen[f.Code] = true
					put(1, string(f.Code))
				}
			}
			if len(seen) == 0 {
				put(0, "none")
			}
		}},
	{"signalbox_notices_total", counter, "Attempts to tell the operator of faults, as [notify] says.",
		[]string{"result"},
		func(v *status.Vitals, put emit) {
			put(float64(v.Notices.Sent), "sent")
			put(float64(v.Notices.Failures), "failed")
		}},

	{"signalbox_web_connections", gauge, "Open connections of the web ports, except from trusted proxies and " +
		"from this machine itself.", nil,
		func(v *status.Vitals, put emit) { put(float64(v.Web.Open)) }},
	{"signalbox_web_connections_refused_total", counter, "Connections that the web ports refused as too many.", nil,
		func(v *status.Vitals, put emit) { put(float64(v.Web.Refused)) }},

	{"signalbox_admin_logins_refused_total", counter, "Refused logins to the admin API: with a wrong token or link, " +
		"or not looked at after too many of them from one source (limited).", []string{"reason"},
		func(v *status.Vitals, put emit) {
			put(float64(v.Admin.Wrong), "wrong")
			put(float64(v.Admin.Limited), "limited")
		}},

	{"signalbox_api_requests_total", counter, "Requests to the server API: served; failed, though with a right key; " +
		"with a wrong key, or none; among those too many of one source (limited).", []string{"result"},
		func(v *status.Vitals, put emit) {
			put(float64(v.API.Served), "served")
			put(float64(v.API.Failed), "failed")
			put(float64(v.API.Wrong), "wrong")
			put(float64(v.API.Limited), "limited")
		}},
	{"signalbox_webhook_waiting", gauge, "Events that wait for the operator's server.", nil,
		func(v *status.Vitals, put emit) { put(float64(v.Webhook.Waiting)) }},
	{"signalbox_webhook_events_total", counter, "Events that the operator's server has confirmed (delivered), " +
		"or that were lost since too many waited.", []string{"result"},
		func(v *status.Vitals, put emit) {
			put(float64(v.Webhook.Delivered), "delivered")
			put(float64(v.Webhook.Lost), "lost")
		}},
	{"signalbox_webhook_failures_total", counter, "Attempts to deliver events that failed, and were repeated.", nil,
		func(v *status.Vitals, put emit) { put(float64(v.Webhook.Failures)) }},
	{"signalbox_webhook_connects_total", counter, "Clients about whom the operator's server was asked: admitted, " +
		"refused, or without an answer (unanswered).", []string{"answer"},
		func(v *status.Vitals, put emit) {
			put(float64(v.Webhook.Admitted), "admitted")
			put(float64(v.Webhook.Refused), "refused")
			put(float64(v.Webhook.Unanswered), "unanswered")
		}},

	{"signalbox_signal_connections", gauge, "Signaling connections, including those that have not said hello.", nil,
		func(v *status.Vitals, put emit) { put(float64(v.Hub.Connections)) }},
	{"signalbox_signal_connections_opened_total", counter, "Signaling connections opened.", nil,
		func(v *status.Vitals, put emit) { put(float64(v.Hub.Counters.Connections)) }},
	{"signalbox_signal_connections_lost_total", counter,
		"Signaling connections that broke while their session waited for the client.", nil,
		func(v *status.Vitals, put emit) { put(float64(v.Hub.Counters.Lost)) }},
	{"signalbox_signal_sessions", gauge, "Sessions, including those that wait to be resumed.", nil,
		func(v *status.Vitals, put emit) { put(float64(v.Hub.Sessions)) }},
	{"signalbox_signal_sessions_opened_total", counter, "Sessions started.", nil,
		func(v *status.Vitals, put emit) { put(float64(v.Hub.Counters.Sessions)) }},
	{"signalbox_signal_sessions_resumed_total", counter, "Times that a client came back to its session.", nil,
		func(v *status.Vitals, put emit) { put(float64(v.Hub.Counters.Resumes)) }},
	{"signalbox_signal_dialect_sessions", gauge, "Sessions by the protocol that their clients speak.",
		[]string{"dialect"},
		func(v *status.Vitals, put emit) {
			for name, n := range v.Hub.Dialects {
				put(float64(n.Sessions), name)
			}
			if len(v.Hub.Dialects) == 0 {
				put(0, native.Protocol)
			}
		}},
	{"signalbox_signal_dialect_sessions_opened_total", counter, "Sessions started, by the protocol.",
		[]string{"dialect"},
		func(v *status.Vitals, put emit) {
			for name, n := range v.Hub.Dialects {
				put(float64(n.Opened), name)
			}
			if len(v.Hub.Dialects) == 0 {
				put(0, native.Protocol)
			}
		}},
	{"signalbox_signal_users", gauge, "Sessions that can be called by name.", nil,
		func(v *status.Vitals, put emit) { put(float64(v.Hub.Users)) }},
	{"signalbox_signal_rooms", gauge, "Rooms.", nil,
		func(v *status.Vitals, put emit) { put(float64(v.Hub.Rooms)) }},
	{"signalbox_signal_room_members", gauge, "Members of all rooms: a session counts once in each room.", nil,
		func(v *status.Vitals, put emit) { put(float64(v.Hub.Members)) }},
	{"signalbox_signal_frames_total", counter, "Frames of the signaling protocol, from clients (in) and to them (out).",
		[]string{"direction"},
		func(v *status.Vitals, put emit) {
			put(float64(v.Hub.Counters.FramesIn), "in")
			put(float64(v.Hub.Counters.FramesOut), "out")
		}},
	{"signalbox_signal_frame_bytes_total", counter, "Bytes of these frames, without the carrier's framing.",
		[]string{"direction"},
		func(v *status.Vitals, put emit) {
			put(float64(v.Hub.Counters.BytesIn), "in")
			put(float64(v.Hub.Counters.BytesOut), "out")
		}},
	{"signalbox_signal_signals_total", counter, "Signals delivered.", nil,
		func(v *status.Vitals, put emit) { put(float64(v.Hub.Counters.Signals)) }},
	{"signalbox_signal_broadcasts_total", counter, "Broadcasts to rooms.", nil,
		func(v *status.Vitals, put emit) { put(float64(v.Hub.Counters.Broadcasts)) }},
	{"signalbox_signal_foreign_origins_total", counter,
		"Requests refused for their Origin: see web.allowed_origins.", nil,
		func(v *status.Vitals, put emit) { put(float64(v.Hub.Counters.ForeignOrigins)) }},
	{"signalbox_signal_refusals_total", counter,
		"Frames and connections that the hub refused, by the code that the client gets.", []string{"code"},
		func(v *status.Vitals, put emit) {
			for code, n := range v.Hub.Refusals {
				put(float64(n), string(code))
			}
		}},

	{"signalbox_stun_bindings_total", counter, "STUN Binding requests answered.", nil,
		func(v *status.Vitals, put emit) { put(float64(v.TURN.Bindings)) }},
	{"signalbox_turn_allocations", gauge, "Live allocations, by the class of their credential, the client's " +
		"transport, and the family of the relayed address.",
		[]string{"class", "transport", "family"},
		func(v *status.Vitals, put emit) {
			for _, c := range v.TURN.Counts {
				put(float64(c.N), c.Class, c.Transport, c.Family)
			}
		}},
	{"signalbox_turn_relayed_bytes_total", counter,
		"Bytes of application data that allocations relayed, without TURN framing.", []string{"direction"},
		func(v *status.Vitals, put emit) {
			put(float64(v.TURN.Relayed.FromClientBytes), "from-client")
			put(float64(v.TURN.Relayed.ToClientBytes), "to-client")
		}},
	{"signalbox_turn_relayed_packets_total", counter, "Packets of application data that allocations relayed.",
		[]string{"direction"},
		func(v *status.Vitals, put emit) {
			put(float64(v.TURN.Relayed.FromClientPackets), "from-client")
			put(float64(v.TURN.Relayed.ToClientPackets), "to-client")
		}},
	{"signalbox_turn_month_relayed_bytes", gauge,
		"Bytes that the relay has sent this calendar month (UTC), to clients and to peers together, with the headers " +
			"of IP, UDP, TCP, TLS and TURN, over restarts.", nil,
		func(v *status.Vitals, put emit) { put(float64(v.TURN.Transfer.Bytes)) }},
	{"signalbox_turn_month_limit_bytes", gauge,
		"The limit turn.limits.total_per_month, in bytes. Absent if there is no limit.", nil,
		func(v *status.Vitals, put emit) {
			if v.TURN.TransferLimit > 0 {
				put(float64(v.TURN.TransferLimit))
			}
		}},
	{"signalbox_turn_user_month_relayed_bytes", gauge,
		"Bytes of application data that a static user's allocations have relayed this calendar month (UTC), over " +
			"restarts.",
		[]string{"user", "direction"},
		func(v *status.Vitals, put emit) {
			for _, u := range v.StaticUsers {
				put(float64(u.FromClientBytes), u.User, "from-client")
				put(float64(u.ToClientBytes), u.User, "to-client")
			}
		}},
	{"signalbox_turn_drops_total", counter, "Frames and packets dropped, by reason.", []string{"reason"},
		func(v *status.Vitals, put emit) {
			for reason, n := range v.TURN.Drops {
				put(float64(n), reason)
			}
		}},
	{"signalbox_turn_refusals_total", counter,
		"Error answers, by code and by the class of the credential; none: to strangers. Every client " +
			"starts with a 401.",
		[]string{"class", "code"},
		func(v *status.Vitals, put emit) {
			for class, codes := range v.TURN.RefusalsByClass {
				for code, n := range codes {
					put(float64(n), class, strconv.Itoa(code))
				}
			}
		}},
	{"signalbox_turn_limit_refusals_total", counter, "Error answers 486 and 508, by the limit that was met: its key; " +
		"guaranteed: what is left is other credentials'; unused: too many allocations ended that were not used; " +
		"draining; or internal: the box has failed, and the log says at what.", []string{"limit"},
		func(v *status.Vitals, put emit) {
			for limit, n := range v.TURN.Limits {
				put(float64(n), limit)
			}
		}},
	{"signalbox_turn_shared_users", gauge, "Users whose turn.limits.per_user a crowd at many addresses shares.", nil,
		func(v *status.Vitals, put emit) { put(float64(len(v.TURN.SharedUsers))) }},
	{"signalbox_turn_relay_ports", gauge, "Relay ports of each address family that the box relays on: " +
		"turn.relay_ports.", []string{"family"},
		func(v *status.Vitals, put emit) {
			for _, p := range v.TURN.RelayPorts {
				put(float64(p.Total), p.Family)
			}
		}},
	{"signalbox_turn_relay_ports_in_use", gauge, "Relay ports that an allocation holds or has reserved.",
		[]string{"family"},
		func(v *status.Vitals, put emit) {
			for _, p := range v.TURN.RelayPorts {
				put(float64(p.InUse), p.Family)
			}
		}},
}

func oneIf(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

// collector makes metrics from the state of the appliance at the moment of a scrape.
type collector struct {
	vitals func() *status.Vitals
	descs  []*prometheus.Desc // of the rows of the table
}

// Names returns the names of all metrics of the appliance, without those of the Go runtime and the
// process.
func Names() []string {
	names := make([]string, len(table))
	for i := range table {
		names[i] = table[i].name
	}
	return names
}

// NewRegistry returns a registry of the appliance's own. vitals is called at every scrape.
func NewRegistry(vitals func() *status.Vitals) *prometheus.Registry {
	c := &collector{vitals: vitals}
	for _, m := range table {
		c.descs = append(c.descs, prometheus.NewDesc(m.name, m.help, m.labels, nil))
	}
	r := prometheus.NewRegistry()
	r.MustRegister(c, collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return r
}

// Describe implements prometheus.Collector.
func (c *collector) Describe(out chan<- *prometheus.Desc) {
	for _, d := range c.descs {
		out <- d
	}
}

// Collect implements prometheus.Collector.
func (c *collector) Collect(out chan<- prometheus.Metric) {
	v := c.vitals()
	for i, m := range table {
		m.values(v, func(value float64, labels ...string) {
			out <- prometheus.MustNewConstMetric(c.descs[i], m.typ, value, labels...)
		})
	}
}

// Path is where the metrics are.
const Path = "/metrics"

// MaxScrapers are the connections that a server of metrics needs at most.
const MaxScrapers = 64

const maxScrapes = 4 // at a time

// Server serves Path and nothing else. vitals is called at every scrape.
func Server(vitals func() *status.Vitals, log *slog.Logger) *http.Server {
	mux := http.NewServeMux()
	mux.Handle("GET "+Path, promhttp.HandlerFor(NewRegistry(vitals), promhttp.HandlerOpts{
		ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelWarn), MaxRequestsInFlight: maxScrapes,
	}))
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		io.WriteString(w, "signalbox: the metrics are at "+Path+"\n") //nolint:errcheck // the client is gone
	})
	return &http.Server{
		Handler:           mux,
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       10 * time.Second,
		WriteTimeout:      30 * time.Second,
		IdleTimeout:       2 * time.Minute, // more than the interval at which most are scraped
		MaxHeaderBytes:    8 << 10,
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}
}
