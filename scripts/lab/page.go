//go:build linux

package lab

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"regexp"
	"strings"
	"time"
)

// PageOptions say who looks at a page, and how. The zero value is an English
// reader with a light 1440 x 900 screen; Firefox has no other language or colors.
type PageOptions struct {
	Locale        string // BCP 47
	Width, Height int    // CSS pixels
	Dark          bool
}

// A Page is one tab of a Browser, in a profile of its own. Its methods end the
// test if they fail, and belong to the test's goroutine.
type Page struct {
	b      *Browser
	number int
	look   PageOptions
	ignore []*regexp.Regexp // console errors that the test expects
}

// Open opens a page and waits until it is loaded.
func (b *Browser) Open(url string, look PageOptions) *Page {
	b.t.Helper()
	if look.Locale == "" {
		look.Locale = "en-US"
	}
	if look.Width == 0 {
		look.Width, look.Height = 1440, 900
	}
	p := &Page{b: b, look: look}
	err := b.request("open", map[string]any{
		"url": url, "locale": look.Locale, "width": look.Width, "height": look.Height, "dark": look.Dark,
	}, &p.number)
	if err != nil {
		b.t.Fatalf("open %s: %v", url, err)
	}
	b.pages = append(b.pages, p)
	return p
}

// Close closes the page.
func (p *Page) Close() {
	p.b.t.Helper()
	p.do("close", nil, nil)
}

// Reload loads the page anew.
func (p *Page) Reload() {
	p.b.t.Helper()
	p.do("reload", nil, nil)
}

// Eval evaluates a JavaScript expression in the page, awaits it if it is
// a promise, and decodes it into value as JSON.
func (p *Page) Eval(expression string, value any) {
	p.b.t.Helper()
	p.do("evaluate", map[string]any{"expression": expression}, value)
}

// Await evaluates a JavaScript expression until it is truthy. What reads something that isn't there
// yet, by a TypeError, isn't. The words say what is waited for. What the page takes to begin with
// it is no time within which it has to come true: a busy machine has as little for the page's own
// scripts.
func (p *Page) Await(within time.Duration, words, expression string) {
	p.b.t.Helper()
	const pause = 100 * time.Millisecond
	began, left := time.Now(), within
	for {
		var holds struct {
			Is any     // true, false, or why it can't be told
			MS float64 // that the expression took
		}
		p.do("holds", map[string]any{"expression": expression}, &holds)
		if holds.Is == true {
			return
		}
		left -= time.Duration(holds.MS * float64(time.Millisecond))
		if left <= 0 || time.Since(began) > within+patience {
			p.b.t.Fatalf("not within %v: %s (it is %v)\n%s", within, words, holds.Is, p.describe())
		}
		time.Sleep(pause)
		left -= pause
	}
}

// AwaitText waits until the text that is shown of some element that matches
// matches a regular expression of JavaScript's, in any case.
func (p *Page) AwaitText(within time.Duration, selector, pattern string) {
	p.b.t.Helper()
	p.Await(within, fmt.Sprintf("%s shows /%s/", selector, pattern),
		fmt.Sprintf("[...document.querySelectorAll(%s)].some(e => new RegExp(%s, 'i').test(e.innerText))",
			quote(selector), quote(pattern)))
}

// Text returns the text that is shown of the first element that matches.
func (p *Page) Text(selector string) string {
	p.b.t.Helper()
	var text string
	p.Eval(fmt.Sprintf("document.querySelector(%s)?.innerText ?? ''", quote(selector)), &text)
	return text
}

// Attr returns an attribute of the first element that matches, or "".
func (p *Page) Attr(selector, name string) string {
	p.b.t.Helper()
	var value string
	p.Eval(fmt.Sprintf("document.querySelector(%s)?.getAttribute(%s) ?? ''", quote(selector), quote(name)), &value)
	return value
}

// Click clicks an element once it is visible and enabled.
func (p *Page) Click(selector string) {
	p.b.t.Helper()
	p.do("click", map[string]any{"selector": selector}, nil)
}

// Fill replaces what a field holds.
func (p *Page) Fill(selector, text string) {
	p.b.t.Helper()
	p.do("fill", map[string]any{"selector": selector, "text": text}, nil)
}

// Press presses a key in an element.
func (p *Page) Press(selector, key string) {
	p.b.t.Helper()
	p.do("press", map[string]any{"selector": selector, "key": key}, nil)
}

// Shoot takes pictures of the page as a phone and as a desktop show it, light
// and, in Chromium, dark, and leaves them with the test's artifacts. It fails
// the test if the page is wider than the screen.
func (p *Page) Shoot(name string) {
	p.b.t.Helper()
	schemes := []string{"light", "dark"}
	if p.b.engine == Firefox {
		schemes = schemes[:1]
	}
	for _, size := range []struct{ width, height int }{{390, 844}, {1440, 900}} {
		for _, scheme := range schemes {
			p.do("look", map[string]any{"width": size.width, "height": size.height, "dark": scheme == "dark"}, nil)
			if over, what := p.sticksOut(); over > 0 {
				p.b.t.Errorf("%s, %d px: the page is %d px wider: %s", name, size.width, over, what)
			}
			file := fmt.Sprintf("%s-%s-%d-%s.png", name, p.look.Locale, size.width, scheme)
			p.do("screenshot", map[string]any{"path": filepath.Join(Artifacts(p.b.t), file), "full": true}, nil)
		}
	}
	p.do("look", map[string]any{"width": p.look.Width, "height": p.look.Height, "dark": p.look.Dark}, nil)
}

// Audit fails the test for what axe-core finds wrong with the page as a phone and as a desktop show
// it, light and dark, in every language. The name is the page's state.
func (p *Page) Audit(name string) {
	p.b.t.Helper()
	for range languages {
		for _, size := range []struct{ width, height int }{{390, 844}, {1440, 900}} {
			for _, scheme := range []string{"light", "dark"} {
				p.do("look", map[string]any{"width": size.width, "height": size.height, "dark": scheme == "dark"}, nil)
				var wrong []string
				p.do("audit", nil, &wrong)
				for _, sentence := range wrong {
					p.b.t.Errorf("%s, %d px, %s: %s", name, size.width, scheme, sentence)
				}
			}
		}
		p.switchLanguage()
	}
	p.do("look", map[string]any{"width": p.look.Width, "height": p.look.Height, "dark": p.look.Dark}, nil)
}

// languages is how many languages the pages have: as often switched, a page speaks as before.
const languages = 2

// switchLanguage uses the page's own switch, which a dialog may lie over.
func (p *Page) switchLanguage() {
	p.b.t.Helper()
	var was string
	p.Eval(`(() => {
		const was = document.documentElement.lang;
		document.querySelector("#language").click();
		return was;
	})()`, &was)
	p.Await(10*time.Second, "the page speaks another language", fmt.Sprintf(`document.documentElement.lang != %q`, was))
}

// Overflow returns by how many CSS pixels the page is wider than a screen of the
// given width, so that it would scroll sideways, and what sticks out.
func (p *Page) Overflow(width int) (over int, what string) {
	p.b.t.Helper()
	p.do("look", map[string]any{"width": width, "height": p.look.Height, "dark": p.look.Dark}, nil)
	over, what = p.sticksOut()
	p.do("look", map[string]any{"width": p.look.Width, "height": p.look.Height, "dark": p.look.Dark}, nil)
	return over, what
}

func (p *Page) sticksOut() (over int, what string) {
	p.b.t.Helper()
	p.Eval("document.documentElement.scrollWidth - document.documentElement.clientWidth", &over)
	if over > 0 {
		p.Eval(`[...document.querySelectorAll("body *")].filter(e => e.getBoundingClientRect().right > innerWidth + 0.5)
			.map(e => e.tagName + "#" + e.id + "." + e.className).join(" ")`, &what)
	}
	return over, what
}

// TooSmall returns what can be pressed, but not with a finger, on a screen of the given width: it
// has less than 44 CSS pixels one way (WCAG 2.5.5).
func (p *Page) TooSmall(width int) (what string) {
	p.b.t.Helper()
	p.do("look", map[string]any{"width": width, "height": p.look.Height, "dark": p.look.Dark}, nil)
	p.Eval(`[...document.querySelectorAll("button, .button, select, summary, .brand, .top nav a")]
		.filter(e => e.checkVisibility()).map(e => [e, e.getBoundingClientRect()])
		.filter(([, { width, height }]) => width > 0 && Math.min(width, height) < 43.5)
		.map(([e, { width, height }]) => e.tagName + "#" + e.id + "." + e.className + " " + width + "x" + height)
		.join(", ")`, &what)
	p.do("look", map[string]any{"width": p.look.Width, "height": p.look.Height, "dark": p.look.Dark}, nil)
	return what
}

// Expect names an error that the page may log, by a regular expression.
func (p *Page) Expect(pattern string) {
	p.ignore = append(p.ignore, regexp.MustCompile(pattern))
}

func (p *Page) do(op string, args map[string]any, value any) {
	p.b.t.Helper()
	line := map[string]any{"page": p.number}
	for k, v := range args {
		line[k] = v
	}
	if err := p.b.request(op, line, value); err != nil {
		p.b.t.Fatalf("%v\n%s", err, p.describe())
	}
}

type consoleLine struct{ Kind, Text string }

func (p *Page) console() ([]consoleLine, error) {
	var said []consoleLine
	err := p.b.request("said", map[string]any{"page": p.number}, &said)
	return said, err
}

// checkConsole fails the test for what went wrong in the page unnoticed.
func (p *Page) checkConsole() {
	p.b.t.Helper()
	said, err := p.console()
	if err != nil {
		p.b.t.Error(err)
	}
lines:
	for _, line := range said {
		if line.Kind != "error" && line.Kind != "uncaught" {
			continue
		}
		for _, pattern := range p.ignore {
			if pattern.MatchString(line.Text) {
				continue lines
			}
		}
		p.b.t.Errorf("in the page's console, %s: %s", line.Kind, line.Text)
	}
}

// describe shows the page as text, for a failure's message, and keeps a picture
// of it.
func (p *Page) describe() string {
	var out strings.Builder
	var state struct{ URL, State, Text string }
	err := p.b.request("evaluate", map[string]any{"page": p.number, "expression": `({
		URL: location.href, State: JSON.stringify(document.body?.dataset), Text: document.body?.innerText })`}, &state)
	if err != nil {
		return "the page can't be asked: " + err.Error()
	}
	fmt.Fprintf(&out, "the page %s, body's data %s, shows:\n%s\n", state.URL, state.State, state.Text)
	if said, err := p.console(); err == nil && len(said) > 0 {
		out.WriteString("its console:\n")
		for _, line := range said {
			fmt.Fprintf(&out, "  %s: %s\n", line.Kind, line.Text)
		}
	}
	file := filepath.Join(Artifacts(p.b.t), fmt.Sprintf("failed-%d.png", p.number))
	if p.b.request("screenshot", map[string]any{"page": p.number, "path": file, "full": true}, nil) == nil {
		fmt.Fprintf(&out, "a picture of it: %s\n", file)
	}
	return out.String()
}

// quote returns a string as a JavaScript literal.
func quote(s string) string {
	literal, err := json.Marshal(s)
	if err != nil {
		panic(err) // a string always encodes
	}
	return string(literal)
}
