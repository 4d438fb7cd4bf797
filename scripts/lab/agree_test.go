//go:build linux

package lab_test

import (
	"fmt"
	"os"
	"slices"
	"strconv"
	"testing"
	"time"

	"signalbox/internal/testkit"
	"signalbox/scripts/lab"
)

// What two browsers do to each other at random, while each word between them is late at random,
// they get over: see testdata/agree.js.
func TestBrowsersAgree(t *testing.T) {
	t.Parallel()
	these := seeds{first: number("SIGNALBOX_AGREE_FIRST", 1), count: number("SIGNALBOX_AGREE_SEEDS", 14)}
	for _, pair := range pairs {
		t.Run(pair.String(), func(t *testing.T) {
			besideOthers(t)
			agree(t, pair, these)
		})
	}
}

// TestLongBrowsersAgree has the three pairs of browsers, all at once, try 500 seeds together, which
// are others each night. With SIGNALBOX_AGREE_FIRST, it tries those of another night.
func TestLongBrowsersAgree(t *testing.T) {
	testkit.Long(t)
	count := number("SIGNALBOX_AGREE_SEEDS", 500)
	tonight := int(time.Now().Unix()/(24*60*60)) * count
	next := number("SIGNALBOX_AGREE_FIRST", tonight)
	for i, pair := range pairs {
		these := seeds{first: next, count: count*(i+1)/len(pairs) - count*i/len(pairs)}
		next += these.count
		t.Run(pair.String(), func(t *testing.T) {
			t.Parallel()
			agree(t, pair, these)
		})
	}
}

type engines [2]lab.Engine

var pairs = [...]engines{{lab.Chromium, lab.Chromium}, {lab.Firefox, lab.Firefox}, {lab.Chromium, lab.Firefox}}

func (e engines) String() string { return fmt.Sprintf("%s-%s", e[0], e[1]) }

// seeds are some that follow each other.
type seeds struct{ first, count int }

// number returns what a variable of the environment says, or else a default.
func number(variable string, fallback int) int {
	if n, err := strconv.Atoi(os.Getenv(variable)); err == nil {
		return n
	}
	return fallback
}

// agreement is what one end says in the end.
type agreement struct {
	Agreed   *float64 // ms after the last change
	Rebuilds int
	Wrong    string
	Log      string
}

func agree(t *testing.T, pair engines, these seeds) {
	const atOnce = 7
	const patience = 25 * time.Minute // some 25 s for those that are tried at once
	script, err := os.ReadFile("testdata/agree.js")
	if err != nil {
		t.Fatal(err)
	}
	l := lab.New(t, lab.PortRestricted, lab.PortRestricted)
	server := lab.StartServer(t, l.Server, lab.Config)
	var pages [2]*lab.Page
	for end, ns := range []*lab.Namespace{l.A, l.B} {
		p := lab.StartBrowser(t, ns, lab.BrowserOptions{Engine: pair[end]}).Open(server.HTTPS+"/", lab.PageOptions{})
		p.Expect(`WebSocket|can.t establish a connection`) // the cuts
		p.Expect(`WebRTC: ICE failed`)                     // what Firefox says of one that is replaced
		p.Expect(`status of 426 .*/signal\?seed=`)         // events, tried in vain where a line is slow
		p.Eval(string(script), nil)
		pages[end] = p
	}
	start := time.Now()
	var times []time.Duration
	rebuilds := 0
	last := these.first + these.count - 1
	for next := these.first; next <= last; next += atOnce {
		if time.Since(start) > patience {
			t.Errorf("seeds %d to %d were not tried within %v", next, last, patience)
			last = next - 1
			break
		}
		batch := seeds{first: next, count: min(atOnce, last-next+1)}
		for seed, said := range agreements(pages, batch) {
			if said[0].Wrong != "" || said[1].Wrong != "" {
				t.Errorf("seed %d: %q, %q\n%s\n---\n%s", seed, said[0].Wrong, said[1].Wrong, said[0].Log, said[1].Log)
				continue
			}
			times = append(times, time.Duration(max(*said[0].Agreed, *said[1].Agreed))*time.Millisecond)
			rebuilds += said[0].Rebuilds + said[1].Rebuilds
		}
	}
	slices.Sort(times)
	n := len(times)
	if n == 0 {
		return
	}
	t.Logf("seeds %d to %d in %.0f s: %d fail; the others agree, p50 %v, p99 %v, at worst %v after the last change; "+
		"%d connections were replaced", these.first, last, time.Since(start).Seconds(), last-these.first+1-n,
		times[n/2], times[n*99/100], times[n-1], rebuilds)
}

// agreements has both pages try some seeds at once, and returns what each end says, by seed.
func agreements(pages [2]*lab.Page, these seeds) map[int][2]agreement {
	at := time.Now().Add(3 * time.Second).UnixMilli()
	each := func(do func(seed, end int, p *lab.Page)) {
		for seed := these.first; seed < these.first+these.count; seed++ {
			for end, p := range pages {
				do(seed, end, p)
			}
		}
	}
	each(func(seed, end int, p *lab.Page) {
		p.Eval(fmt.Sprintf(`agree({ seed: %d, end: %d, at: %d, most: 3000 })`, seed, end, at), nil)
	})
	said := map[int][2]agreement{}
	for seed := these.first; seed < these.first+these.count; seed++ {
		for _, p := range pages {
			p.Await(time.Minute, "it agrees, or gives up",
				fmt.Sprintf(`agreements[%d].isQuiet || agreements[%[1]d].is`, seed))
		}
		for _, p := range pages {
			p.Eval(fmt.Sprintf(`(agreements[%d].mayGo = true, 0)`, seed), nil)
		}
	}
	each(func(seed, end int, p *lab.Page) {
		p.Await(time.Minute, "it is done", fmt.Sprintf(`agreements[%d].is`, seed))
		is := said[seed]
		p.Eval(fmt.Sprintf(`agreements[%d].is`, seed), &is[end])
		said[seed] = is
	})
	return said
}
