package app

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"signalbox/internal/admin"
	"signalbox/internal/state"
	"signalbox/internal/usage"
)

// usageClient asks the box as `signalbox usage` does.
func usageClient(t *testing.T, app *App) *admin.Client {
	t.Helper()
	token := state.Secret(adminToken(t, app))
	c, err := admin.NewClient(admin.ClientOptions{URL: "http://" + app.Addrs().Web, Token: token})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// What a user has used is told by the API, status and metrics, and a restart forgets nothing.
func TestIssue16UsageOutlivesTheBox(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	want := usage.Row{User: "u", Class: "static"}
	for range 2 {
		app := newAppIn(t, dir, nil, metricsOn)
		if err := app.Listen(); err != nil {
			t.Fatal(err)
		}
		stop := runApp(t, app)
		relay(t, app, 5, 1000)
		want.Allocations++
		want.FromClientBytes += 5000
		want.ToClientBytes += 4995
		found, err := usageClient(t, app).Usage(t.Context(), usage.Query{Period: usage.Month, User: "u"})
		if err != nil || len(found.Rows) == 0 {
			t.Fatalf("%+v: %v", found, err)
		}
		var got usage.Row // two, if the month has just ended
		for _, r := range found.Rows {
			got.User, got.Class = r.User, r.Class
			got.Allocations += r.Allocations
			got.FromClientBytes += r.FromClientBytes
			got.ToClientBytes += r.ToClientBytes
		}
		if got != want {
			t.Errorf("%+v, want %+v", got, want)
		}
		if s := app.Status().Usage; s.Month.Allocations != want.Allocations || s.Month.Users != 1 ||
			s.Day.ToClientBytes == 0 {
			t.Errorf("%+v", s)
		}
		wantMetrics(t, scrape(t, app), map[string]float64{
			`signalbox_turn_user_month_relayed_bytes{direction="from-client",user="u"}`: float64(want.FromClientBytes),
			`signalbox_turn_user_month_relayed_bytes{direction="to-client",user="u"}`:   float64(want.ToClientBytes),
		})
		stop()
	}
}

// turn.usage = false counts nothing, keeps nothing, and says so.
func TestIssue16UsageIsOff(t *testing.T) {
	t.Parallel()
	app := startApp(t, "turn.usage=false")
	relay(t, app, 1, 100)
	_, err := usageClient(t, app).Usage(t.Context(), usage.Query{Period: usage.Month})
	if err == nil || !strings.Contains(err.Error(), "turn.usage is off") {
		t.Error(err)
	}
	if app.Status().Usage != nil || len(app.vitals().StaticUsers) != 0 {
		t.Error("it is counted")
	}
}

// A page has as many rows as it is asked for, and the client asks for all pages.
func TestIssue16UsageIsPaged(t *testing.T) {
	t.Parallel()
	app := newApp(t)
	var rows []usage.Row
	for i := range 2500 {
		rows = append(rows, usage.Row{User: fmt.Sprint(i), Class: "shared", Allocations: uint64(i)})
	}
	app.usage = usage.New(app.dir, func() (all []usage.Row) {
		all, rows = rows, nil
		return all
	}, app.log)
	if err := app.makeSite(); err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	for pattern, h := range app.admin.Routes() {
		mux.Handle(pattern, h)
	}
	server := httptest.NewServer(mux)
	defer server.Close()
	c, err := admin.NewClient(admin.ClientOptions{URL: server.URL, Token: state.Secret(adminToken(t, app))})
	if err != nil {
		t.Fatal(err)
	}
	all, err := c.Usage(context.Background(), usage.Query{Period: usage.Day, Order: "allocations"})
	if err != nil || len(all.Rows) != 2500 || !slices.IsSortedFunc(all.Rows, func(a, b usage.Listed) int {
		return int(b.Allocations) - int(a.Allocations)
	}) {
		t.Errorf("%d rows: %v", len(all.Rows), err)
	}
	ask := func(query string) (code int, a usage.Answer) {
		code, _, body := get(t, server.Client(), server.URL+"/api/admin/usage?"+query, "Authorization",
			"Bearer "+adminToken(t, app))
		if code == http.StatusOK {
			if err := json.Unmarshal([]byte(body), &a); err != nil {
				t.Error(err)
			}
		}
		return code, a
	}
	for query, want := range map[string]int{
		"": 100, "limit=7&offset=2495&period=day": 5, "user=8": 1, "user=nobody": 0,
	} {
		if code, a := ask(query); code != http.StatusOK || len(a.Rows) != want {
			t.Errorf("%s: %d, %d rows, want %d", query, code, len(a.Rows), want)
		}
	}
	for _, query := range []string{
		"limit=0", "limit=1001", "limit=x", "offset=-1", "period=year", "sort=size", "at=1",
	} {
		if code, _ := ask(query); code != http.StatusBadRequest {
			t.Errorf("%s: %d", query, code)
		}
	}
	if code, _, _ := get(t, server.Client(), server.URL+"/api/admin/usage"); code != http.StatusUnauthorized {
		t.Errorf("without the token: %d", code)
	}
}
