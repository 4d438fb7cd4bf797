package app

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"signalbox/internal/config"
	"signalbox/internal/status"
	"signalbox/internal/trouble"
)

// awaitSelfTest waits until a box has looked at itself.
func awaitSelfTest(t *testing.T, app *App, when func(status.SelfTest) bool) status.SelfTest {
	t.Helper()
	for deadline := time.Now().Add(patience); ; time.Sleep(10 * time.Millisecond) {
		switch s := app.Status().SelfTest; {
		case s.At != 0 && when(s):
			return s
		case time.Now().After(deadline):
			t.Fatalf("it has found %+v", s)
		}
	}
}

// A box that works finds nothing: each of its services answers, and its relay carries data. /readyz
// and /metrics say so.
func TestSelfTestOfABoxThatWorks(t *testing.T) {
	t.Parallel()
	for name, set := range map[string][]string{
		"all transports": {`turn.listen=["127.0.0.1:0", "tls/127.0.0.1:0"]`},
		"with a proxy":   {"web.trusted_proxies=127.0.0.1", "web.proxy_protocol=true"},
		"in the room":    {"turn.peers=room", "turn.static_peers=public", "tls.mode=off"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			app := startApp(t, append(set, "notify.self_test=12h", "metrics.listen=127.0.0.1:0")...)
			if s := awaitSelfTest(t, app, func(status.SelfTest) bool { return true }); len(s.Faults) != 0 {
				t.Errorf("%+v", s)
			}
			if used := app.turn.TakeUsage(); len(used) != 0 {
				t.Errorf("the self-test counts as somebody's usage: %+v", used)
			}
			if _, _, body := get(t, insecure(), "http://"+app.Addrs().Metrics+"/metrics"); !strings.Contains(body,
				"\nsignalbox_self_test_faults 0\n") {
				t.Error("no word of it in /metrics")
			}
			if app.cfg.Web.ProxyProtocol {
				return
			}
			var ready struct {
				Ready    bool
				SelfTest struct {
					OK bool
					At int64
				}
			}
			code, _, body := get(t, insecure(), "http://"+app.Addrs().Web+"/readyz")
			if err := json.Unmarshal([]byte(body), &ready); err != nil || code != http.StatusOK || !ready.Ready ||
				!ready.SelfTest.OK || ready.SelfTest.At == 0 {
				t.Errorf("%d: %s", code, body)
			}
		})
	}
}

// A box that does not work says what is wrong, in its status and in /readyz, which does not call it
// unready for that, and tells the operator, also by a way that a reload names.
func TestSelfTestFindsFaults(t *testing.T) {
	t.Parallel()
	heard := make(chan string, 10)
	operator := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		var body struct {
			State  string
			Faults []status.Fault
		}
		if err := json.NewDecoder(r.Body).Decode(&body); err != nil || len(body.Faults) != 1 {
			t.Errorf("%v, %+v", err, body)
		}
		heard <- body.State + " " + string(body.Faults[0].Code)
	}))
	t.Cleanup(operator.Close)
	set := []string{"notify.self_test=12h", "turn.limits.per_user=0", "turn.limits.allocations=1"}
	app := startApp(t, set...)
	s := awaitSelfTest(t, app, func(s status.SelfTest) bool { return len(s.Faults) > 0 })
	if len(s.Faults) != 1 || s.Faults[0].Code != trouble.CapacityReached || s.Faults[0].Since == 0 {
		t.Errorf("%+v", s)
	}
	// Whoever tells it says these words himself.
	if words, _ := trouble.Of(trouble.CapacityReached); strings.Contains(s.Faults[0].Detail, words.EN.What[:20]) ||
		!strings.Contains(s.Faults[0].Detail, "508") {
		t.Errorf("%q", s.Faults[0].Detail)
	}
	code, _, body := get(t, insecure(), "http://"+app.Addrs().Web+"/readyz")
	if code != http.StatusOK || !strings.Contains(body, `"faults":["capacity-reached"]`) ||
		strings.Contains(body, s.Faults[0].Detail) {
		t.Errorf("%d: %s", code, body)
	}
	cfg := app.loaded
	cfg.Notify.Webhook = config.HookURL(operator.URL)
	if r, err := app.Reload(cfg, true); err != nil || !slices.Contains(r.Changed, "notify.webhook") {
		t.Fatalf("%+v, %v", r, err)
	}
	select {
	case got := <-heard:
		if got != "failing capacity-reached" {
			t.Error(got)
		}
	case <-time.After(patience):
		t.Error("the operator is not told")
	}
}
