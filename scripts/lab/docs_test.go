//go:build linux

package lab_test

import (
	"testing"
	"time"

	"signalbox/scripts/lab"
)

// TestSDKExamples presses every "Run" of /docs/sdk: what is shown there works, and says what it
// should. In Chinese, one of them speaks for the page.
func TestSDKExamples(t *testing.T) {
	besideOthers(t)
	l := lab.New(t, lab.Symmetric, lab.Symmetric)
	server := lab.StartServer(t, l.Server, lab.Config)
	b := lab.StartBrowser(t, l.A, lab.BrowserOptions{})
	for _, tt := range []struct{ locale, headline, verdict string }{
		{"en-US", "^The SDK$", "The connection is good"},
		{"zh-CN", "^SDK$", "连接良好"},
	} {
		t.Run(tt.locale, func(t *testing.T) {
			p := b.Open(server.HTTPS+"/docs/sdk", lab.PageOptions{Locale: tt.locale})
			p.AwaitText(5*time.Second, "h1", tt.headline)
			var count int
			p.Eval(`document.querySelectorAll(".doc-example").length`, &count)
			outputs := []struct{ name, output string }{
				{"connect", "connected over websocket as "},
				{"text", "Ada says: Hello, Bob!"},
				{"ask", "6 times 7 is 42"},
				{"presence", "Bob's hand is down\nBob's hand is up"},
				{"file", "1000000 bytes have arrived"},
				{"stats", "path: direct, round trip: [0-9.]+ ms\n.*" + tt.verdict},
				{"error", "no-such-peer: "},
			}
			if count != len(outputs) {
				t.Errorf("the page has %d examples, of which this test knows %d", count, len(outputs))
			}
			for _, example := range outputs {
				if tt.locale == "zh-CN" && example.name != "stats" {
					continue
				}
				p.Click("#example-" + example.name + " .doc-run")
				p.AwaitText(20*time.Second, "#example-"+example.name+" .doc-output", example.output)
				p.Await(5*time.Second, example.name+" is done",
					`document.querySelector("#example-`+example.name+`").dataset.state == "done"`)
			}
			fits(t, p)
			p.Eval(`location.hash = "#room-send"`, nil)
			p.Await(5*time.Second, "an anchor leads to its name",
				`document.querySelector("#room-send").getBoundingClientRect().top < innerHeight`)
			p.Eval(`window.before = document.querySelector("#contents").open`, nil)
			p.Press("#contents summary", "Enter")
			p.Await(5*time.Second, "a key folds the contents", `document.querySelector("#contents").open != before`)
		})
	}
}
