//go:build linux

package lab_test

import (
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"signalbox/scripts/lab"
)

// The page that helps to trust the box, over plain http as a phone opens it that
// trusts nothing yet, and in both languages.
func TestTrustPage(t *testing.T) {
	besideOthers(t)
	l := lab.New(t, lab.Symmetric, lab.Symmetric)
	server := lab.StartServer(t, l.Server, lab.Config)
	b := lab.StartBrowser(t, l.A, lab.BrowserOptions{})
	for _, tt := range []struct{ locale, headline, until string }{
		{"en-US", "Trust this box", `\w+ \d+, 20\d\d`},
		{"zh-CN", "信任此主机", `20\d\d年\d+月\d+日`},
	} {
		t.Run(tt.locale, func(t *testing.T) {
			p := b.Open(server.HTTP+"/trust", lab.PageOptions{Locale: tt.locale})
			p.AwaitText(5*time.Second, "h1", tt.headline)
			p.AwaitText(5*time.Second, "#fingerprint", `^(([0-9A-F]{2}:){3}[0-9A-F]{2}\s*){8}$`)
			p.AwaitText(time.Second, "#until", tt.until)
			p.Await(time.Second, "the fingerprint is visible",
				`document.querySelector("#fingerprint").checkVisibility() && document.querySelector("#failed").hidden`)
			p.AwaitText(time.Second, "#qr-link", `^http://203\.0\.113\.10:8080/trust$`)
			p.Await(5*time.Second, "the QR code is drawn", `document.querySelector("#qr").naturalWidth > 0`)
			p.Await(time.Second, "the QR code has words",
				`document.querySelector("#qr").alt.includes("http://203.0.113.10:8080/trust")`)
			var open []string
			p.Eval(`[...document.querySelectorAll("#systems > details")].filter((d, i) => d.open || i < 2).map(d => `+
				`d.id)`, &open)
			if len(open) != 2 || open[0] != "system-linux" || open[1] != "system-chromium" {
				t.Errorf("Chromium on Linux has open or first %v", open)
			}
			p.Audit("trust")
			p.Shoot("trust")
			fits(t, p)

			p.Press("#system-ios summary", "Enter")
			p.Await(time.Second, "a key opens other steps", `document.querySelector("#system-ios").open`)
			p.Eval(`document.querySelectorAll("details").forEach(d => { d.open = true })`, nil)
			p.Shoot("trust-open")
			fits(t, p)
		})
	}

	t.Run("the start page leads there", func(t *testing.T) {
		p := b.Open(server.HTTP+"/", lab.PageOptions{})
		p.Click(`#insecure a[href="/trust"]`)
		p.AwaitText(5*time.Second, "h1", "Trust this box")
	})

	t.Run("the box does not answer", func(t *testing.T) {
		p := b.Open(server.HTTP+"/trust", lab.PageOptions{})
		p.AwaitText(5*time.Second, "#fingerprint", ":")
		p.Expect("ERR_CONNECTION")
		server.Stop(t)
		p.Eval(`document.querySelector("#retry").click()`, nil)
		p.Await(15*time.Second, "the page says so", `document.querySelector("#failed").checkVisibility()`)
		p.AwaitText(time.Second, "#failed-why", "did not answer")
		p.Shoot("trust-failed")
		server.Start(t)
		p.Click("#retry")
		p.Await(15*time.Second, "the box answers again",
			`document.querySelector("#failed").hidden && !document.querySelector("#authority").hidden`)
	})
}

// The steps of the visitor's own system stand first, and those of a browser that
// doesn't ask the system; all others are closed.
func TestTrustPageOpensTheVisitorsOwnSteps(t *testing.T) {
	besideOthers(t)
	l := lab.New(t, lab.Symmetric, lab.Symmetric)
	server := lab.StartServer(t, l.Server, lab.Config)
	for _, tt := range []struct {
		agent string
		want  []string
	}{
		{"Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) " +
			"Version/18.5 Mobile/15E148 Safari/604.1", []string{"system-ios"}},
		{"Mozilla/5.0 (Android 15; Mobile; rv:140.0) Gecko/140.0 Firefox/140.0",
			[]string{"system-android", "system-firefox"}},
		{"Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 " +
			"Safari/537.36 Edg/140.0.0.0", []string{"system-windows"}},
		{"Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.5 " +
			"Safari/605.1.15", []string{"system-macos"}},
	} {
		b := lab.StartBrowser(t, l.A, lab.BrowserOptions{NoCamera: true, Flags: []string{"--user-agent=" + tt.agent}})
		p := b.Open(server.HTTP+"/trust", lab.PageOptions{})
		p.AwaitText(5*time.Second, "#fingerprint", ":")
		var agent string
		var open, first []string
		p.Eval(`navigator.userAgent`, &agent)
		p.Eval(`[...document.querySelectorAll("#systems > details[open]")].map(d => d.id)`, &open)
		p.Eval(`[...document.querySelectorAll("#systems > details")].map(d => d.id)`, &first)
		if agent != tt.agent || !slices.Equal(open, tt.want) || !slices.Equal(first[:len(open)], open) {
			t.Errorf("%s: open %v of %v, want %v first", agent, open, first, tt.want)
		}
		p.Close()
	}
}

// On loopback there is no address for a phone's camera to find.
func TestTrustPageOfOneMachine(t *testing.T) {
	besideOthers(t)
	l := lab.New(t, lab.Symmetric, lab.Symmetric)
	server := lab.StartServer(t, l.Server, lab.Config, "--dev")
	b := lab.StartBrowser(t, l.Server, lab.BrowserOptions{})
	p := b.Open(server.Inside()+"/trust", lab.PageOptions{})
	p.Await(5*time.Second, "the page says why there is no QR code",
		`document.querySelector("#qr-none").checkVisibility()`)
	p.Await(time.Second, "that is all that it says",
		`document.querySelector("#failed").hidden && document.querySelector("#qr-figure").hidden && `+
			`!document.querySelector("#qr").src`)
	p.Shoot("trust-loopback")
}

// The commands on the page, run as they stand there, are all that Chromium needs, for
// the page, signaling and TURN over TLS; and those that take the trust back do.
func TestChromiumTrustsTheBoxAsItsPageSays(t *testing.T) {
	besideOthers(t)
	lab.Require(t, "certutil")
	l := lab.New(t, lab.Symmetric, lab.Symmetric)
	server := lab.StartServer(t, l.Server, lab.Config)
	home := t.TempDir()
	fetchFile(t, l.A, server.HTTP+"/ca.pem", filepath.Join(home, "ca.pem"))
	run := func(commands string) {
		t.Helper()
		l.A.Exec(t, "sh", "-ec", "cd '"+home+"'; HOME=$PWD\n"+commands)
	}
	// A browser reads the store when it starts.
	start := func() (b *lab.Browser, trusts bool) {
		b = lab.StartBrowser(t, l.A, lab.BrowserOptions{NoCamera: true, Verify: true, Home: home})
		p := b.Open("about:blank", lab.PageOptions{})
		p.Expect("ERR_CERT_AUTHORITY_INVALID")
		p.Eval(`fetch("`+server.HTTPS+`/version", { mode: "no-cors" }).then(() => true, () => false)`, &trusts)
		return b, trusts
	}
	b, trusts := start()
	if trusts {
		t.Fatal("it trusts the box before anybody has told it to")
	}
	p := b.Open(server.HTTP+"/trust", lab.PageOptions{})
	var trust, forget string
	p.Eval(`document.querySelector("#system-chromium > .code").textContent`, &trust)
	p.Eval(`document.querySelector("#system-chromium .undo .code").textContent`, &forget)

	run(trust)
	if b, trusts = start(); !trusts {
		t.Fatal("it does not trust the box after " + trust)
	}
	p = b.Open(server.HTTPS+"/", lab.PageOptions{})
	p.Await(20*time.Second, "a session over wss, and an allocation over TLS", `(async () => {
		const { connect } = await import("/signalbox.js");
		const session = await connect();
		const { username, credential } = session.iceServers.find((each) => each.username);
		const urls = "turns:" + location.host + "?transport=tcp";
		const pc = new RTCPeerConnection({ iceServers: [{ urls, username, credential }], iceTransportPolicy: "relay" });
		pc.createDataChannel("");
		const relayed = new Promise((resolve) => {
			pc.onicecandidate = ({ candidate }) => resolve(candidate?.type === "relay");
		});
		await pc.setLocalDescription();
		try {
			return session.carrier === "websocket" && await relayed;
		} finally {
			pc.close();
			session.close();
		}
	})()`)

	run(forget)
	if _, trusts = start(); trusts {
		t.Error("it still trusts the box after " + forget)
	}
}

func fetchFile(t *testing.T, from *lab.Namespace, url, path string) {
	t.Helper()
	resp, err := from.Client().Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("GET %s: %s, %v", url, resp.Status, err)
	}
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
}
