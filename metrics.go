package signalbox

import (
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"signalbox/signal"
)

// The metrics are Status in numbers, for Prometheus, on a listener of their own. They are read when
// somebody scrapes: nothing is counted for them alone. No label has a value that clients could
// choose: no user, room or address.

// vitals are what the metrics are made of: Status without its lists, and the hub in numbers.
type vitals struct {
	Status
	hub signal.Summary
}

func (a *App) vitals() *vitals {
	s := a.status()
	s.TURN = a.turn.Summary()
	return &vitals{s, a.hub.Summary()}
}

// metric is a row of the table of metrics. values calls put for every combination of labels that
// there is.
type metric struct {
	name   string
	typ    prometheus.ValueType
	help   string
	labels []string
	values func(v *vitals, put emit)
}

type emit func(value float64, labels ...string)

const (
	gauge   = prometheus.GaugeValue
	counter = prometheus.CounterValue
)

// metrics is the table of what /metrics has besides the Go runtime and the process.
var metrics = []metric{
	{"signalbox_build_info", gauge, "1; the label says which version runs.", []string{"version"},
		func(v *vitals, put emit) { put(1, v.Version) }},
	{"signalbox_start_time_seconds", gauge, "When it began to listen, in Unix seconds.", nil,
		func(v *vitals, put emit) { put(float64(v.StartedAt) / 1000) }},
	{"signalbox_ready", gauge, "1 if /readyz says so: it listens and takes new callers.", nil,
		func(v *vitals, put emit) { put(oneIf(v.Ready)) }},
	{"signalbox_draining", gauge, "1 while new callers are refused and running calls may end.", nil,
		func(v *vitals, put emit) { put(oneIf(v.hub.Draining)) }},

	{"signalbox_certificate_expiry_timestamp_seconds", gauge,
		"When the certificate that is served ends, in Unix seconds. Absent if TLS is off.", []string{"mode"},
		func(v *vitals, put emit) {
			if c := v.Certificate; c != nil {
				put(float64(c.NotAfter)/1000, c.Mode)
			}
		}},
	{"signalbox_certificate_problem", gauge, "1 if signalbox status has something to say of the certificate: it " +
		"ends soon, or no newer one can be had.", []string{"mode"},
		func(v *vitals, put emit) {
			if c := v.Certificate; c != nil {
				put(oneIf(c.Problem != ""), c.Mode)
			}
		}},

	{"signalbox_web_connections", gauge, "Open connections of the web ports, without those of trusted proxies and " +
		"of this machine itself.", nil,
		func(v *vitals, put emit) { put(float64(v.Web.Open)) }},
	{"signalbox_web_connections_refused_total", counter, "Connections of the web ports that were too many.", nil,
		func(v *vitals, put emit) { put(float64(v.Web.Refused)) }},

	{"signalbox_signal_connections", gauge, "Signaling connections, with those that have not said hello.", nil,
		func(v *vitals, put emit) { put(float64(v.hub.Connections)) }},
	{"signalbox_signal_connections_opened_total", counter, "Signaling connections that were opened.", nil,
		func(v *vitals, put emit) { put(float64(v.hub.Counters.Connections)) }},
	{"signalbox_signal_connections_lost_total", counter,
		"Signaling connections that broke, and whose session waited for its client.", nil,
		func(v *vitals, put emit) { put(float64(v.hub.Counters.Lost)) }},
	{"signalbox_signal_sessions", gauge, "Sessions, with those that wait to be resumed.", nil,
		func(v *vitals, put emit) { put(float64(v.hub.Sessions)) }},
	{"signalbox_signal_sessions_opened_total", counter, "Sessions that were begun.", nil,
		func(v *vitals, put emit) { put(float64(v.hub.Counters.Sessions)) }},
	{"signalbox_signal_sessions_resumed_total", counter, "Times that a client came back to its session.", nil,
		func(v *vitals, put emit) { put(float64(v.hub.Counters.Resumes)) }},
	{"signalbox_signal_users", gauge, "Sessions that can be called by name.", nil,
		func(v *vitals, put emit) { put(float64(v.hub.Users)) }},
	{"signalbox_signal_rooms", gauge, "Rooms.", nil,
		func(v *vitals, put emit) { put(float64(v.hub.Rooms)) }},
	{"signalbox_signal_room_members", gauge, "Members of all rooms: a session counts once in each room.", nil,
		func(v *vitals, put emit) { put(float64(v.hub.Members)) }},
	{"signalbox_signal_frames_total", counter, "Frames of the signaling protocol, from clients (in) and to them (out).",
		[]string{"direction"},
		func(v *vitals, put emit) {
			put(float64(v.hub.Counters.FramesIn), "in")
			put(float64(v.hub.Counters.FramesOut), "out")
		}},
	{"signalbox_signal_frame_bytes_total", counter, "Bytes of these frames, without what carries them.",
		[]string{"direction"},
		func(v *vitals, put emit) {
			put(float64(v.hub.Counters.BytesIn), "in")
			put(float64(v.hub.Counters.BytesOut), "out")
		}},
	{"signalbox_signal_signals_total", counter, "Signals that were delivered.", nil,
		func(v *vitals, put emit) { put(float64(v.hub.Counters.Signals)) }},
	{"signalbox_signal_broadcasts_total", counter, "Broadcasts to rooms.", nil,
		func(v *vitals, put emit) { put(float64(v.hub.Counters.Broadcasts)) }},
	{"signalbox_signal_foreign_origins_total", counter,
		"Requests that were refused for their Origin: see web.allowed_origins.", nil,
		func(v *vitals, put emit) { put(float64(v.hub.Counters.ForeignOrigins)) }},
	{"signalbox_signal_refusals_total", counter,
		"Frames and connections that the hub refused, by the code that the client gets.", []string{"code"},
		func(v *vitals, put emit) {
			for code, n := range v.hub.Refusals {
				put(float64(n), string(code))
			}
		}},

	{"signalbox_stun_bindings_total", counter, "STUN Binding requests that were answered.", nil,
		func(v *vitals, put emit) { put(float64(v.TURN.Bindings)) }},
	{"signalbox_turn_allocations", gauge, "Live allocations, by the class of their credential, the client's " +
		"transport, and the family of the relayed address.",
		[]string{"class", "transport", "family"},
		func(v *vitals, put emit) {
			for _, c := range v.TURN.Counts {
				put(float64(c.N), c.Class, c.Transport, c.Family)
			}
		}},
	{"signalbox_turn_relayed_bytes_total", counter,
		"Bytes of application data that allocations relayed, without TURN framing.", []string{"direction"},
		func(v *vitals, put emit) {
			put(float64(v.TURN.Relayed.FromClientBytes), "from-client")
			put(float64(v.TURN.Relayed.ToClientBytes), "to-client")
		}},
	{"signalbox_turn_relayed_packets_total", counter, "Packets of application data that allocations relayed.",
		[]string{"direction"},
		func(v *vitals, put emit) {
			put(float64(v.TURN.Relayed.FromClientPackets), "from-client")
			put(float64(v.TURN.Relayed.ToClientPackets), "to-client")
		}},
	{"signalbox_turn_month_relayed_bytes", gauge,
		"Bytes of application data that were relayed this calendar month (UTC), both directions together, over " +
			"restarts.", nil,
		func(v *vitals, put emit) { put(float64(v.TURN.Transfer.Bytes)) }},
	{"signalbox_turn_month_limit_bytes", gauge,
		"What they may be: turn.limits.total_per_month. Absent if there is no limit.", nil,
		func(v *vitals, put emit) {
			if v.TURN.TransferLimit > 0 {
				put(float64(v.TURN.TransferLimit))
			}
		}},
	{"signalbox_turn_drops_total", counter, "Frames and packets that went nowhere, by reason.", []string{"reason"},
		func(v *vitals, put emit) {
			for reason, n := range v.TURN.Drops {
				put(float64(n), reason)
			}
		}},
	{"signalbox_turn_refusals_total", counter,
		"Error answers, by code and by the class of the credential; none: to strangers. The first 401 of each " +
			"client is how TURN begins.",
		[]string{"class", "code"},
		func(v *vitals, put emit) {
			for class, codes := range v.TURN.RefusalsByClass {
				for code, n := range codes {
					put(float64(n), class, strconv.Itoa(code))
				}
			}
		}},
	{"signalbox_turn_relay_ports", gauge, "Relay ports of each family that is relayed on: turn.relay_ports.",
		[]string{"family"},
		func(v *vitals, put emit) {
			for _, p := range v.TURN.RelayPorts {
				put(float64(p.Total), p.Family)
			}
		}},
	{"signalbox_turn_relay_ports_in_use", gauge, "Those that are an allocation's, or reserved for one.",
		[]string{"family"},
		func(v *vitals, put emit) {
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

// collector makes metrics of what the appliance is at the moment of a scrape.
type collector struct {
	app   *App
	descs []*prometheus.Desc // of the rows of the table
}

// newMetrics returns the appliance's own registry.
func (a *App) newMetrics() *prometheus.Registry {
	c := &collector{app: a}
	for _, m := range metrics {
		c.descs = append(c.descs, prometheus.NewDesc(m.name, m.help, m.labels, nil))
	}
	r := prometheus.NewRegistry()
	r.MustRegister(c, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
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
	v := c.app.vitals()
	for i, m := range metrics {
		m.values(v, func(value float64, labels ...string) {
			out <- prometheus.MustNewConstMetric(c.descs[i], m.typ, value, labels...)
		})
	}
}

const (
	metricsPath = "/metrics"
	maxScrapes  = 4  // at a time
	maxScrapers = 64 // connections
)

// metricsServer serves /metrics and nothing else.
func (a *App) metricsServer() *http.Server {
	errorLog := slog.NewLogLogger(a.log.With("part", "metrics").Handler(), slog.LevelWarn)
	mux := http.NewServeMux()
	mux.Handle("GET "+metricsPath, promhttp.HandlerFor(a.newMetrics(),
		promhttp.HandlerOpts{ErrorLog: errorLog, MaxRequestsInFlight: maxScrapes}))
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		io.WriteString(w, "signalbox: the metrics are at "+metricsPath+"\n") //nolint:errcheck // the client is gone
	})
	return &http.Server{
		Handler:           mux,
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       10 * time.Second,
		WriteTimeout:      30 * time.Second,
		IdleTimeout:       2 * time.Minute, // more than the interval at which most are scraped
		MaxHeaderBytes:    8 << 10,
		ErrorLog:          slog.NewLogLogger(a.log.Handler(), slog.LevelDebug),
	}
}

// fewOf closes connections that are more than there can be scrapers, and hands the others on.
func fewOf(next func(net.Conn)) func(net.Conn) {
	few := &crowd{all: maxScrapers, sources: map[netip.Prefix]int{}}
	return func(conn net.Conn) {
		leave, ok := few.enter(netip.Addr{})
		if !ok {
			conn.Close()
			return
		}
		next(&edgeConn{Conn: conn, leave: leave})
	}
}

// openMetrics says that more than this machine can read the metrics; empty: it can't, or they are
// off.
func (c *Config) openMetrics() string {
	addr, err := listenAddr(c.Metrics.Listen)
	if err != nil || addr.Addr().Unmap().IsLoopback() {
		return ""
	}
	return fmt.Sprintf("metrics.listen: %s is not loopback: anybody who reaches it can read the metrics, which are "+
		"numbers only, without names and addresses: "+
		"let nobody in but your Prometheus", c.Metrics.Listen)
}
