//go:build linux

package lab_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"signalbox/scripts/lab"
)

// The operator's own server takes somebody out of a call and locks it; the pages of both say what
// has happened, and so does /admin.
func TestHub13KickFromACall(t *testing.T) {
	besideOthers(t)
	const key = "a-key-of-the-tests"
	l := lab.New(t, lab.Symmetric, lab.Symmetric)
	server := lab.StartServer(t, l.Server, lab.Config, "--set", "api.keys="+key, "--set",
		"webhook.secret=a-secret-of-the-tests", "--set", "webhook.url=http://127.0.0.1:1/")
	ask := func(path, body string, want int) {
		t.Helper()
		req, err := http.NewRequest(http.MethodPost, server.Inside()+path, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer "+key)
		resp, err := l.Server.Client().Do(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != want {
			t.Fatalf("%s %s: %s", path, body, resp.Status)
		}
	}
	ask("/api/rooms", `{"room":"x"}`, http.StatusCreated)
	ann := enter(lab.StartBrowser(t, l.A, lab.BrowserOptions{}), server, "Ann", "", lab.PageOptions{})
	b := lab.StartBrowser(t, l.B, lab.BrowserOptions{})
	bo := enter(b, server, "Bo", "", lab.PageOptions{})
	watch(t, ann, 1)
	watch(t, bo, 1)
	var peer string
	bo.Eval(`document.querySelector("#tiles [data-peer]")?.dataset.peer ?? ""`, &peer)

	ask("/api/rooms", `{"room":"x","policy":"locked"}`, http.StatusOK)
	ask("/api/rooms/x/kick", fmt.Sprintf(`{"peer":%q}`, peer), http.StatusOK)
	ann.AwaitText(10*time.Second, "#end-title", "removed")
	bo.Await(10*time.Second, "Ann is gone", `!document.querySelector("#tiles [data-peer]")`)

	admin := b.Open(server.AdminURL(t), lab.PageOptions{})
	admin.AwaitText(10*time.Second, "#server", "Requests served")
	admin.AwaitText(10*time.Second, "#server-problem", "refused")
	fits(t, admin)
	admin.Shoot("admin-server")
	admin.Click("#language")
	admin.AwaitText(5*time.Second, "#server", "你自己的服务器")
}
