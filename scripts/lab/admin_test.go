//go:build linux

package lab_test

import (
	"fmt"
	"testing"
	"time"

	"signalbox/scripts/lab"
)

func TestAdminPage(t *testing.T) {
	besideOthers(t)
	l := lab.New(t, lab.Symmetric, lab.Symmetric)
	server := lab.StartServer(t, l.Server, lab.Config)
	ann := enter(lab.StartBrowser(t, l.A, lab.BrowserOptions{}), server, "Ann", "", lab.PageOptions{})
	b := lab.StartBrowser(t, l.B, lab.BrowserOptions{})
	bo := enter(b, server, "Bo", "", lab.PageOptions{})
	watch(t, ann, 1)
	watch(t, bo, 1)

	link := server.AdminURL(t)
	admin := b.Open(link, lab.PageOptions{})
	admin.AwaitText(10*time.Second, "main", "Ann")
	admin.AwaitText(10*time.Second, "main", lab.AddrNATA)
	admin.Await(5*time.Second, "the code is gone from the address bar", `!location.href.includes("code=")`)
	admin.AwaitText(10*time.Second, "#rooms", `relayed: ↑ [\d.]+ [kM]bit/s`)
	admin.AwaitText(10*time.Second, "#bars", `relay ports, ipv4[^]*certificate[^]*days left`)
	admin.Await(5*time.Second, "allocations are folded under the person, the busiest first", `
		[...document.querySelectorAll("#rooms details")].some(d => !d.open && d.querySelector("[data-allocation]"))`)
	admin.Await(5*time.Second, "the last hour is drawn",
		`(({ width, title }) => width > 0 && /now/.test(title))(document.querySelector("#plot-relayed"))`)
	staysStill(t, admin)
	fits(t, admin)
	admin.Audit("admin")
	admin.Shoot("admin")
	// The link works once: for the other language, the same page.
	admin.Click("#language")
	admin.AwaitText(5*time.Second, "h1", "状态")
	admin.Shoot("admin-switched-to-zh-CN")

	t.Run("what has the focus stays", func(t *testing.T) {
		var uptime string
		admin.Eval(`(() => { (window.focused = document.querySelector("#rooms button")).focus(); return `+
			`document.querySelector("#figures").innerText })()`, &uptime)
		admin.Await(10*time.Second, "the figures are new",
			fmt.Sprintf(`document.querySelector("#figures").innerText != %q`, uptime))
		admin.Await(time.Second, "the button has the focus still",
			`document.activeElement == focused && focused.isConnected`)
	})

	t.Run("a ban is listed", func(t *testing.T) {
		admin.Click(`#rooms > li > .members > li:has-text("Ann") > button`)
		admin.Eval(`(document.querySelector("#kick-ban").value = "1h",
			document.querySelector("#kick-ban").dispatchEvent(new Event("change")))`, nil)
		admin.Fill("#kick-why", "noise")
		admin.Click("#kick-confirm")
		admin.AwaitText(10*time.Second, "#bans", lab.AddrNATA+"[^]*admin.token[^]*noise")
		ann.Await(5*time.Second, "Ann's call is over", `document.body.dataset.state == "failed"`)
		fits(t, admin)
	})

	t.Run("old numbers look old", func(t *testing.T) {
		for _, p := range []*lab.Page{admin, ann, bo} {
			p.Expect(`ERR_|WebSocket`)
		}
		server.Kill(t)
		admin.AwaitText(10*time.Second, "#freshness", `截至 \d.*无应答`)
		admin.Await(5*time.Second, "they are without color", `document.querySelector("#live").dataset.stale === ""`)
		fits(t, admin)
		admin.Click("#language")
		admin.AwaitText(5*time.Second, "#freshness", `as of .*no answer`)
		fits(t, admin)
		admin.Audit("admin with old numbers")
		admin.Shoot("admin-stale")
		server.Start(t)
		admin.Await(20*time.Second, "they are new", `!("stale" in document.querySelector("#live").dataset)`)
	})

	t.Run("a ban survives a restart, and is lifted", func(t *testing.T) {
		admin.AwaitText(10*time.Second, "#bans", lab.AddrNATA+"[^]*noise")
		admin.Click("#bans button")
		admin.Await(10*time.Second, "nobody is kept out", `document.querySelector("#bans").children.length == 0 && `+
			`!document.querySelector("#bans-empty").hidden`)
		ann.Click("#rejoin")
		knock(ann, "Ann")
		ann.Await(15*time.Second, "Ann is in the call again", `document.body.dataset.state == "in-call"`)
	})

	t.Run("the link works once", func(t *testing.T) {
		again := b.Open(link, lab.PageOptions{Locale: "zh-CN"})
		again.Expect("401")
		again.Await(5*time.Second, "the page is loaded", `document.readyState == "complete"`)
		var shows bool
		again.Await(5*time.Second, "the page says something", `document.querySelector("main").innerText.trim() != ""`)
		again.Eval(`document.querySelector("main").innerText.includes("Ann")`, &shows)
		if shows {
			t.Error("the used link shows the status again")
		}
		again.Shoot("admin-used-link")
	})
}

func TestAdminToken(t *testing.T) {
	besideOthers(t)
	const token = "what-the-operator-keeps"
	l := lab.New(t, lab.Symmetric, lab.Symmetric)
	server := lab.StartServer(t, l.Server, lab.Config, "--set", "admin.token="+token)
	b := lab.StartBrowser(t, l.A, lab.BrowserOptions{})
	for _, tt := range []struct{ locale, wrong string }{
		{"en-US", "not the admin token"},
		{"zh-CN", "不是此主机的管理令牌"},
	} {
		p := b.Open(server.HTTPS+"/admin", lab.PageOptions{Locale: tt.locale})
		p.Expect("401")
		p.Await(5*time.Second, "a token is asked for", `document.querySelector("#token").checkVisibility()`)
		for _, wrong := range []string{"nope", "令牌"} {
			p.Fill("#token", wrong)
			p.Press("#token", "Enter")
			p.AwaitText(5*time.Second, "#token-problem", tt.wrong)
		}
		if tt.locale == "en-US" {
			p.Audit("admin with a wrong token")
		}
		p.Shoot("admin-wrong-token")
		p.Fill("#token", " "+token+" ")
		p.Click("#token-open")
		p.Await(5*time.Second, "the status is shown", `document.body.dataset.state == "live"`)
		p.Await(time.Second, "no script finds the token, nor what stands for it",
			`!JSON.stringify([{...localStorage}, {...sessionStorage}]).includes("`+token+`") && document.cookie == ""`)
		p.Reload()
		p.Await(5*time.Second, "the status is shown again", `document.body.dataset.state == "live"`)
	}
}

func TestAdminKicks(t *testing.T) {
	besideOthers(t)
	l := lab.New(t, lab.Symmetric, lab.Symmetric)
	server := lab.StartServer(t, l.Server, lab.Config)
	ann := enter(lab.StartBrowser(t, l.A, lab.BrowserOptions{}), server, "Ann", "?relay=1", lab.PageOptions{})
	b := lab.StartBrowser(t, l.B, lab.BrowserOptions{})
	bo := enter(b, server, "Bo", "?relay=1", lab.PageOptions{})
	watch(t, ann, 1)
	watch(t, bo, 1)
	admin := b.Open(server.AdminURL(t), lab.PageOptions{})

	t.Run("bytes are those that browsers count", func(t *testing.T) {
		countAlike(t, admin, map[string]*lab.Page{"Ann": ann, "Bo": bo})
	})

	member := func(name string) string { return `#rooms > li > .members > li:has-text("` + name + `") > button` }
	ask := func(button string) {
		admin.Click(button)
		admin.Await(5*time.Second, "the page asks first", `document.querySelector("#kick").open`)
	}

	t.Run("not without an answer", func(t *testing.T) {
		ask(member("Bo"))
		admin.AwaitText(time.Second, "#kick", "kick bo\\?")
		admin.AwaitText(time.Second, "#kick", lab.AddrNATB)
		admin.Audit("admin asks")
		admin.Shoot("admin-kick")
		admin.Click("#kick-cancel")
		admin.Await(5*time.Second, "the question is gone", `!document.querySelector("#kick").open`)
		if state := bo.Attr("body", "data-state"); state != "in-call" {
			t.Errorf("Bo's page is %q", state)
		}
	})

	t.Run("an allocation", func(t *testing.T) {
		first := "#rooms details[open] li[data-allocation]"
		admin.Await(10*time.Second, "the allocations of somebody are unfolded", `(() => {
			const details = document.querySelector("#rooms details:not([hidden])");
			return details && (details.open = true);
		})()`)
		id := admin.Attr(first, "data-id")
		ask(first + " button")
		admin.Click("#kick-confirm")
		admin.AwaitText(5*time.Second, "#kick-said", "sessions: 0, allocations: 1")
		admin.Await(time.Second, "it is said in sight", `(() => {
			const { top, bottom } = document.querySelector("#kick-said").getBoundingClientRect();
			return top > 0 && bottom <= innerHeight;
		})()`)
		admin.Await(10*time.Second, "its row is gone", `!document.querySelector("[data-allocation='`+id+`']")`)
	})

	t.Run("a member", func(t *testing.T) {
		ask(member("Bo"))
		admin.Click("#kick-confirm")
		admin.AwaitText(5*time.Second, "#kick-said", "bo: ended. sessions: 1")
		bo.Await(5*time.Second, "Bo's call is over", `document.body.dataset.state == "failed"`)
		bo.AwaitText(5*time.Second, ".end", "operator .* removed you")
		ann.Await(10*time.Second, "Ann has no tile of Bo's", `!document.querySelector(".tile[data-peer]")`)
		bo.Click("#rejoin")
		knock(bo, "Bo")
		bo.Await(15*time.Second, "Bo, not banned, is in the call again", `document.body.dataset.state == "in-call"`)
	})

	t.Run("for an hour", func(t *testing.T) {
		admin.Await(10*time.Second, "Ann is listed", `document.querySelector("main").innerText.includes("Ann")`)
		ask(member("Ann"))
		admin.Eval(`document.querySelector("#kick-ban").value = "1h"`, nil)
		admin.Click("#kick-confirm")
		ann.Await(5*time.Second, "Ann's call is over", `document.body.dataset.state == "failed"`)
		ann.Click("#rejoin")
		knock(ann, "Ann")
		ann.Await(15*time.Second, "Ann is not let in", `document.body.dataset.state == "failed"`)
		ann.AwaitText(5*time.Second, ".end", "operator .* removed you")
		admin.Await(10*time.Second, "Ann is gone", `!document.querySelector("#rooms").innerText.includes("Ann")`)
		admin.Shoot("admin-kicked")
	})
}

// countAlike has two people in a relayed call send each other four megabytes, so that checks of
// connections don't matter, and compares what browsers, API and page say of it to within 2 %.
func countAlike(t *testing.T, admin *lab.Page, people map[string]*lab.Page) {
	t.Helper()
	for _, p := range people {
		p.Eval(`Promise.all(labPeerConnections.flatMap(pc => pc.getSenders()).map(s => s.replaceTrack(null)))
			.then(() => 0)`, nil)
		p.Eval(`(window.counting = labPeerConnections.find(pc => pc.connectionState == "connected")
			.createDataChannel("count", { negotiated: true, id: 1000 }), 0)`, nil)
	}
	for _, p := range people {
		p.Await(10*time.Second, "the channel is open", `counting.readyState == "open"`)
	}
	// Each waits for the other's next piece, so that no buffer on the way overflows.
	for _, p := range people {
		p.Eval(`(window.pieces = 0, counting.onmessage = () => {
			if (++pieces < 256) counting.send(new Uint8Array(16384));
		}, 0)`, nil)
	}
	for _, p := range people {
		p.Eval(`(counting.send(new Uint8Array(16384)), 0)`, nil)
	}
	for _, p := range people {
		p.Await(30*time.Second, "all has come", `pieces >= 256`)
	}

	for name, p := range people {
		type count struct{ Sent, Received float64 }
		var browser, api count
		alike := func(a, b float64) bool { return max(a, b)-min(a, b) <= 0.02*max(a, b) }
		for deadline := time.Now().Add(15 * time.Second); ; time.Sleep(200 * time.Millisecond) {
			p.Eval(`Promise.all(labPeerConnections.map(pc => pc.getStats())).then(reports => {
				const all = reports.flatMap(stats => [...stats.values()]).filter(s => s.type == "transport");
				const sum = what => all.reduce((n, s) => n + s[what], 0);
				return { Sent: sum("bytesSent"), Received: sum("bytesReceived") };
			})`, &browser)
			admin.Eval(`fetch("/api/admin/allocations?limit=500").then(r => r.json()).then(({ allocations }) => {
				const own = allocations.filter(a => a.name == "`+name+`");
				const sum = what => own.reduce((n, a) => n + a[what], 0);
				return { Sent: sum("fromClientBytes"), Received: sum("toClientBytes") };
			})`, &api)
			if alike(browser.Sent, api.Sent) && alike(browser.Received, api.Received) {
				t.Logf("%s: the browser counts %+v, the box %+v", name, browser, api)
				break
			}
			if time.Now().After(deadline) {
				t.Fatalf("%s: the browser counts %+v, the box %+v", name, browser, api)
			}
		}
	}
	admin.Await(15*time.Second, "each row has the bytes of its allocation", `
		fetch("/api/admin/allocations?limit=500").then(r => r.json()).then(({ allocations }) => {
			const units = { B: 1, kB: 1e3, MB: 1e6 };
			const shown = id => document.querySelector("[data-allocation='" + id + "']")?.textContent
				.match(/↑ ([\d.]+) ([kM]?B) ↓ ([\d.]+) ([kM]?B)/);
			const alike = (n, unit, m) => Math.abs(n * units[unit] - m) <= 0.02 * m;
			const busy = allocations.filter(a => a.fromClientBytes > 1e5 && a.toClientBytes > 1e5);
			return busy.length > 0 && busy.every(({ id, fromClientBytes, toClientBytes }) => {
				const [, from, fromUnit, to, toUnit] = shown(id) ?? [];
				return alike(from, fromUnit, fromClientBytes) && alike(to, toUnit, toClientBytes);
			});
		})`)
}
