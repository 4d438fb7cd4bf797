//go:build linux

package lab_test

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"signalbox/internal/testkit"
	"signalbox/scripts/lab"
)

// Pages of the tutorials' rooms, with the box's own client of Socket.IO, see each other through the
// relay. Each way to leave is noticed, and the next who comes is seen again.
func TestTutorialPages(t *testing.T) { meetInTutorials(t, false, "codelab", "vjoin") }

// So is a cable that is cut, after some time.
func TestTutorialCut(t *testing.T) {
	testkit.Long(t)
	for _, name := range []string{"codelab", "vjoin"} {
		t.Run(name, func(t *testing.T) { meetInTutorials(t, true, name) })
	}
}

func meetInTutorials(t *testing.T, lossy bool, names ...string) {
	t.Helper()
	l := lab.New(t, lab.Symmetric, lab.Symmetric)
	server := lab.StartServer(t, l.Server, lab.Config, "--set", "web.root="+tutorials(t, names),
		"--set", "signal.heartbeat=1s")
	first, second := lab.StartBrowser(t, l.A, lab.BrowserOptions{}), lab.StartBrowser(t, l.B, lab.BrowserOptions{})
	for _, name := range names {
		open := func(b *lab.Browser) *lab.Page {
			p := b.Open(server.HTTPS+"/"+name+".html#tea", lab.PageOptions{})
			p.Expect(`WebSocket|ERR_`)
			p.Await(15*time.Second, "the page has its camera, and its room", `window.app?.ready`)
			return p
		}
		stays := open(first)
		// leave has another one come, see and be seen, and leave.
		leave := func(from *lab.Browser, how string, do func(p *lab.Page)) {
			t.Helper()
			p := open(from)
			for _, page := range []*lab.Page{stays, p} {
				if f := watch(t, page, 1)[0]; f.Local != "relay" || f.Remote != "relay" {
					t.Errorf("%s, before the %s: connected by %s and %s", name, how, f.Local, f.Remote)
				}
			}
			do(p)
			stays.Await(30*time.Second, "who stays hears of the "+how, alone(name))
		}
		leave(second, "button", func(p *lab.Page) { p.Eval(`app.leave()`, nil) })
		if lossy {
			leave(second, "cut", func(*lab.Page) { l.B.Exec(t, "ip", "link", "set", "eth0", "down") })
		}
		leave(first, "tab", func(p *lab.Page) { p.Close() })
		stays.Close()
	}
}

// alone is what a page that stays comes to once the other one has left.
func alone(name string) string {
	if name == "codelab" {
		return `!app.pc && app.isInitiator`
	}
	return `!app.pc && app.state == "joined_unbind"`
}

// tutorials makes the pages, and returns their folder.
func tutorials(t *testing.T, names []string) (root string) {
	t.Helper()
	root = t.TempDir()
	for _, name := range names {
		page := fmt.Sprintf(`<!doctype html><title>%s</title><link rel="icon" href="/assets/favicon.svg">
			<video autoplay muted playsinline></video><script src="/socket.io/socket.io.js"></script>
			<script src="%[1]s.js"></script>`, name)
		script := snippet(t, filepath.Join("tutorials", name+".js"))
		for file, text := range map[string]string{name + ".html": page, name + ".js": script} {
			if err := os.WriteFile(filepath.Join(root, file), []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	return root
}
