//go:build linux

package lab_test

import (
	"path"
	"slices"
	"strings"
	"testing"
	"time"

	"signalbox/scripts/lab"
)

// verdict waits until the check is over, unfolds its details and returns what it came to.
func verdict(p *lab.Page) string {
	defer p.Eval(`document.querySelector("#details").open = true`, nil)
	return verdictAlone(p)
}

// verdictAlone leaves the details folded.
func verdictAlone(p *lab.Page) string {
	p.Await(60*time.Second, "a verdict",
		`["good", "warn", "bad"].includes(document.querySelector("#verdict").dataset.verdict)`)
	return p.Attr("#verdict", "data-verdict")
}

// staysStill fails the test if something on the page has jumped since it was opened: Chromium's
// layout shifts, but for those of a word or two.
func staysStill(t *testing.T, p *lab.Page) {
	t.Helper()
	var shifts []string
	p.Eval(`new Promise(resolve => {
		new PerformanceObserver(list => resolve(list.getEntries())).observe({ type: "layout-shift", buffered: true });
		setTimeout(resolve, 200, []);
	}).then(entries => entries.filter(e => !e.hadRecentInput && e.value > 0.001).flatMap(({ value, sources }) =>
		sources.map(({ node }) => value.toFixed(4) + " " + (node?.outerHTML ?? "").slice(0, 100))))`, &shifts)
	for _, shift := range shifts {
		t.Errorf("something has jumped: %s", shift)
	}
}

// loadsOneLanguage fails the test if the page has loaded texts that it doesn't show.
func loadsOneLanguage(t *testing.T, p *lab.Page) {
	t.Helper()
	var loaded []string
	p.Eval(`performance.getEntriesByType("resource").map(({ name }) => name.match(/lang\/([^.]*)/)?.[1])
		.filter(Boolean)`, &loaded)
	slices.Sort(loaded) // what pages share, and what is the page's own
	if lang := p.Attr("html", "lang"); len(loaded) != 2 || loaded[0] != lang || path.Dir(loaded[1]) != lang {
		t.Errorf("the page is in %s and has loaded %v", lang, loaded)
	}
}

func TestCheckIsGoodBehindASymmetricNAT(t *testing.T) {
	besideOthers(t)
	l := lab.New(t, lab.Symmetric, lab.Symmetric)
	server := lab.StartServer(t, l.Server, lab.Config+lab.CertificateConfig(t))
	b := lab.StartBrowser(t, l.A, lab.BrowserOptions{})
	for locale, look := range map[string]lab.PageOptions{"en-US": {}, "zh-CN": {Width: 390, Height: 844}} {
		t.Run(locale, func(t *testing.T) {
			look.Locale = locale
			p := b.Open(server.HTTPS+"/check", look)
			if got := verdictAlone(p); got != "good" {
				t.Errorf("the verdict is %s: %s", got, p.Text("main"))
			}
			p.Await(time.Second, "the details are folded", `!document.querySelector("#servers-box").checkVisibility({
				contentVisibilityAuto: true })`)
			staysStill(t, p)
			p.Shoot("check-good-folded")
			p.Click("#details > summary")
			loadsOneLanguage(t, p)
			if locale == "en-US" {
				p.Audit("check")
			}
			for _, test := range []string{"#relay-test", "#reach-test"} {
				if got := p.Attr(test, "data-verdict"); got != "good" {
					t.Errorf("the verdict of %s is %s: %s", test, got, p.Text(test))
				}
			}
			p.AwaitText(time.Second, "#nat-test", "symmetric|对称")
			for _, fact := range []struct{ name, text string }{
				{"mapped", `^203\.0\.113\.1:\d+$`}, {"relay", `^203\.0\.113\.10:\d+$`}, {"first", `^\d+ (ms|毫秒)$`},
				{"rtt", `^[\d.]+ (ms|毫秒)$`}, {"rate", `^\d+ (of|/) 500 kbit/s$`}, {"loss", `^[\d.]+ ?%$`},
			} {
				p.AwaitText(time.Second, `.server[data-url$="udp"] [data-name="fact.`+fact.name+`"] dd`, fact.text)
			}
			p.Await(time.Second, "the round trip through the relay, in milliseconds",
				`Number(document.querySelector("#relay-test").dataset.rtt) >= 0`)
			var servers map[string]string
			p.Eval(`Object.fromEntries([...document.querySelectorAll(".server")].map(e => [e.dataset.url, `+
				`e.dataset.verdict]))`, &servers)
			for _, kind := range []string{"stun:", "transport=udp", "transport=tcp", "turns:"} {
				found := false
				for url, got := range servers {
					if strings.Contains(url, kind) {
						found = true
						if got != "good" {
							t.Errorf("the verdict of %s is %s", url, got)
						}
					}
				}
				if !found {
					t.Errorf("no server with %s among %v", kind, servers)
				}
			}
			var types map[string]int
			p.Eval(`[...document.querySelectorAll("#run-candidates tr[data-type]")].reduce((n, e) => ({...n, `+
				`[e.dataset.type]: (n[e.dataset.type] ?? 0) + 1}), {})`, &types)
			if types["srflx"] == 0 || types["relay"] == 0 {
				t.Errorf("candidates by type: %v", types)
			}

			var refused map[string]string
			p.Eval(`Object.fromEntries([...document.querySelectorAll("#refusals li")].map(e => [e.dataset.name, `+
				`e.dataset.verdict]))`, &refused)
			for _, what := range []string{"login", "peer"} {
				if refused[what] != "good" {
					t.Errorf("%s, which must be refused, is %q", what, refused[what])
				}
			}

			p.Click("#devices-test")
			p.AwaitText(10*time.Second, "#devices", `(\d+ × \d+)`)
			p.Await(10*time.Second, "the microphone's beeps are heard",
				`document.querySelector("#devices-microphone").dataset.verdict == "good"`)

			if over, what := p.Overflow(390); over > 0 {
				t.Errorf("on a phone, the page is %d pixels too wide: %s", over, what)
			}
			noCredentialInReport(t, p)
			p.Shoot("check-good")
		})
	}
}

// Under turn.peers = "room", the relay admits the browser's public address, since
// it has seen it, so that even the reachability test can tell.
func TestCheckIsGoodUnderTheDefaultPolicy(t *testing.T) {
	besideOthers(t)
	l := lab.New(t, lab.PortRestricted, lab.Symmetric, lab.GlobalAddresses)
	server := lab.StartServer(t, l.Server, lab.CertificateConfig(t))
	b := lab.StartBrowser(t, l.A, lab.BrowserOptions{})
	p := b.Open(server.HTTPS+"/check", lab.PageOptions{})
	if got := verdict(p); got != "good" {
		t.Errorf("the verdict is %s: %s", got, p.Text("main"))
	}
	for _, test := range []string{"#relay-test", "#reach-test"} {
		if got := p.Attr(test, "data-verdict"); got != "good" {
			t.Errorf("the verdict of %s is %s: %s", test, got, p.Text(test))
		}
	}
	p.AwaitText(time.Second, "#nat-test", "endpoint-independent")
	// It takes less than ten seconds; on a busy machine, the best of three does.
	took := 0
	for try := range 3 {
		if try > 0 {
			p.Click("#run")
			verdict(p)
		}
		if p.Eval("report.tookMs", &took); took < 10_000 {
			return
		}
	}
	t.Errorf("a box that is well takes %d ms", took)
}

// A device in another network opens the link, runs the same test, and both see what each has found,
// and that they reach each other through the box.
func TestCheckFromASecondNetwork(t *testing.T) {
	besideOthers(t)
	l := lab.New(t, lab.Symmetric, lab.UDPBlocked)
	server := lab.StartServer(t, l.Server, lab.Config)
	a, b := lab.StartBrowser(t, l.A, lab.BrowserOptions{}), lab.StartBrowser(t, l.B, lab.BrowserOptions{})
	here := a.Open(server.HTTPS+"/check", lab.PageOptions{})
	verdict(here)
	here.Click("#second-open")
	here.AwaitText(5*time.Second, "#second-verdict", "Waiting for the other device")
	here.Await(time.Second, "the link has a code", `document.querySelector("#second-qr path").getAttribute("d")`)
	link := here.Text("#second-url")
	if !strings.HasPrefix(link, server.HTTPS+"/check?with=") {
		t.Fatalf("the link is %s", link)
	}
	there := b.Open(link, lab.PageOptions{Locale: "zh-CN", Width: 390, Height: 844})
	for p, words := range map[*lab.Page]string{
		here:  `through it: round trip [\d.]+ ms(.|\n)*This device: Calls(.|\n)*udp works here, and fails`,
		there: `互相通话：往返 [\d.]+ 毫秒(.|\n)*在这里失败，在那里可用`,
	} {
		p.AwaitText(40*time.Second, "#second-verdict", words)
		if got := p.Attr("#second-verdict", "data-verdict"); got != "good" {
			t.Errorf("the verdict over both is %s: %s", got, p.Text("#second-verdict"))
		}
		p.Await(time.Second, "the report has it, too", `report.second.found.servers.length > 1`)
		p.Shoot("check-second")
	}
}

// A name that leads to two addresses is tested over IPv4 and IPv6 apart.
func TestCheckTellsFamiliesApart(t *testing.T) {
	besideOthers(t)
	const serverIP, clientIP = "2bad::10", "2bad::64" // global for the registries, and the lab's only
	l := lab.New(t, lab.FullCone, lab.FullCone)
	host := l.AddHost(t, "six", 64)
	host.Exec(t, "ip", "addr", "add", clientIP+"/64", "dev", "eth0", "nodad")
	l.Server.Exec(t, "ip", "addr", "add", serverIP+"/64", "dev", "eth0", "nodad")
	host.Exec(t, "ip", "route", "add", "default", "dev", "eth0")
	host.Exec(t, "ip", "route", "add", "default", "via", serverIP)
	host.Resolve(t, lab.ServerName, l.Server.Public, serverIP)
	server := lab.StartServer(t, l.Server, lab.Config+lab.CertificateConfig(t))
	b := lab.StartBrowser(t, host, lab.BrowserOptions{})
	p := b.Open(strings.Replace(server.HTTPS, lab.AddrServer, lab.ServerName, 1)+"/check", lab.PageOptions{})
	if got := verdict(p); got != "good" {
		t.Errorf("the verdict is %s: %s", got, p.Text("main"))
	}
	// Which of the two Chromium keeps for a relay is its own matter.
	p.Await(time.Second, "each row is good, and some are of either family", `(rows => rows.every(e =>
		e.dataset.verdict == "good") && ["(IPv4)", "(IPv6)"].every(family => rows.some(e =>
		e.innerText.includes(family))))([...document.querySelectorAll("#servers-box .server")])`)
	p.Shoot("check-families")

	// Over IPv6, nothing gets there any more. That is named, although all else works.
	drops(t, l.Server, "ip6 nexthdr { tcp, udp } drop")
	dead := b.Open(strings.Replace(server.HTTPS, lab.AddrServer, lab.ServerName, 1)+"/check", lab.PageOptions{})
	if got := verdict(dead); got != "warn" {
		t.Errorf("the verdict without IPv6 is %s: %s", got, dead.Text("main"))
	}
	dead.AwaitText(time.Second, "#verdict", "back over IPv6(.|\n)*in this network, or at the box(.|\n)*doctor")
	dead.Shoot("check-family-dead")
	switchLanguage(dead)
	dead.AwaitText(time.Second, "#verdict", "经 IPv6 收不到(.|\n)*要么此网络(.|\n)*doctor")
}

// An address that is none of the public internet is not admitted, seen or not.
// That is no fault, and the check must not call it one.
func TestCheckIsGoodWhereTheRelayAdmitsNoPrivateAddress(t *testing.T) {
	besideOthers(t)
	l := lab.New(t, lab.Symmetric, lab.Symmetric)
	server := lab.StartServer(t, l.Server, lab.CertificateConfig(t))
	b := lab.StartBrowser(t, l.A, lab.BrowserOptions{})
	for _, tt := range []struct{ locale, words string }{
		{"en-US", "admits only public addresses"},
		{"zh-CN", "只接纳"},
	} {
		p := b.Open(server.HTTPS+"/check", lab.PageOptions{Locale: tt.locale})
		if got := verdict(p); got != "good" {
			t.Errorf("the verdict is %s: %s", got, p.Text("main"))
		}
		if got := p.Attr("#reach-test", "data-verdict"); got != "unknown" {
			t.Errorf("the verdict of the reachability test is %s: %s", got, p.Text("#reach-test"))
		}
		p.AwaitText(time.Second, "#reach-test", tt.words)
		p.Shoot("check-address-not-admitted")
	}
}

// noCredentialInReport fails the test if the page's report, which people are
// going to post, would let a reader use the relay.
func noCredentialInReport(t *testing.T, p *lab.Page) {
	t.Helper()
	var report string
	p.Eval("JSON.stringify(report)", &report)
	if !strings.Contains(report, lab.AddrServer) {
		t.Errorf("the report is no report: %s", report)
	}
	var credentials []string
	p.Eval(`labPeerConnections.flatMap(pc => pc.getConfiguration().iceServers).map(s => s.credential).filter(Boolean)`,
		&credentials)
	if len(credentials) == 0 {
		t.Error("the page has used no credential")
	}
	for _, credential := range credentials {
		if strings.Contains(report, credential) {
			t.Errorf("the report holds a credential: %s", report)
		}
	}
}

func TestCheckNamesAWrongPassword(t *testing.T) {
	besideOthers(t)
	l := lab.New(t, lab.Symmetric, lab.Symmetric)
	server := lab.StartServer(t, l.Server, lab.Config)
	b := lab.StartBrowser(t, l.A, lab.BrowserOptions{})
	for _, tt := range []struct{ locale, words string }{
		{"en-US", "password|credential"},
		{"zh-CN", "密码|凭据|凭证"},
	} {
		t.Run(tt.locale, func(t *testing.T) {
			p := b.Open(server.HTTPS+"/check", lab.PageOptions{Locale: tt.locale})
			verdict(p)
			url := "turn:" + lab.AddrServer + ":3478?transport=udp"
			addServer(p, url, "u", "wrong")
			p.Await(15*time.Second, "it is tested at once",
				`document.querySelector("#own-verdict").dataset.verdict == "bad"`)
			if got := p.Attr("#verdict", "data-verdict"); got != "good" {
				t.Errorf("the verdict over the box is %s: %s", got, p.Text("main"))
			}
			wrong := `.server[data-code="401"]`
			if got := p.Attr(wrong, "data-verdict"); got != "bad" {
				t.Fatalf("no server is bad with the code 401: %s", p.Text("main"))
			}
			p.AwaitText(time.Second, wrong, "401")
			p.AwaitText(time.Second, wrong, tt.words)
			p.Shoot("check-wrong-password")
		})
	}
}

// addServer types a server of the reader's own in.
func addServer(p *lab.Page, url, username, password string) {
	p.Fill("#url", url)
	p.Fill("#username", username)
	p.Fill("#password", password)
	p.Click("#add")
}

// They are tested when they are added, and judged apart from the box; its own part stays as it was.
func TestCheckTakesServersOfTheReadersOwn(t *testing.T) {
	besideOthers(t)
	l := lab.New(t, lab.Symmetric, lab.Symmetric)
	server := lab.StartServer(t, l.Server, lab.Config)
	b := lab.StartBrowser(t, l.A, lab.BrowserOptions{})
	p := b.Open(server.HTTPS+"/check", lab.PageOptions{})
	verdict(p)
	own := func(want string) {
		t.Helper()
		p.Await(30*time.Second, "own servers are "+want, `document.querySelector("#own-verdict").dataset.verdict == "`+
			want+`"`)
		if got := p.Attr("#verdict", "data-verdict"); got != "good" {
			t.Errorf("the verdict over the box is %s: %s", got, p.Text("main"))
		}
	}
	addServer(p, "turn:"+lab.AddrServer+":3478?transport=tcp", "u", "p")
	own("good")
	addServer(p, "turn:"+lab.AddrServer+":3999?transport=tcp", "u", "p")
	own("bad")
	if text := p.Text("#section-own"); strings.Contains(text, "ufw") {
		t.Errorf("somebody else's server gets advice for this box: %s", text)
	}
	p.Shoot("check-own")
	p.Click("#run")
	p.Await(5*time.Second, "it runs again", `document.querySelector("#verdict").dataset.verdict == "running"`)
	if got := verdict(p); got != "good" {
		t.Errorf("the verdict over the box is %s: %s", got, p.Text("main"))
	}
	own("bad")
}

// Without UDP the relay still does it: that is worth a word, not an alarm.
func TestCheckWithUDPBlocked(t *testing.T) {
	besideOthers(t)
	l := lab.New(t, lab.UDPBlocked, lab.Symmetric)
	server := lab.StartServer(t, l.Server, lab.Config)
	b := lab.StartBrowser(t, l.A, lab.BrowserOptions{})
	p := b.Open(server.HTTPS+"/check", lab.PageOptions{})
	if got := verdict(p); got != "warn" {
		t.Errorf("the verdict is %s: %s", got, p.Text("main"))
	}
	if got := p.Attr("#relay-test", "data-verdict"); got != "good" {
		t.Errorf("the verdict of the relay test is %s: %s", got, p.Text("#relay-test"))
	}
	p.AwaitText(time.Second, "#verdict", "nothing arrived at the box over UDP")
	p.Shoot("check-udp-blocked")
	switchLanguage(p)
	p.AwaitText(time.Second, "#verdict", "没有任何 UDP 数据到达主机")
}

// tricklePage has the elements of the trickle ICE page of webrtc/samples.
const tricklePage = `<!doctype html><title>Trickle ICE</title><link rel="icon" href="/assets/favicon.svg">
	<select id="servers" size="4"></select><input id="url"><input id="username"><input id="password">
	<button id="add">Add Server</button><button id="remove">Remove Server</button><button id="reset">Reset</button>
	<input type="radio" name="transports" value="all" id="all" checked>
	<input type="radio" name="transports" value="relay" id="relay">
	<input id="iceCandidatePool" type="range" min="0" max="10" value="0">
	<table id="candidates"><tbody id="candidatesBody"></tbody></table>
	<button id="gather">Gather candidates</button><pre id="error"></pre><script src="trickle.js"></script>`

// A script that was written for the trickle ICE page of webrtc/samples finds its elements, and its
// words; and that page, which the box serves, finds the relay.
func TestCheckAsTheTricklePage(t *testing.T) {
	besideOthers(t)
	l := lab.New(t, lab.Symmetric, lab.Symmetric)
	root := t.TempDir()
	write(t, root, tricklePage, "trickle/trickle.js")
	server := lab.StartServer(t, l.Server, lab.Config, "--set", "web.root="+root)
	b := lab.StartBrowser(t, l.A, lab.BrowserOptions{})
	gather := func(p *lab.Page, url, user, password, last string) string {
		t.Helper()
		p.Click("#reset")
		p.Fill("#url", url)
		p.Fill("#username", user)
		p.Fill("#password", password)
		p.Click("#add")
		p.Click("#gather")
		p.Await(20*time.Second, "a row says "+last, `[...document.querySelectorAll("#candidatesBody tr")].some(e =>
			/\t`+last+`$/.test(e.innerText))`)
		return p.Text("#candidatesBody")
	}
	udp, tcp := "turn:"+lab.AddrServer+":3478?transport=udp", "turn:"+lab.AddrServer+":3478?transport=tcp"
	original := b.Open(server.HTTPS+"/trickle.html", lab.PageOptions{})
	p := b.Open(server.HTTPS+"/check?auto=1", lab.PageOptions{})
	for _, page := range []*lab.Page{original, p} {
		rows := gather(page, udp, "u", "p", "Done")
		if !strings.Contains(rows, "relay") || !strings.Contains(rows, "srflx") {
			t.Errorf("candidates: %s", rows)
		}
		if rows := gather(page, tcp, "u", "p", "Done"); !strings.Contains(rows, "relay") {
			t.Errorf("candidates over TCP: %s", rows)
		}
		gather(page, udp, "u", "wrong", "Authentication failed.")
		page.AwaitText(time.Second, "#error", "returned an error with code=401")
	}
	p.Await(time.Second, "the note is shown", `document.querySelector("#error-note").checkVisibility()`)
	gather(p, "turn:"+lab.AddrServer+":3478?transport=tcp", "u", "wrong", "Done")
	p.AwaitText(time.Second, "#error", "returned an error with code=401")
	gather(p, "turn:"+lab.AddrServer+":3999?transport=tcp", "u", "p", "Done")
	p.AwaitText(time.Second, "#error", "returned an error with code=701")
	gather(p, "stun:"+lab.AddrServer+":3478", "", "", "Done")
	p.Click("#relay")
	if rows := gather(p, udp, "u", "p", "Done"); strings.Contains(rows, "host") {
		t.Errorf("candidates of the relay alone: %s", rows)
	}
	if over, what := p.Overflow(390); over > 0 {
		t.Errorf("on a phone, the page is %d pixels too wide: %s", over, what)
	}
	p.Shoot("check-trickle")

	verdict(p)
	var report struct {
		Verdict string
		Servers []struct {
			URL       string
			Box       []string
			Sightings []map[string]any
		}
	}
	p.Eval("report", &report)
	if report.Verdict != "good" || len(report.Servers) < 3 || len(report.Servers[1].Box) == 0 {
		t.Errorf("the report: %+v", report)
	}
	// It can be opened again, here by a file that the page makes itself.
	p.Eval(`(() => {
		const files = new DataTransfer();
		const text = JSON.stringify({ ...report, verdict: "bad", text: "From elsewhere." });
		files.items.add(new File([text], "report.json"));
		const input = document.querySelector("#open-report");
		input.files = files.files;
		input.dispatchEvent(new Event("change"));
	})()`, nil)
	p.AwaitText(5*time.Second, "#verdict", "From elsewhere")
	p.AwaitText(time.Second, "#section-box .half-box", "relayed address")
	p.Shoot("check-opened")
	// A test of one's own server, from here, leaves it as it is.
	addServer(p, "turn:"+lab.AddrServer+":3478?transport=tcp", "u", "p")
	p.Await(15*time.Second, "it is tested", `document.querySelector("#own-verdict").dataset.verdict == "good"`)
	p.AwaitText(time.Second, "#verdict", "From elsewhere")
	p.Await(time.Second, "the report is the one that was opened", `report.text == "From elsewhere."`)
}
