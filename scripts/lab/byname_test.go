//go:build linux

package lab_test

import (
	"strings"
	"testing"
	"time"

	"signalbox/scripts/lab"
)

// TestCallByName calls from start page to start page: who is there, ringing, declining, missing,
// being busy, and answering, which leads both into a room of their own.
func TestCallByName(t *testing.T) {
	besideOthers(t)
	l := lab.New(t, lab.PortRestricted, lab.PortRestricted)
	server := lab.StartServer(t, l.Server, lab.Config)
	b := lab.StartBrowser(t, l.A, lab.BrowserOptions{})
	const within = 10 * time.Second
	online := func(user string, look lab.PageOptions) *lab.Page {
		p := b.Open(server.HTTPS+"/", look)
		p.Fill("#user", user)
		p.Press("#user", "Enter")
		p.AwaitText(within, "#names-user", user)
		return p
	}
	ann := online("Ann", lab.PageOptions{})
	bo := online("Bo", lab.PageOptions{Locale: "zh-CN", Width: 390, Height: 844})
	rings := func(p *lab.Page, who string) {
		p.Await(within, "it rings", `document.querySelector("#ringing").open && document.title.includes("`+who+`") &&
			document.activeElement.id == "ringing-answer"`)
	}
	quiet := `!document.querySelector("#ringing").open`

	t.Run("a name that is taken", func(t *testing.T) {
		p := b.Open(server.HTTPS+"/", lab.PageOptions{})
		p.Fill("#user", "Ann")
		p.Click("#user-go")
		p.AwaitText(within, "#user-problem", "somebody else is here")
		p.Close()
	})

	ann.AwaitText(within, "#names-list", "Bo")
	ann.Audit("online")
	ann.Shoot("online")

	t.Run("declined", func(t *testing.T) {
		ann.Click("#names-list button")
		ann.Await(within, "it says whom it calls", `document.querySelector("#ringing-who").innerText.includes("Bo")`)
		rings(bo, "Ann")
		ann.Audit("calling")
		ann.Shoot("calling")
		bo.Audit("ringing")
		bo.Shoot("ringing")
		bo.Click("#ringing-decline")
		ann.AwaitText(within, "#names-said", "Bo has declined")
		bo.Await(within, "it rings no more", quiet+` && !document.title.includes("Ann")`)
		ann.Await(within, "the keys go on where they were", `!!document.activeElement.closest("#names-list")`)
	})

	t.Run("missed", func(t *testing.T) {
		ann.Fill("#callee", "@Bo")
		ann.Press("#callee", "Enter")
		rings(bo, "Ann")
		ann.Click("#ringing-decline")
		ann.Await(within, "it is given up", quiet)
		bo.AwaitText(within, "#missed-list", "Ann")
		bo.Audit("missed")
		bo.Shoot("missed")
		ann.Fill("#callee", "nobody")
		ann.Press("#callee", "Enter")
		ann.AwaitText(within, "#names-said", "nobody is not here")
		long := strings.Repeat("x", 65)
		for wrong, words := range map[string]string{" ": "type a name", "@Ann": "your own", long: "65 characters"} {
			ann.Fill("#callee", wrong)
			ann.Press("#callee", "Enter")
			ann.AwaitText(within, "#callee-problem", words)
		}
	})

	t.Run("answered", func(t *testing.T) {
		bo.Click("#missed-list button")
		rings(ann, "Bo")
		ann.Click("#ringing-answer")
		for _, p := range []*lab.Page{ann, bo} {
			p.Await(20*time.Second, "they are in a room of their own", `document.body.dataset.state == "in-call" &&
				/^\/call\/[\w-]{22}$/.test(location.pathname)`)
			watch(t, p, 1)
		}
		cy := online("Cy", lab.PageOptions{})
		cy.Fill("#callee", "Ann")
		cy.Press("#callee", "Enter")
		cy.AwaitText(within, "#names-said", "Ann is in another call")
		ann.Click("#leave")
		ann.Click(`.end a[href="/"]`)
		ann.AwaitText(within, "#missed-list", "Cy")
		ann.AwaitText(within, "#names-user", "Ann")
		cy.AwaitText(within, "#names-list", "Ann")
		ann.Click("#names-off")
		cy.Await(within, "Ann is gone", `!document.querySelector("#names-list").innerText.includes("Ann")`)

		for _, p := range []*lab.Page{ann, bo, cy} {
			p.Expect(`ERR_|WebSocket`)
		}
		server.Kill(t)
		cy.AwaitText(within, "#names-said", "out of reach")
		cy.AwaitText(within, "#health", "doesn.t answer")
		cy.Await(within, "nobody is said to be here, or can be called",
			`document.querySelector("#callee-go").disabled && !document.querySelector("#names-list").checkVisibility()`)
		fits(t, cy)
		cy.Shoot("online-box-away")
		server.Start(t)
		cy.Await(2*within, "others can be called again", `!document.querySelector("#callee-go").disabled &&
			document.querySelector("#names-said").innerText == ""`)
		cy.AwaitText(within, "#health", "is up")
	})
}
