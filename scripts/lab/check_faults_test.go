//go:build linux

package lab_test

import (
	"regexp"
	"testing"
	"time"

	"signalbox/scripts/lab"
	"signalbox/turnsvc/cred"
)

// fault is something that is wrong with a box, or with the way to it, and what the page says of it.
type fault struct {
	name     string
	config   string
	firewall string // nftables rules of the box's input
	verdict  string
	// en and zh are what the verdict says in each language, as regular expressions; silent what it
	// must not say: another fault's name.
	en, zh, silent string
}

// boxFaults are those of a box, each at a global address, so that the default policy keeps nothing
// from it.
func boxFaults() []fault {
	return []fault{
		{
			name: "a-wrong-public-address", config: `public_ip = "203.0.114.77"`, verdict: "bad",
			en: `203\.0\.114\.77.*203\.0\.114\.6(.|\n)*public_ip`, zh: `203\.0\.114\.77(.|\n)*public_ip`,
			silent: "ufw|closed|无法从外部",
		},
		{
			name: "relay-ports-closed", firewall: "udp dport 49152-65535 drop", verdict: "bad",
			en: `ports are closed(.|\n)*49152\D{1,5}65535`, zh: `端口(.|\n)*49152\D{1,5}65535`, silent: "public_ip|701",
		},
		{
			name: "udp-dropped-at-the-box", firewall: "meta l4proto udp drop", verdict: "warn",
			en: "nothing came back over UDP", zh: "没有(收到|任何) UDP", silent: "out of this network|出不了",
		},
		{
			name: "the-user's-limit", config: "[turn.limits]\nper_user = 1\n", verdict: "bad",
			en: "486(.|\n)*per_user", zh: "486(.|\n)*per_user", silent: "public_ip|ufw|701",
		},
		{
			name: "no-relay-port-left", config: "[turn]\nrelay_ports = \"50000-50000\"\n", verdict: "bad",
			en: "508(.|\n)*relay port", zh: "508(.|\n)*中继端口", silent: "public_ip|ufw|701",
		},
		{
			name: "a-port-that-the-browser-refuses", config: `turn = { listen = ["udp/:3478", "tcp/:1000"] }`,
			verdict: "warn", en: "port 1000(.|\n)*Chromium allows", zh: "端口 1000(.|\n)*Chromium", silent: "ufw|policy",
		},
		{
			name: "a-policy-that-refuses", config: `turn = { deny_peers = ["203.0.114.1"] }`, verdict: "good",
			en: `doesn’t send to 203\.0\.114\.1\D.*turn\.deny_peers`, zh: `不向.*203\.0\.114\.1\D.*turn\.deny_peers`,
			silent: "ufw|public_ip|closed",
		},
	}
}

func TestCheckNamesTheFault(t *testing.T) {
	besideOthers(t)
	l := lab.New(t, lab.Symmetric, lab.Symmetric, lab.GlobalAddresses)
	b := lab.StartBrowser(t, l.A, lab.BrowserOptions{})
	faults := boxFaults()
	pages, _ := openAll(t, l, b, faults)
	for i, f := range faults {
		t.Run(f.name, func(t *testing.T) {
			names(t, pages[i], f)
			pages[i].Shoot("check-" + f.name)
			pages[i].Close()
		})
	}
}

// What Firefox tells of a fault is less than what Chromium does, and the box makes up for it.
func TestCheckNamesTheFaultInFirefox(t *testing.T) {
	besideOthers(t)
	l := lab.New(t, lab.Symmetric, lab.Symmetric, lab.GlobalAddresses)
	b := lab.StartBrowser(t, l.A, lab.BrowserOptions{Engine: lab.Firefox})
	faults := boxFaults()[:3]
	pages, servers := openAll(t, l, b, faults)
	for i, f := range faults {
		t.Run(f.name, func(t *testing.T) { names(t, pages[i], f) })
	}
	t.Run("a wrong password", func(t *testing.T) {
		addServer(pages[0], "turn:"+servers[0].Host()+":3478?transport=udp", "nobody", "x")
		row := `.server[data-origin="own"]`
		pages[0].AwaitText(15*time.Second, row, "no such user, or the password is wrong")
		switchLanguage(pages[0])
		pages[0].AwaitText(time.Second, row, "没有这个用户，或者密码不对")
	})
	t.Run("the box is lost", func(t *testing.T) {
		losesTheBox(t, pages[2], servers[2]) // where it waits for what doesn't come
	})
}

// openAll starts a box for each fault and opens the page at all of them at once, since it waits for
// what doesn't come.
func openAll(t *testing.T, l *lab.Lab, b *lab.Browser, faults []fault) (pages []*lab.Page, servers []*lab.Server) {
	t.Helper()
	for i, f := range faults {
		box := l.AddHost(t, "box"+string(rune('a'+i)), uint8(64+i))
		box.Exec(t, "ip", "route", "add", "default", "dev", "eth0")
		servers = append(servers, lab.StartServer(t, box, f.config))
		if f.firewall != "" {
			drops(t, box, f.firewall)
		}
		pages = append(pages, b.Open(servers[i].HTTPS+"/check", lab.PageOptions{}))
	}
	return pages, servers
}

// drops puts a rule into the input of a host's firewall; the func that it returns takes it out.
func drops(t *testing.T, host *lab.Namespace, rule string) (open func()) {
	t.Helper()
	host.Nft(t, "table inet fault { chain inp { type filter hook input priority 0; "+rule+"; }; }")
	return func() { host.Exec(t, "nft", "delete", "table", "inet", "fault") }
}

// names awaits the verdict of a page and compares what it says in both languages.
func names(t *testing.T, p *lab.Page, f fault) {
	t.Helper()
	if got := verdict(p); got != f.verdict {
		t.Errorf("the verdict is %s: %s", got, p.Text("main"))
	}
	for _, words := range []string{f.en, f.zh} {
		said := p.Text("#verdict")
		if !regexp.MustCompile("(?i)" + words).MatchString(said) {
			t.Errorf("the verdict doesn't name the fault, as %q: %s", words, said)
		}
		if f.silent != "" && regexp.MustCompile("(?i)"+f.silent).MatchString(said) {
			t.Errorf("the verdict names another fault: %s", said)
		}
		for _, other := range boxFaults() {
			if other.name != f.name && regexp.MustCompile("(?i)"+other.en+"|"+other.zh).MatchString(said) {
				t.Errorf("the verdict names %s: %s", other.name, said)
			}
		}
		switchLanguage(p)
	}
}

// switchLanguage has the page say the same in the other language.
func switchLanguage(p *lab.Page) {
	before := p.Attr("html", "lang")
	p.Click("#language")
	p.Await(5*time.Second, "it is in another language", `document.documentElement.lang != "`+before+`"`)
}

// A page that came in by the very port at which TURN over TLS fails, knows that it is open.
func TestCheckNamesAnUntrustedCertificate(t *testing.T) {
	besideOthers(t)
	l := lab.New(t, lab.Symmetric, lab.Symmetric, lab.GlobalAddresses)
	server := lab.StartServer(t, l.Server, lab.CertificateConfig(t))
	b := lab.StartBrowser(t, l.A, lab.BrowserOptions{Past: true})
	p := b.Open(server.HTTPS+"/check", lab.PageOptions{})
	names(t, p, fault{
		name: "an-untrusted-certificate", verdict: "warn", en: "port is open.*certificate", zh: "端口是通的.*证书",
		silent: "blocked|被阻断|ufw",
	})
	p.Shoot("check-an-untrusted-certificate")
}

// The other half of a row is what the box has seen of this browser, and of nobody else.
func TestCheckShowsWhatTheBoxSees(t *testing.T) {
	besideOthers(t)
	l := lab.New(t, lab.Symmetric, lab.UDPBlocked)
	const secret = "a secret of the lab's"
	server := lab.StartServer(t, l.Server, lab.Config, "--set", "turn.secret="+secret)
	expired, password := cred.NewKeys(secret).Mint(cred.Shared, "someone", time.Now().Add(-time.Hour))
	b := lab.StartBrowser(t, l.A, lab.BrowserOptions{})
	p := b.Open(server.HTTPS+"/check", lab.PageOptions{})
	blocked := lab.StartBrowser(t, l.B, lab.BrowserOptions{}).Open(server.HTTPS+"/check", lab.PageOptions{})
	box := func(p *lab.Page, url, want string) {
		t.Helper()
		p.AwaitText(5*time.Second, `.server[data-url="`+url+`"] .half-box`, want)
	}
	udp, tcp := "turn:"+lab.AddrServer+":3478?transport=udp", "turn:"+lab.AddrServer+":3478?transport=tcp"
	verdict(p)
	for _, url := range []string{udp, tcp} {
		box(p, url, `came from 203\.0\.113\.1:\d+ and got \D+203\.0\.113\.10:\d+(.|\n)*relayed [1-9]\d\d kB`)
	}
	for _, tt := range []struct{ user, password, want, zh, fix string }{
		{"nobody", "x", "no such user, or the password is wrong", "没有这个用户", "turn.users"},
		{"u", "wrong", "no such user, or the password is wrong", "密码不对", "turn.users"},
		{"4000000000:someone", "x", "another secret", "另一个密钥", "turn.secret"},
		{expired, password, "has expired", "已过期", "new one"},
	} {
		addServer(p, udp, tt.user, tt.password)
		row := `.server[data-origin="own"]`
		p.AwaitText(10*time.Second, row+" .half-box", "refused .401.(.|\n)*"+tt.want)
		p.AwaitText(time.Second, row, tt.fix)
		switchLanguage(p)
		p.AwaitText(time.Second, row+" .half-box", "401(.|\n)*"+tt.zh)
		switchLanguage(p)
	}
	p.Shoot("check-both-halves")
	p.AwaitText(time.Second, "#section-box", "relayed address") // the box's own rows are as they were

	verdict(blocked)
	box(blocked, udp, "nothing arrived")
	if got := blocked.Attr(`.server[data-url="`+udp+`"] .halves`, "data-arrow"); got != "out" {
		t.Errorf("the arrow breaks %q", got)
	}
	box(blocked, tcp, `came from 203\.0\.113\.2:\d+`)
	others := regexp.MustCompile(`203\.0\.113\.1:|another secret|no such user`)
	if text := blocked.Text("main"); others.MatchString(text) {
		t.Errorf("somebody else's test is shown: %s", text)
	}
	blocked.Shoot("check-nothing-arrived")
}

// What the page has found out before the box was lost is no finding about its relay.
func TestCheckSaysThatTheBoxWasLost(t *testing.T) {
	besideOthers(t)
	l := lab.New(t, lab.Symmetric, lab.Symmetric)
	server := lab.StartServer(t, l.Server, lab.Config)
	b := lab.StartBrowser(t, l.A, lab.BrowserOptions{})
	p := b.Open(server.HTTPS+"/check", lab.PageOptions{})
	verdict(p)
	// So that the next run waits for what doesn't come.
	open := drops(t, l.Server, "meta l4proto udp drop")
	losesTheBox(t, p, server)
	open()
	server.Start(t)
	p.AwaitText(20*time.Second, "#verdict", "servers done")
	if got := verdict(p); got != "good" {
		t.Errorf("the verdict over the box that came back is %s: %s", got, p.Text("main"))
	}
}

// losesTheBox runs the test again, of a box that UDP doesn't get to, and kills the box meanwhile.
func losesTheBox(t *testing.T, p *lab.Page, server *lab.Server) {
	t.Helper()
	p.Expect("WebSocket|ERR_CONNECTION_REFUSED|can’t establish a connection|was interrupted")
	p.Click("#run")
	p.AwaitText(10*time.Second, "#verdict", "servers done")
	switchLanguage(p) // so that its texts are there when the box is not
	switchLanguage(p)
	server.Kill(t)
	p.AwaitText(3*time.Second, "#verdict", "the box was lost")
	if got := p.Text("main"); regexp.MustCompile("public_ip|turn.peers").MatchString(got) {
		t.Errorf("a fault of the relay is named: %s", got)
	}
	if got := p.Text("#servers-box"); regexp.MustCompile("(?i)waiting|testing").MatchString(got) {
		t.Errorf("rows of a test that broke off: %s", got)
	}
	p.Shoot("check-lost")
	switchLanguage(p)
	p.AwaitText(time.Second, "#verdict", "失去了联系")
	p.Shoot("check-lost-zh")
	switchLanguage(p)
}

// What the strictest networks let out is enough, and what they don't is named.
func TestCheckWhereOnlyPort443IsOpen(t *testing.T) {
	besideOthers(t)
	l := lab.New(t, lab.TCP443Only, lab.Symmetric)
	l.A.Resolve(t, lab.ServerName, l.Server.Public)
	server := lab.StartServer(t, l.Server, lab.Config+lab.CertificateConfig(t), "--set", "web.tls_listen=:443")
	server.HTTPS = "https://" + lab.ServerName // the ICE servers follow: see lab.Firefox
	for _, engine := range []lab.Engine{lab.Chromium, lab.Firefox} {
		p := lab.StartBrowser(t, l.A, lab.BrowserOptions{Engine: engine}).Open(server.HTTPS+"/check", lab.PageOptions{})
		if got := verdict(p); got != "warn" {
			t.Errorf("%s: the verdict is %s: %s", engine, got, p.Text("main"))
		}
		p.AwaitText(time.Second, "#verdict", "not in every way(.|\n)*nothing arrived at the box over UDP")
		if got := p.Attr(`.server[data-url^="turns:"]`, "data-verdict"); got != "good" {
			t.Errorf("%s: the verdict of TURN over TLS is %s: %s", engine, got, p.Text("#servers-box"))
		}
		p.Shoot("check-443-" + string(engine))
		switchLanguage(p)
		p.AwaitText(time.Second, "#verdict", "并非每条路都通(.|\n)*没有任何 UDP 数据到达主机")
	}
}
