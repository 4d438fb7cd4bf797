//go:build linux

package lab_test

import (
	"strings"
	"testing"
	"time"

	"signalbox/scripts/lab"
)

// TestPages opens each page as a stranger does, in both languages; a word in the
// console fails it. The pages of calls and checks have tests of their own.
func TestPages(t *testing.T) {
	besideOthers(t)
	l := lab.New(t, lab.Symmetric, lab.Symmetric)
	server := lab.StartServer(t, l.Server, lab.Config)
	b := lab.StartBrowser(t, l.A, lab.BrowserOptions{})
	for _, tt := range []struct{ locale, lang, headline string }{
		{"en-US", "en", "call"},
		{"zh-CN", "zh-CN", "通话"},
	} {
		t.Run(tt.locale, func(t *testing.T) {
			look := lab.PageOptions{Locale: tt.locale}

			index := b.Open(server.HTTPS+"/", look)
			index.AwaitText(5*time.Second, "h1", tt.headline)
			if got := index.Attr("html", "lang"); got != tt.lang {
				t.Errorf("the page says that its language is %q, want %q", got, tt.lang)
			}
			index.AwaitText(5*time.Second, "#health", `\d+ (ms|毫秒)`)
			index.AwaitText(5*time.Second, "#snippet", server.HTTPS+"/signalbox.js")
			staysStill(t, index)
			index.Shoot("index")

			lobby := b.Open(server.HTTPS+"/call/tea", look)
			lobby.Await(10*time.Second, "the preview plays",
				`document.body.dataset.state == "lobby" && document.querySelector("#preview").videoWidth > 0`)
			staysStill(t, lobby)
			lobby.Shoot("lobby")

			for _, p := range []*lab.Page{index, lobby} {
				loadsOneLanguage(t, p)
				fits(t, p)
			}
			if tt.lang == "en" {
				index.Audit("index")
				lobby.Audit("lobby")
			}
		})
	}
}

// fits fails the test if a page would scroll sideways on a phone, a tablet or a desktop, or has
// something on a phone that is too small for a finger.
func fits(t *testing.T, p *lab.Page) {
	t.Helper()
	for _, width := range []int{320, 390, 768, 1440} {
		if over, what := p.Overflow(width); over > 0 {
			t.Errorf("at a width of %d the page is %d pixels too wide: %s", width, over, what)
		}
	}
	if what := p.TooSmall(390); what != "" {
		t.Errorf("too small for a finger: %s", what)
	}
}

// A link may open the lobby, no more: this browser allows camera and microphone
// without asking, as one does where somebody once chose to allow them for good.
func TestCallLinks(t *testing.T) {
	besideOthers(t)
	l := lab.New(t, lab.Symmetric, lab.Symmetric)
	server := lab.StartServer(t, l.Server, lab.Config)
	b := lab.StartBrowser(t, l.A, lab.BrowserOptions{})

	t.Run("none joins for its reader", func(t *testing.T) {
		p := b.Open(server.HTTPS+"/call/x?name=Ann&join=1", lab.PageOptions{})
		p.Await(10*time.Second, "the preview plays", `document.querySelector("#preview").videoWidth > 0`)
		if state := p.Attr("body", "data-state"); state != "lobby" {
			t.Errorf("the page is %q", state)
		}
	})

	t.Run("of no room", func(t *testing.T) {
		for name, path := range map[string]string{
			"no UTF-8": "%FF", "half a character": "%E8%8C", "too long": strings.Repeat("x", 129),
			"control character": "a%00b", "turned": "%E2%80%AEx",
		} {
			p := b.Open(server.HTTPS+"/call/"+path, lab.PageOptions{})
			p.Await(5*time.Second, "a link of no room is refused: "+name, `document.body.dataset.state == "failed"`)
			p.AwaitText(5*time.Second, ".end", "1 to 128 characters")
			p.Close()
		}
		p := b.Open(server.HTTPS+"/call/%FF", lab.PageOptions{Locale: "zh-CN"})
		p.AwaitText(5*time.Second, ".end", "128")
		p.Shoot("no-room")
	})
}

func TestPlainHTTPNamesTheSecureAddress(t *testing.T) {
	besideOthers(t)
	l := lab.New(t, lab.Symmetric, lab.Symmetric)
	server := lab.StartServer(t, l.Server, lab.Config)
	b := lab.StartBrowser(t, l.A, lab.BrowserOptions{})
	for _, tt := range []struct{ name, path, shown string }{
		{"index", "/", `https://203\.0\.113\.10:8443`},
		{"call", "/call/x", `https://203\.0\.113\.10:8443/call/x`},
	} {
		p := b.Open(server.HTTP+tt.path, lab.PageOptions{})
		p.AwaitText(5*time.Second, "body", tt.shown)
		p.Shoot("plain-http-" + tt.name)
	}
}
