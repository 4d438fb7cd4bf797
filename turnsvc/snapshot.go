package turnsvc

import (
	"slices"
	"strconv"

	"signalbox/turnsvc/cred"
)

// Snapshot is the state of a Server at one moment. Times are Unix milliseconds.
type Snapshot struct {
	Allocations []Allocation `json:"allocations"`
	// Bindings counts answered STUN Binding requests.
	Bindings uint64 `json:"bindings"`
	// Drops counts frames and packets that went nowhere, by reason.
	Drops map[string]uint64 `json:"drops"`
	// Refusals counts error answers, by code.
	Refusals map[int]uint64 `json:"refusals"`
	// RefusalsByClass counts refusals by class of credential and by code. The classes are static,
	// hub, ice, shared, and none for strangers.
	RefusalsByClass map[string]map[int]uint64 `json:"refusalsByClass"`
	// Limits counts requests that met a limit (486, 508), by its key in the configuration, or
	// guaranteed, if what is left is other credentials', draining, or internal, if the server has
	// failed itself.
	Limits map[string]uint64 `json:"limits"`
	// SharedUsers are users whose limit of allocations a crowd shares.
	SharedUsers []SharedUser `json:"sharedUsers"`
	// Transfer is what the relay has sent this month, headers included, TransferLimit what it may
	// send; 0: no limit.
	Transfer      Transfer `json:"transfer"`
	TransferLimit int64    `json:"transferLimit"`
	// Relayed is what has been relayed since the start.
	Relayed Relayed `json:"relayed"`
	// RelayPorts are the relay ports of each address family that the server relays on.
	RelayPorts []RelayPorts `json:"relayPorts"`
	// Counts are the numbers of allocations of every kind, for callers that need no list.
	Counts []Count `json:"-"`
}

// Count is how many allocations there are of a kind.
type Count struct {
	Class     string // static, hub, ice or shared
	Transport string // udp, tcp, tls or dtls: the client's way here
	Family    string // ipv4 or ipv6: of the relayed transport address
	N         int
}

// RelayPorts are the relay ports of one family.
type RelayPorts struct {
	Family string `json:"family"` // ipv4 or ipv6
	InUse  int    `json:"inUse"`  // including those that EVEN-PORT reserved
	Total  int    `json:"total"`
}

var (
	transportNames = [...]string{"udp", "tcp", "tls", "dtls"}
	familyNames    = [...]string{"ipv4", "ipv6"}
)

// Allocation describes one allocation. Bytes and packets are application data.
type Allocation struct {
	ID                string   `json:"id"`
	User              string   `json:"user"`
	Class             string   `json:"class"`
	Client            string   `json:"client"`
	Transport         string   `json:"transport"`
	Relay             string   `json:"relay"`
	CreatedAt         int64    `json:"createdAt"`
	ExpiresAt         int64    `json:"expiresAt"`
	FromClientBytes   uint64   `json:"fromClientBytes"`
	FromClientPackets uint64   `json:"fromClientPackets"`
	ToClientBytes     uint64   `json:"toClientBytes"`
	ToClientPackets   uint64   `json:"toClientPackets"`
	Permissions       []string `json:"permissions"`
	Channels          int      `json:"channels"`
}

// Snapshot lists the allocations and what was dropped and refused so far.
func (s *Server) Snapshot() Snapshot {
	all := s.books.list()
	snap := s.summary(all)
	now := s.core.clock.now()
	for _, a := range all {
		snap.Allocations = append(snap.Allocations, describe(a, now))
	}
	return snap
}

// Summary is Snapshot without the list of allocations, which it only counts: it is cheap however
// many there are.
func (s *Server) Summary() Snapshot { return s.summary(s.books.list()) }

func (s *Server) summary(all []*allocation) Snapshot {
	snap := Snapshot{
		Allocations:     []Allocation{},
		Bindings:        s.core.counters.bindings.Load(),
		Drops:           make(map[string]uint64, drops),
		Refusals:        make(map[int]uint64, len(refusalCodes)),
		RefusalsByClass: make(map[string]map[int]uint64, classes+1),
		Limits:          make(map[string]uint64, limits),
		SharedUsers:     s.books.sharedUsers(),
		TransferLimit:   s.judge.settings.Load().Limits.TotalPerMonth,
		Counts:          countKinds(all),
	}
	for i, name := range dropNames {
		snap.Drops[name] = s.core.counters.drops[i].Load()
	}
	for i, name := range limitNames {
		snap.Limits[name] = s.core.counters.limits[i].Load()
	}
	for class := range classes + 1 {
		name := "none"
		if class < classes {
			name = cred.Class(class).String()
		}
		byCode := make(map[int]uint64, len(refusalCodes))
		for i, code := range refusalCodes {
			n := s.core.counters.refusals[class][i].Load()
			byCode[code] = n
			snap.Refusals[code] += n
		}
		snap.RefusalsByClass[name] = byCode
	}
	snap.Transfer, snap.Relayed = s.books.budget.count(all, s.core.clock)
	for i, r := range s.judge.host.Load().relays {
		if r.Bind.IsValid() {
			total := int(s.books.maxPort) - int(s.books.minPort) + 1
			snap.RelayPorts = append(snap.RelayPorts, RelayPorts{familyNames[i], int(s.books.ports[i].Load()), total})
		}
	}
	return snap
}

// countKinds counts allocations of every kind, in a fixed order.
func countKinds(all []*allocation) []Count {
	var n [classes][len(transportNames)][len(familyNames)]int
	for _, a := range all {
		if t := slices.Index(transportNames[:], a.link.transport()); t >= 0 {
			n[a.class][t][familyIndex(a.relayed.Addr())]++
		}
	}
	var counts []Count
	for c := range n {
		for t := range n[c] {
			for f := range n[c][t] {
				counts = append(counts, Count{cred.Class(c).String(), transportNames[t], familyNames[f], n[c][t][f]})
			}
		}
	}
	return counts
}

// Transfer returns what the relay has sent this month.
func (s *Server) Transfer() Transfer {
	t, _ := s.books.budget.count(s.books.list(), s.core.clock)
	return t
}

// Transfers returns what the relay has sent this month, and in up to three others that its clock
// has shown before, for the next process to go on from.
func (s *Server) Transfers() []Transfer {
	s.Transfer()
	return s.books.budget.sums()
}

// AddTransfers adds what earlier processes had sent, if it was not known yet when the server was
// made; else see Options.Transfers.
func (s *Server) AddTransfers(earlier []Transfer) { s.books.budget.addEarlier(earlier) }

// describe returns what an allocation is and what it has carried.
func describe(a *allocation, now int64) Allocation {
	carried := a.carried()
	d := Allocation{
		ID:                strconv.FormatUint(a.id, 10),
		User:              a.user,
		Class:             a.class.String(),
		Client:            a.client.String(),
		Transport:         a.link.transport(),
		Relay:             a.relayed.String(),
		CreatedAt:         a.clock.unixMilli(a.created),
		ExpiresAt:         a.clock.unixMilli(a.expires.Load()),
		FromClientBytes:   carried.FromClientBytes,
		FromClientPackets: carried.FromClientPackets,
		ToClientBytes:     carried.ToClientBytes,
		ToClientPackets:   carried.ToClientPackets,
		Permissions:       []string{},
	}
	a.mu.RLock()
	defer a.mu.RUnlock()
	for ip, p := range a.permissions.all() {
		if now < p.expires.Load() {
			d.Permissions = append(d.Permissions, ip.String())
		}
	}
	slices.Sort(d.Permissions)
	for _, c := range a.channels.all() {
		if now < c.expires.Load() {
			d.Channels++
		}
	}
	return d
}
