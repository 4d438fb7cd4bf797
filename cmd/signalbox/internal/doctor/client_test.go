package doctor

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/pion/stun/v3"

	"signalbox/internal/admission"
	"signalbox/internal/app"
	"signalbox/internal/trouble"
	"signalbox/internal/turnclient"
	"signalbox/signal/client"
)

func TestHealthyBoxIsHealthy(t *testing.T) {
	t.Parallel()
	r := ask(t, start(t).http(), Options{})
	for _, c := range r.Checks {
		if c.Verdict != OK || c.Fix != "" || c.Detail == "" {
			t.Errorf("%+v", c)
		}
	}
	for _, name := range []string{"DNS", "web", "ready", "clock", "WebSocket", "server-sent events", "room",
		"ICE servers", "stun/udp", "turn/udp", "turn/tcp", "relay ports"} {
		find(t, r, name)
	}
	for _, name := range []string{"turn/udp", "turn/tcp"} {
		named := find(t, r, name).Name
		find(t, r, named+" relay")
		wants(t, r, named+" data", OK, "20 packets there and back")
		wants(t, r, named+" refusals", OK, "401 for a wrong password", "403 for peers 169.254.169.254, 10.255.255.254")
	}
	if r.Failed != 0 || r.Warnings != 0 || !strings.HasPrefix(r.Verdict, "Everything works") {
		t.Errorf("%d failed, %d warnings: %s", r.Failed, r.Warnings, r.Verdict)
	}
	var again Report
	encoded, err := json.Marshal(r)
	if err == nil {
		err = json.Unmarshal(encoded, &again)
	}
	if err != nil || len(again.Checks) != len(r.Checks) {
		t.Errorf("as JSON: %v", err)
	}
}

// turns: has its own certificate check, and passes data like the others.
func TestTURNOverTLS(t *testing.T) {
	t.Parallel()
	cert, key := keyPair(t, time.Now().Add(60*24*time.Hour))
	b := start(t, "tls.mode=files", "tls.cert="+cert, "tls.key="+key)
	r := ask(t, b.https(), Options{TLS: rootsOf(t, cert)})
	wants(t, r, "certificate", OK, "for 127.0.0.1, of test, ends in 59 days")
	wants(t, r, "turn/tls", OK)
	wants(t, r, find(t, r, "turn/tls").Name+" data", OK)
	if r.Failed != 0 || r.Warnings != 0 {
		t.Error(text(r))
	}
}

func TestSelfSignedCertificate(t *testing.T) {
	t.Parallel()
	b := start(t)
	r := ask(t, b.https(), Options{})
	wants(t, r, "certificate", Failed, "self-signed, by signalbox local CA", "--ca FILE")
	wants(t, r, "WebSocket", OK) // the rest is looked at all the same
	if r.Failed != 1 {
		t.Error(text(r))
	}
	r = ask(t, b.https(), Options{TLS: rootsOf(t, filepath.Join(b.dir, "local-ca.pem"))})
	wants(t, r, "certificate", OK)
	if r.Failed != 0 || r.Warnings != 0 {
		t.Error(text(r))
	}
	r = ask(t, b.https(), Options{TLS: &tls.Config{InsecureSkipVerify: true}})
	wants(t, r, "certificate", Warning, "--insecure")
}

func TestCertificateThatHasExpiredOrWill(t *testing.T) {
	t.Parallel()
	for ends, want := range map[time.Duration]struct {
		Verdict
		words string
	}{
		-48 * time.Hour:              {Failed, "it expired on "},
		6*24*time.Hour + time.Minute: {Warning, "it ends in 6 days"},
	} {
		cert, key := keyPair(t, time.Now().Add(ends))
		r := ask(t, start(t, "tls.mode=files", "tls.cert="+cert, "tls.key="+key).https(),
			Options{TLS: rootsOf(t, cert)})
		wants(t, r, "certificate", want.Verdict, want.words, "renew")
	}
}

// Doctor sends no token to a server whose certificate it does not trust.
func TestTokenIsNotForStrangers(t *testing.T) {
	t.Parallel()
	b := start(t, "auth.mode=password", "auth.password=north-north")
	asked := false
	token := func(string) (string, error) {
		asked = true
		return "north-north", nil
	}
	r := ask(t, b.https(), Options{Token: token})
	wants(t, r, "signaling", Skipped, "no token to strangers")
	if strings.Contains(r.Verdict, "signaling") || !strings.Contains(r.Verdict, "certificate") {
		t.Error(r.Verdict)
	}
	if asked {
		t.Error("the token was asked for")
	}
}

func TestToken(t *testing.T) {
	t.Parallel()
	b := start(t, "auth.mode=password", "auth.password=north-north")
	wrong := func(string) (string, error) { return "south-south", nil }
	right := func(string) (string, error) { return "north-north", nil }
	for name, token := range map[string]func(string) (string, error){"none": nil, "wrong": wrong} {
		r := ask(t, b.http(), Options{Token: token})
		wants(t, r, "signaling", Failed, "no entry", "--token")
		if strings.Contains(text(r), "south-south") {
			t.Errorf("%s: the token is shown", name)
		}
		if r.Verdict != "No call can start: signaling does not work." {
			t.Error(r.Verdict)
		}
	}
	if r := ask(t, b.http(), Options{Token: right}); r.Failed != 0 || r.Warnings != 0 {
		t.Error(text(r))
	}
}

// A room token that is for other rooms: data goes between two relays of one session.
func TestTokenForOtherRooms(t *testing.T) {
	t.Parallel()
	set := []string{"auth.mode=jwt", "auth.jwt_key=north-north-north-north-north-north"}
	token := ownToken(configuration(t, set...))
	r := ask(t, start(t, set...).http(), Options{Token: func(string) (string, error) { return token("tea") }})
	wants(t, r, "room", Skipped, "other rooms")
	wants(t, r, find(t, r, "turn/udp").Name+" data", OK)
	if r.Failed != 0 || r.Warnings != 0 || strings.Contains(r.Verdict, "signaling") {
		t.Error(text(r))
	}
}

// A token that names a user lets in one session at a time: the box is not at fault.
func TestTokenOfOneUser(t *testing.T) {
	t.Parallel()
	set := []string{"auth.mode=jwt", "auth.jwt_key=north-north-north-north-north-north"}
	cfg := configuration(t, set...)
	minted, err := app.MintToken(&cfg,
		admission.TokenRequest{Patterns: []string{"*"}, User: "alice", TTL: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	b := start(t, set...)
	token := func(string) (string, error) { return minted.Token, nil }
	r := ask(t, b.http(), Options{Token: token})
	wants(t, r, "WebSocket", OK)
	wants(t, r, "server-sent events", Skipped, "one user")
	wants(t, r, "room", Skipped, "one user")
	wants(t, r, find(t, r, "turn/udp").Name+" data", OK)
	if r.Failed != 0 || r.Warnings != 0 || strings.Contains(r.Verdict, "signaling") {
		t.Error(text(r))
	}

	alice, err := client.Dial(deadline(t), b.http(), client.Options{Token: client.StaticToken(minted.Token)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(alice.Close)
	wants(t, ask(t, b.http(), Options{Token: token}), "signaling", Failed, "is already connected", "another user")
}

func TestDrainingBox(t *testing.T) {
	t.Parallel()
	b := start(t)
	b.app.Drain(deadline(t))
	r := ask(t, b.http(), Options{})
	wants(t, r, "ready", Failed, "draining")
	wants(t, r, "signaling", Failed, "draining")
}

func TestNoSignalbox(t *testing.T) {
	t.Parallel()
	other := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(other.Close)
	wants(t, ask(t, other.URL, Options{}), "web", Failed, "not as a signalbox does", "404")
	wants(t, ask(t, strings.Replace(other.URL, "http:", "https:", 1), Options{}), "web", Failed, "does not speak TLS",
		"http://")

	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { silent.Close() })
	r := ask(t, "http://"+silent.Addr().String(), Options{Timeout: 200 * time.Millisecond})
	wants(t, r, "web", Failed, "does not answer within 200 ms", "firewall")

	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed.Close()
	r = ask(t, "http://"+closed.Addr().String(), Options{})
	wants(t, r, "web", Failed, "nothing listens at")
	if r.Verdict != "The box can't be reached, so nothing else could be checked." || len(r.Checks) != 2 {
		t.Error(text(r))
	}
}

// No resolver is asked for a name with an empty label.
func TestNameThatLeadsNowhere(t *testing.T) {
	t.Parallel()
	r := ask(t, "https://call..invalid", Options{})
	if c := find(t, r, "DNS"); c.Verdict != Failed || c.Fix == "" || !strings.Contains(c.Detail, "call..invalid") {
		t.Error(text(r))
	}
}

// A reverse proxy that passes on no WebSockets costs a warning: calls start over server-sent
// events.
func TestProxyThatEatsWebSockets(t *testing.T) {
	t.Parallel()
	b := start(t)
	target, err := url.Parse(b.http())
	if err != nil {
		t.Fatal(err)
	}
	proxy := httputil.NewSingleHostReverseProxy(target)
	proxy.FlushInterval = -1
	proxy.ErrorLog = quiet()
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Upgrade") != "" {
			http.Error(w, "no upgrades", http.StatusBadGateway)
			return
		}
		r.Host = target.Host
		proxy.ServeHTTP(w, r)
	}))
	t.Cleanup(front.Close)
	r := ask(t, front.URL, Options{})
	wants(t, r, "WebSocket", Warning, "502", "Upgrade and Connection")
	wants(t, r, "server-sent events", OK)
	wants(t, r, find(t, r, "turn/udp").Name+" data", OK)
	if r.Failed != 0 || r.Warnings != 1 {
		t.Error(text(r))
	}
}

// A redirect is followed, and the box looked at where it leads.
func TestRedirect(t *testing.T) {
	t.Parallel()
	b := start(t)
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, b.https()+r.URL.Path, http.StatusTemporaryRedirect)
	}))
	t.Cleanup(front.Close)
	r := ask(t, front.URL, Options{TLS: rootsOf(t, filepath.Join(b.dir, "local-ca.pem"))})
	wants(t, r, "web", OK, "redirected to "+b.https())
	wants(t, r, "certificate", OK)
	if r.Failed != 0 {
		t.Error(text(r))
	}
}

// Anybody on the path can answer before doctor checks the certificate. A redirect to a host whose
// certificate is good, or out of TLS, gets no token.
func TestRedirectByAStranger(t *testing.T) {
	t.Parallel()
	cert, key := keyPair(t, time.Now().Add(60*24*time.Hour))
	b := start(t, "tls.mode=files", "tls.cert="+cert, "tls.key="+key, "auth.mode=password", "auth.password=north-north")
	asked := false
	token := func(string) (string, error) {
		asked = true
		return "north-north", nil
	}
	for _, to := range []string{strings.Replace(b.https(), "127.0.0.1", "localhost", 1), b.http()} {
		stranger := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, to+r.URL.Path, http.StatusFound)
		}))
		stranger.Config.ErrorLog = quiet()
		stranger.StartTLS()
		t.Cleanup(stranger.Close)
		r := ask(t, stranger.URL, Options{Token: token, TLS: rootsOf(t, cert)})
		wants(t, r, "web", Failed, "redirects to "+to, "name that URL")
	}
	if asked {
		t.Error("the token was asked for")
	}
}

// The box listens for TCP on all of loopback, and for UDP on 127.0.0.1 only: so at 127.0.0.9 it is
// as behind a firewall without UDP.
func TestUDPIsBlocked(t *testing.T) {
	t.Parallel()
	if runtime.GOOS != "linux" {
		t.Skip("only Linux has all of 127.0.0.0/8")
	}
	b := start(t, "turn.listen=:0", "turn.relay_ip=127.0.0.1", "public_ip=127.0.0.1", "public_host=127.0.0.9")
	r := ask(t, b.http(), Options{})
	_, port, err := net.SplitHostPort(b.app.Addrs().TURN[0])
	if err != nil {
		t.Fatal(err)
	}
	at := net.JoinHostPort("127.0.0.9", port)
	wants(t, r, "turn/udp "+at, Failed, "nothing listens on port "+port+"/udp")
	wants(t, r, "turn/tcp "+at+" data", OK)

	sink, err := net.ListenPacket("udp4", at)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { sink.Close() })
	r = ask(t, b.http(), Options{Timeout: 3 * time.Second}) // what is well answers by then
	wants(t, r, "stun/udp "+at, Failed, "nothing came back", "UDP is blocked", "ufw allow "+port+"/udp")
	wants(t, r, "turn/udp "+at, Failed, "TCP works")
	wants(t, r, "turn/tcp "+at+" data", OK)
	wants(t, r, "relay ports", Skipped)
	if r.Failed != 2 || !strings.HasPrefix(r.Verdict, "Calls connect from here, but not in every way") {
		t.Error(text(r))
	}
}

// Doctor needs two allocations at a time, however many addresses the box has.
func TestFewAllocationsAreEnough(t *testing.T) {
	t.Parallel()
	r := ask(t, start(t, "turn.limits.per_source=2", "turn.limits.per_user=1").http(), Options{})
	if r.Failed != 0 || r.Warnings != 0 {
		t.Error(text(r))
	}
}

// If this machine has one address family, the box's addresses of the other are no failure.
func TestMachineWithOneFamily(t *testing.T) {
	t.Parallel()
	if runtime.GOOS == "windows" {
		t.Skip("its error has another number")
	}
	for at, want := range map[string]string{"192.0.2.1:3478": "no IPv4", "[2001:db8::1]:3478": "no IPv6"} {
		one := &trial{target: target{Address: turnclient.Address{Addr: addrPort(at), Transport: "udp"}}}
		if c := one.unreachable(fmt.Errorf("connect: %w", syscall.ENETUNREACH)); c.Verdict != Skipped ||
			!strings.Contains(c.Detail, want) {
			t.Errorf("%+v", c)
		}
	}
}

// A network that says that nobody has the address is as one that says nothing of it.
func TestNobodyHasTheAddress(t *testing.T) {
	t.Parallel()
	if runtime.GOOS == "windows" {
		t.Skip("its error has another number")
	}
	for said, want := range map[error]bool{
		syscall.EHOSTUNREACH: true, context.DeadlineExceeded: true, syscall.ECONNREFUSED: false,
	} {
		one := &trial{target: target{Address: turnclient.Address{Addr: addrPort("192.0.2.1:3478"), Transport: "tcp"}}}
		c := one.unreachable(fmt.Errorf("connect: %w", said))
		if one.silent != want || c.Verdict != Failed {
			t.Errorf("%v: silent %v, %+v", said, one.silent, c)
		}
	}
}

// Another program at the port, and one that says nothing.
func TestNoTURNServer(t *testing.T) {
	t.Parallel()
	for name, other := range map[string]struct {
		serve  func(net.Conn)
		within time.Duration
		want   string
	}{
		"http": {func(c net.Conn) {
			c.Read(make([]byte, 20))
			io.WriteString(c, "HTTP/1.1 400 Bad Request\r\n\r\n")
		}, patience, "does not speak STUN"},
		"silent": {func(c net.Conn) { io.Copy(io.Discard, c) }, 300 * time.Millisecond, "nothing came back over TCP"},
	} {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { l.Close() })
		go func() {
			if c, err := l.Accept(); err == nil {
				other.serve(c)
				c.Close()
			}
		}()
		targets, c := resolve(deadline(t), []server{{url: "turn:" + l.Addr().String() + "?transport=tcp"}}, nil,
			scopeHost)
		if c.Verdict != OK || len(targets) != 1 {
			t.Fatalf("%+v", c)
		}
		one := &trial{target: targets[0]}
		one.run(deadline(t), Options{TLS: &tls.Config{}, Timeout: other.within}, new(sync.RWMutex))
		if len(one.checks) != 1 || one.checks[0].Verdict != Failed ||
			!strings.Contains(one.checks[0].Detail, other.want) {
			t.Errorf("%s: %+v", name, one.checks)
		}
	}
}

func TestCheckEndsWithItsContext(t *testing.T) {
	t.Parallel()
	silent, err := net.ListenPacket("udp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { silent.Close() })
	targets, _ := resolve(deadline(t), []server{{url: "stun:" + silent.LocalAddr().String()}}, nil, scopeHost)
	ctx, cancel := context.WithCancel(deadline(t))
	go func() {
		silent.ReadFrom(make([]byte, 100)) // it is on its way
		cancel()
	}()
	start := time.Now()
	one := &trial{target: targets[0]}
	one.run(ctx, Options{TLS: &tls.Config{}, Timeout: patience}, new(sync.RWMutex))
	if took := time.Since(start); took > patience/2 {
		t.Errorf("it took %v", took)
	}
}

func TestICEServerURLs(t *testing.T) {
	t.Parallel()
	for url, want := range map[string]string{
		"stun:192.0.2.1":                         "stun/udp 192.0.2.1:3478",
		"turn:192.0.2.1:3479?transport=udp":      "turn/udp 192.0.2.1:3479",
		"turn:[2001:db8::1]:3478?transport=tcp":  "turn/tcp [2001:db8::1]:3478",
		"turns:192.0.2.1?transport=tcp":          "turn/tls 192.0.2.1:5349",
		"turns:192.0.2.1:5349?transport=udp":     "", // DTLS
		"http://192.0.2.1":                       "",
		"turn:192.0.2.1:0":                       "",
		"turn:":                                  "",
		"turn:192.0.2.1:99999?transport=udp":     "",
		"turn:192.0.2.1:3478\x1b[2J?transport=x": "",
	} {
		got := ""
		if list, _ := resolve(deadline(t), []server{{url: url}}, nil, scopeHost); len(list) == 1 {
			got = list[0].String()
		}
		if got != want {
			t.Errorf("%q is %q, want %q", url, got, want)
		}
	}
}

// What it means that nothing comes in depends on where both ends are: a fault is only what can be
// told to be one.
func TestSilenceAtRelayPorts(t *testing.T) {
	t.Parallel()
	const box, elsewhere, lan, loopback = "203.0.114.7:50000", "203.0.115.9", "10.1.2.3", "127.0.0.1"
	for _, tc := range []struct {
		relay, mapped string
		refused       error
		want          Verdict
		words         string
	}{
		{box, elsewhere, nil, Failed, "relay ports are blocked"},
		{"203.0.114.99:50000", elsewhere, nil, Failed, "the box itself answers at 203.0.114.7"},
		{box, elsewhere, turnclient.CodeError{Code: 403}, Skipped, "answers 403"},
		{box, lan, nil, Skipped, "lets only public addresses in"},
		{box, "203.0.114.7", nil, Skipped, "share the address"},
		{lan + ":50000", elsewhere, nil, Skipped, "within its own network"},
		{loopback + ":50000", loopback, nil, Skipped, "within its own network"},
	} {
		c := silence(addrPort(tc.relay), addrPort(box).Addr(), addrPort(tc.mapped+":1").Addr(), tc.refused)
		if c.Verdict != tc.want || !strings.Contains(c.Detail, tc.words) {
			t.Errorf("%+v: %+v", tc, c)
		}
	}
}

// The page /check and doctor explain the same codes.
func TestCodesHaveWords(t *testing.T) {
	t.Parallel()
	for _, code := range []stun.ErrorCode{400, 401, 403, 437, 438, 440, 441, 442, 486, 500, 508} {
		c := refusedBy("x", turnclient.CodeError{Code: int(code)})
		if c.Code == trouble.Refused || c.Fix == "" || !strings.Contains(c.Detail, fmt.Sprint(int(code))) {
			t.Errorf("%d: %+v", code, c)
		}
	}
	if c := refusedBy("x", turnclient.CodeError{Code: 999}); !strings.Contains(c.Detail, "999") {
		t.Errorf("%+v", c)
	}
}

// A server's words can't steer the terminal.
func TestWordsArePrintable(t *testing.T) {
	t.Parallel()
	other := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		json.NewEncoder(w).Encode(map[string]string{"version": "1\x1b[2J\r\n" + strings.Repeat("x", 1000)})
	}))
	t.Cleanup(other.Close)
	r := ask(t, other.URL, Options{})
	if c := find(t, r, "web"); strings.ContainsAny(c.Detail, "\x1b\r\n") || len(c.Detail) > 200 {
		t.Errorf("%q", c.Detail)
	}
	wants(t, r, "WebSocket", Failed, "/signal with everything below it")
	wants(t, r, "server-sent events", Failed)
}

func TestClocks(t *testing.T) {
	t.Parallel()
	for skew, want := range map[time.Duration]Verdict{0: OK, 20 * time.Second: OK, time.Minute: Warning,
		-time.Hour: Warning} {
		other := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Date", time.Now().Add(skew).UTC().Format(http.TimeFormat))
			io.Copy(w, bytes.NewBufferString(`{"version":"1"}`))
		}))
		t.Cleanup(other.Close)
		r := ask(t, other.URL, Options{})
		wants(t, r, "clock", want)
	}
}

// ICE servers at an address that only the box itself knows lead every caller to their own machine.
func TestICEServersThatLeadAstray(t *testing.T) {
	t.Parallel()
	list := []server{{url: "turn:127.0.0.1:3478"}}
	if _, c := resolve(deadline(t), list, nil, scopeInternet); c.Verdict != Failed ||
		!strings.Contains(c.Detail, "which only the box itself knows") || !strings.Contains(c.Fix, "public_host") {
		t.Errorf("%+v", c)
	}
	if _, c := resolve(deadline(t), list, nil, scopeHost); c.Verdict != OK {
		t.Errorf("%+v", c)
	}
}

// When all checks of a box have taken too long, one that is cut short says nothing that it does not
// know, and what has been found out stands.
func TestChecksThatTakeTooLong(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeoutCause(t.Context(), 10*time.Millisecond, errTooSlow)
	defer cancel()
	d := New(nil)
	fine := func(context.Context) Check { return ok("fine") }
	waits := func(ctx context.Context) Check {
		<-ctx.Done()
		return failed(trouble.UDPBlocked, "", "nothing came back")
	}
	if v := d.check(ctx, "cut", patience, waits); v != Skipped {
		t.Errorf("a check that was cut short: %s", v)
	}
	if v := d.check(ctx, "late", patience, fine); v != Skipped {
		t.Errorf("a check that began too late: %s", v)
	}
	if r := d.Report(); len(r.Checks) != 1 || r.Failed != 0 {
		t.Error(text(r))
	}
	d.Client(t.Context(), Options{URL: &url.URL{Scheme: "http", Host: "192.0.2.1"}, TLS: &tls.Config{}, Timeout: 1,
		Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
			<-ctx.Done()
			return nil, ctx.Err()
		}})
	wants(t, d.Report(), "time", Failed, "the rest was not tried")
}
