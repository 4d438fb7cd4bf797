//go:build linux

package lab_test

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"signalbox/internal/testkit"
	"signalbox/scripts/lab"
	goclient "signalbox/signal/client"
)

// hostileEnv is how long the siege takes, such as 10m. Unset: an hour.
const hostileEnv = "SIGNALBOX_TEST_HOSTILE"

const (
	hostileVictim = "victim"
	// mostResident leaves half of the smallest server to others.
	mostResident = 256 << 20
	// latest is what 99 of 100 messages take at most, on a machine of two cores that box, hostile
	// and honest clients share.
	latest = time.Second
)

// Hostile clients of all kinds at once, from 8 addresses, with default limits: the box stays small,
// and honest sessions and calls notice nothing but a longer way.
func TestLongHub13HostileHour(t *testing.T) {
	testkit.Long(t)
	during := lasting(t, hostileEnv, time.Hour)
	l := lab.New(t, lab.FullCone, lab.FullCone)
	server := lab.StartServer(t, l.Server, lab.Config, "--set", "auth.mode=jwt", "--set", "auth.jwt_key="+honestKey,
		"--set", "admin.token="+statusToken, "--set", "api.keys=a-key-of-the-tests")
	use := newUsage(t, server)

	h := newHonest(t, l, server)
	rooms := map[string]*talk{
		"a pair":                    h.meet("pair", 2, 100*time.Millisecond, 0, goclient.WebSocket),
		"a room of eight":           h.meet("room", 8, 250*time.Millisecond, 0, goclient.WebSocket),
		"a pair without WebSockets": h.meet("events", 2, 250*time.Millisecond, 0, goclient.SSE),
		"a pair that loses its connections": h.meet("cuts", 2, 100*time.Millisecond, 5*time.Second,
			goclient.WebSocket),
	}
	before := use.resident()
	siege, lift := context.WithTimeout(t.Context(), during)
	defer lift()
	var working, besieging sync.WaitGroup
	for _, room := range rooms {
		room.start(siege, &working)
	}
	newcomers := new(ages)
	working.Go(func() { h.newcomers(siege, newcomers) })
	working.Go(func() { use.watch(siege) })
	seen := &sightings{of: map[string]map[string]int{}}
	for n := range 8 {
		in := l.AddHost(t, fmt.Sprint("mallory", n), uint8(90+n))
		for _, kind := range hostileKinds {
			m := &hostile{ctx: siege, in: in, server: server, token: h.token(t, ""), victim: hostileVictim,
				saw: func(what string) { seen.add(kind.name, what) }}
			besieging.Go(func() { m.besiege(kind.round) })
		}
	}
	media := new(ages)
	for call := newRelayedCall(t, l, server); siege.Err() == nil; {
		call.run(siege, time.Minute, media)
	}
	besieging.Wait()
	working.Wait()

	seen.log(t)
	for name, room := range rooms {
		room.finish(t, name)
		if q := room.ages.quantile(0.99); room.cutEvery == 0 && q > latest {
			t.Errorf("%s: messages take %v (p99)", name, q)
		}
	}
	t.Logf("relayed packets: %v", media)
	t.Logf("newcomers: %v", newcomers)
	most := slices.Max(use.took)
	t.Logf("the box takes %d MiB before, %d MiB at most, %d MiB after %v; %.0f %% of a core", before>>20, most>>20,
		use.resident()>>20, during, use.cores()*100)
	if most > mostResident {
		t.Errorf("the box took %d MiB", most>>20)
	}
	if q := newcomers.quantile(0.99); q > 3*latest {
		t.Errorf("newcomers are let in after %v (p99)", q)
	}
	if q := media.quantile(0.95); q > latest { // 5 % may be lost: the clients' buffers overflow, too
		t.Errorf("relayed packets take %v (p95)", q)
	}
}

// sightings count what hostile clients were answered, by kind.
type sightings struct {
	mu sync.Mutex
	of map[string]map[string]int
}

func (s *sightings) add(kind, what string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.of[kind] == nil {
		s.of[kind] = map[string]int{}
	}
	s.of[kind][what]++
}

func (s *sightings) log(t *testing.T) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, kind := range hostileKinds {
		var list []string
		for _, what := range slices.Sorted(maps.Keys(s.of[kind.name])) {
			list = append(list, fmt.Sprint(what, ": ", s.of[kind.name][what]))
		}
		t.Logf("%s: %s", kind.name, strings.Join(list, "; "))
	}
}
