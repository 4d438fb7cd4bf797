//go:build linux

package lab_test

import (
	"fmt"
	"os"
	"slices"
	"strconv"
	"testing"
	"time"

	"signalbox/scripts/lab"
)

// What two browsers do to each other at random, while each word between them is late at random,
// they get over: see testdata/agree.js.
func TestBrowsersAgree(t *testing.T) {
	seeds := 14
	if n, err := strconv.Atoi(os.Getenv("SIGNALBOX_AGREE_SEEDS")); err == nil {
		seeds = n
	}
	script, err := os.ReadFile("testdata/agree.js")
	if err != nil {
		t.Fatal(err)
	}
	for _, pair := range [][2]lab.Engine{
		{lab.Chromium, lab.Chromium}, {lab.Firefox, lab.Firefox}, {lab.Chromium, lab.Firefox},
	} {
		t.Run(fmt.Sprintf("%s-%s", pair[0], pair[1]), func(t *testing.T) { agree(t, pair, seeds, string(script)) })
	}
}

// agreement is what one end says in the end.
type agreement struct {
	Agreed   *float64 // ms after the last change
	Rebuilds int
	Wrong    string
	Log      string
}

func agree(t *testing.T, pair [2]lab.Engine, seeds int, script string) {
	const atOnce = 7
	l := lab.New(t, lab.PortRestricted, lab.PortRestricted)
	server := lab.StartServer(t, l.Server, lab.Config)
	var pages [2]*lab.Page
	for end, ns := range []*lab.Namespace{l.A, l.B} {
		p := lab.StartBrowser(t, ns, lab.BrowserOptions{Engine: pair[end]}).Open(server.HTTPS+"/", lab.PageOptions{})
		p.Expect(`WebSocket`)
		p.Eval(script, nil)
		pages[end] = p
	}
	var times []time.Duration
	rebuilds := 0
	first := 1
	if n, err := strconv.Atoi(os.Getenv("SIGNALBOX_AGREE_FIRST")); err == nil {
		first = n
	}
	for next := first; next < first+seeds; next += atOnce {
		end := min(next+atOnce, first+seeds)
		at := time.Now().Add(3 * time.Second).UnixMilli()
		for seed := next; seed < end; seed++ {
			for end, p := range pages {
				p.Eval(fmt.Sprintf(`agree({ seed: %d, end: %d, at: %d, most: 3000 })`, seed, end, at), nil)
			}
		}
		for seed := next; seed < end; seed++ {
			for _, p := range pages {
				p.Await(time.Minute, "it agrees, or gives up",
					fmt.Sprintf(`agreements[%d].isQuiet || agreements[%[1]d].is`, seed))
			}
			for _, p := range pages {
				p.Eval(fmt.Sprintf(`(agreements[%d].mayGo = true, 0)`, seed), nil)
			}
			var said [2]agreement
			for end, p := range pages {
				p.Await(time.Minute, "it is done", fmt.Sprintf(`agreements[%d].is`, seed))
				p.Eval(fmt.Sprintf(`agreements[%d].is`, seed), &said[end])
			}
			if said[0].Wrong != "" || said[1].Wrong != "" {
				t.Errorf("seed %d: %q, %q\n%s\n---\n%s", seed, said[0].Wrong, said[1].Wrong, said[0].Log, said[1].Log)
				continue
			}
			times = append(times, time.Duration(max(*said[0].Agreed, *said[1].Agreed))*time.Millisecond)
			rebuilds += said[0].Rebuilds + said[1].Rebuilds
		}
	}
	if len(times) == 0 {
		return
	}
	slices.Sort(times)
	t.Logf("%d of %d seeds agree, p50 %v, p99 %v after the last change; %d connections were replaced",
		len(times), seeds, times[len(times)/2], times[len(times)*99/100], rebuilds)
}
