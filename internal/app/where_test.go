package app

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"

	"signalbox/internal/state"
)

// After a kill -9, somebody else may have the port of the box: no command sends a token there.
func TestAStaleNoticeLeadsNowhere(t *testing.T) {
	t.Parallel()
	if runtime.GOOS == "windows" {
		t.Skip("nothing tells that a box is gone there")
	}
	app := startApp(t)
	text, err := app.dir.Read(state.Running)
	if err != nil {
		t.Fatal(err)
	}
	client, err := NewAdmin(&app.cfg, app.dir, "", nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := client.Status(t.Context()); err != nil {
		t.Errorf("while it runs: %v", err)
	}
	left, err := state.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	if err := left.Write(state.Running, text); err != nil { // nobody holds it
		t.Fatal(err)
	}
	if _, err := NewAdmin(&app.cfg, left, "", nil); !errors.Is(err, ErrNotRunning) {
		t.Errorf("got %v", err)
	}
	if _, err := HangUp(left); !errors.Is(err, ErrNotRunning) {
		t.Errorf("got %v", err)
	}
}

// Doctor asks whoever has the port of the configuration: it shows no token that is of use.
func TestWhoeverHasThePortHearsNoToken(t *testing.T) {
	t.Parallel()
	app := startApp(t)
	real, err := app.dir.ExistingSecret(state.AdminToken)
	if err != nil {
		t.Fatal(err)
	}
	heard := make(chan string, 1)
	stranger := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		heard <- r.Header.Get("Authorization")
	}))
	t.Cleanup(stranger.Close)
	cfg := app.cfg
	if err := cfg.Web.Listen.UnmarshalTOML(strings.TrimPrefix(stranger.URL, "http://")); err != nil {
		t.Fatal(err)
	}
	client, err := ConfiguredAdmin(&cfg, app.dir)
	if err != nil {
		t.Fatal(err)
	}
	client.Status(t.Context()) //nolint:errcheck // it is no box
	if got := <-heard; strings.Contains(got, string(real)) {
		t.Error("the admin token was sent to a stranger")
	}
}
