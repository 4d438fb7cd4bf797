//go:build linux

package lab_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"signalbox/internal/testkit"
	"signalbox/scripts/lab"
)

// Pages of the tutorials' rooms, with the box's own client of Socket.IO, see each other through the
// relay. Each way to leave is noticed, and the next who comes is seen again.
func TestTutorialPages(t *testing.T) {
	besideOthers(t)
	meetInTutorials(t, false, "codelab", "vjoin")
}

// So is a cable that is cut, after some time.
func TestLongTutorialCut(t *testing.T) {
	testkit.Long(t)
	for _, name := range []string{"codelab", "vjoin"} {
		t.Run(name, func(t *testing.T) { meetInTutorials(t, true, name) })
	}
}

func meetInTutorials(t *testing.T, lossy bool, names ...string) {
	t.Helper()
	l := lab.New(t, lab.Symmetric, lab.Symmetric)
	root := t.TempDir()
	tutorials(t, root, names...)
	server := lab.StartServer(t, l.Server, lab.Config, "--set", "web.root="+root,
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
		// meet has another one come, see and be seen.
		meet := func(from *lab.Browser, when string) *lab.Page {
			t.Helper()
			p := open(from)
			for _, page := range []*lab.Page{stays, p} {
				if f := watch(t, page, 1)[0]; !f.relayedOnly() {
					t.Errorf("%s, %s: connected by %s and %s", name, when, f.Local, f.Remote)
				}
			}
			return p
		}
		leave := func(from *lab.Browser, how string, do func(p *lab.Page)) {
			t.Helper()
			do(meet(from, "before the "+how))
			stays.Await(30*time.Second, "who stays hears of the "+how, alone(name))
		}
		leave(second, "button", func(p *lab.Page) { p.Eval(`app.leave()`, nil) })
		if lossy {
			leave(second, "cut", func(*lab.Page) { l.B.Exec(t, "ip", "link", "set", "eth0", "down") })
		}
		leave(first, "tab", func(p *lab.Page) { p.Close() })
		meet(first, "at last").Close()
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

// tutorials makes the pages in a folder.
func tutorials(t *testing.T, root string, names ...string) {
	t.Helper()
	for _, name := range names {
		write(t, root, videoPage("/socket.io/socket.io", name), filepath.Join("tutorials", name+".js"))
	}
}

// videoPage is a page that shows the other end, with scripts of these names without .js.
func videoPage(scripts ...string) string {
	page := `<!doctype html><title>a page</title><link rel="icon" href="/assets/favicon.svg">
		<video autoplay muted playsinline></video>`
	for _, name := range scripts {
		page += `<script src="` + name + `.js"></script>`
	}
	return page
}

// write writes a page, and its script of testdata, into a folder, each by the script's name.
func write(t *testing.T, root, page, script string) {
	t.Helper()
	name := strings.TrimSuffix(filepath.Base(script), ".js")
	for file, text := range map[string]string{name + ".html": page, name + ".js": snippet(t, script)} {
		if err := os.WriteFile(filepath.Join(root, file), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}
