//go:build linux

package lab_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/pion/stun/v3"

	"signalbox/scripts/lab"
)

// The box behind what has ports and addresses of its own: a TCP load balancer, and a router that
// leads some ports on, as docker does. The words are those of README.md.

// TestIssue16BehindHAProxy: whatever comes through a balancer is its client's: the address that the
// box sees, limits and bans. Nobody else can say so.
func TestIssue16BehindHAProxy(t *testing.T) {
	t.Parallel()
	l := lab.New(t, lab.Symmetric, lab.PortRestricted, lab.GlobalAddresses)
	balancer := l.AddHost(t, "lb", 65)
	balancer.Exec(t, "ip", "addr", "add", "10.0.0.2/24", "dev", "eth0")
	l.Server.Exec(t, "ip", "addr", "add", "10.0.0.5/24", "dev", "eth0")
	greedy, banned, other := l.AddHost(t, "greedy", 66), l.AddHost(t, "banned", 67), l.AddHost(t, "other", 68)
	for _, version := range []string{"send-proxy-v2", "send-proxy"} {
		t.Run(version, func(t *testing.T) {
			// The web port takes as many of a source as TURN, and four for each session.
			const perSource, most = 3, 3 + 4
			server := lab.StartServer(t, l.Server, snippet(t, "balancer.toml")+ownConfig,
				"--set", "admin.token="+statusToken, "--set", "signal.sessions_per_source=1",
				"--set", "turn.limits.connections_per_source="+fmt.Sprint(perSource))
			startHAProxy(t, balancer, strings.ReplaceAll(snippet(t, "haproxy.cfg"), "send-proxy-v2", version))
			front := *server // as its clients find it
			front.HTTP = "https://" + balancer.Public

			names := map[string]string{"turn.example.org": l.Server.Public, "call.example.org": balancer.Public}
			urls, clients := advertised(t, l.A, front.HTTP, names)
			want := "stun:turn.example.org:3478 turn:turn.example.org:3478?transport=udp " +
				"turns:call.example.org:443?transport=tcp"
			if urls != want {
				t.Errorf("/api/ice has %s, want %s", urls, want)
			}
			_, others := advertised(t, l.B, front.HTTP, names)
			converse(t, clients[0], others[1])
			converse(t, clients[1], others[1])

			hello(t, l.A, &front, "Ann", nil).join("tea")
			hello(t, l.B, &front, "Bo", nil).join("tea")
			seenAtTheirNATs(t, l, server)

			for n := range most + 1 {
				if err := greet(t, greedy, balancer.Public+":443", ""); (err == nil) != (n < most) {
					t.Errorf("connection %d of one client: %v", n+1, err)
				}
			}
			ban(t, l, server, banned.Public)
			for _, refused := range []struct {
				in   *lab.Namespace
				code string
			}{{banned, "kicked"}, {l.A, "rate-limited"}} {
				m := dialHub(t, refused.in, &front, nil)
				m.write(map[string]any{"type": "hello", "name": "Eve"})
				if frame := <-m.frames; !bytes.Contains(frame, []byte(`"`+refused.code+`"`)) {
					t.Errorf("who is %s is told %s", refused.code, frame)
				}
			}
			hello(t, other, &front, "Cy", nil)

			// A header is believed only of the balancer, which can't leave it out.
			claim := fmt.Sprintf("PROXY TCP4 192.0.2.7 %s 5000 443\r\n", balancer.Public)
			for _, c := range []struct {
				what       string
				in         *lab.Namespace
				to, header string
				let        bool
			}{
				{"a stranger with a header", other, l.Server.Public, claim, false},
				{"a stranger without", other, l.Server.Public, "", true},
				{"the balancer with a header", balancer, "10.0.0.5", claim, true},
				{"the balancer without", balancer, "10.0.0.5", "", false},
			} {
				if err := greet(t, c.in, c.to+":8443", c.header); (err == nil) != c.let {
					t.Errorf("%s: %v", c.what, err)
				}
			}
		})
	}
}

// TestIssue16BehindMappedPorts: a router, or docker, leads some ports of its address to the box,
// and no others. What clients are told leads there, and what is relayed finds its way in and out.
func TestIssue16BehindMappedPorts(t *testing.T) {
	t.Parallel()
	l := lab.New(t, lab.Symmetric, lab.PortRestricted, lab.GlobalAddresses, lab.OneToOneNAT)
	// docker run -p 443:8443 -p 3478:3478/udp -p 49152-49251:49152-49251/udp
	l.Cloud.Nft(t, strings.ReplaceAll(`
flush ruleset
table ip nat {
  chain pre {
    type nat hook prerouting priority dstnat
    iifname wan tcp dport 443 dnat to INSIDE:8443
    iifname wan udp dport { 3478, 49152-49251 } dnat to INSIDE
  }
  chain post { type nat hook postrouting priority srcnat; oifname wan masquerade; }
}
table ip filter {
  chain forw {
    type filter hook forward priority 0; policy drop
    ct state established,related accept; iifname lan accept; ct status dnat accept
  }
}
`, "INSIDE", lab.AddrServerInside))
	config := strings.ReplaceAll(snippet(t, "ports.toml"), "203.0.113.10", l.Server.Public)
	server := lab.StartServer(t, l.Server, config+ownConfig)
	origin := "https://" + server.Host()
	urls, clients := advertised(t, l.A, origin, nil)
	want := strings.ReplaceAll("stun:HOST:3478 turn:HOST:3478?transport=udp turns:HOST:443?transport=tcp", "HOST",
		server.Host())
	if urls != want {
		t.Errorf("/api/ice has %s, want %s", urls, want)
	}
	_, others := advertised(t, l.B, origin, nil)
	converse(t, clients[0], others[1])
	converse(t, clients[1], others[0])

	out := l.AddHost(t, "out", 64)
	peer := out.ListenUDP(t, out.Public+":0")
	client := newTURNClient(t, l.A, server, "udp", "u", "p")
	if code := client.bind(0x4000, peer.LocalAddr().(*net.UDPAddr).AddrPort()); code != 0 {
		t.Fatalf("ChannelBind: %d", code)
	}
	client.channelData(0x4000, "out")
	buf := make([]byte, 64)
	peer.SetReadDeadline(time.Now().Add(patience))
	n, from, err := peer.ReadFromUDPAddrPort(buf)
	if err != nil || string(buf[:n]) != "out" || from != client.relayed {
		t.Fatalf("the peer got %q of %v, want it of %v: %v", buf[:n], from, client.relayed, err)
	}
	stranger := out.ListenUDP(t, out.Public+":0") // to whom nothing was sent: his way in is the mapping
	if code := client.permit(stranger.LocalAddr().(*net.UDPAddr).AddrPort()); code != 0 {
		t.Fatalf("CreatePermission: %d", code)
	}
	if _, err := stranger.WriteToUDPAddrPort([]byte("in"), client.relayed); err != nil {
		t.Fatal(err)
	}
	if data := client.awaitData(); data != "in" {
		t.Errorf("the client got %q", data)
	}
}

// advertised asks /api/ice as a page of that origin does, and has all that is listed do its work:
// it returns a client with an allocation for each TURN URL. names are those that lead somewhere.
func advertised(t *testing.T, in *lab.Namespace, origin string, names map[string]string) (urls string,
	clients []*turnClient) {
	t.Helper()
	resp, err := in.Client().Get(origin + "/api/ice")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var got iceServers
	if err := json.NewDecoder(resp.Body).Decode(&got); err != nil {
		t.Fatalf("/api/ice: %s: %v", resp.Status, err)
	}
	var all []string
	for _, s := range got.ICEServers {
		for _, url := range s.URLs {
			all = append(all, url)
			uri, err := stun.ParseURI(url)
			if err != nil {
				t.Fatalf("%s: %v", url, err)
			}
			host := uri.Host
			if address := names[host]; address != "" {
				host = address
			}
			conn, err := in.DialContext(t.Context(), uri.Proto.String(), net.JoinHostPort(host, fmt.Sprint(uri.Port)))
			if err != nil {
				t.Fatalf("%s: %v", url, err)
			}
			t.Cleanup(func() { conn.Close() })
			if uri.Scheme == stun.SchemeTypeTURNS {
				conn = tls.Client(conn, &tls.Config{InsecureSkipVerify: true}) // self-signed
			}
			client := &turnClient{t: t, conn: conn}
			if s.Username != "" {
				client = allocateOn(t, conn, uri.Proto == stun.ProtoTypeTCP, s.Username, s.Credential)
				clients = append(clients, client)
			}
			answer := client.exchange(stun.MustBuild(stun.TransactionID, stun.BindingRequest))
			var mapped stun.XORMappedAddress
			if err := mapped.GetFrom(answer); err != nil {
				t.Fatalf("%s: Binding: %v", url, err)
			}
			if got := mapped.IP.String(); got != in.Public {
				t.Errorf("%s: the box sees %s, want %s", url, got, in.Public)
			}
		}
	}
	return strings.Join(all, " "), clients
}

// converse has two clients reach each other by their relays.
func converse(t *testing.T, a, b *turnClient) {
	t.Helper()
	for _, pair := range [][2]*turnClient{{a, b}, {b, a}} {
		if code := pair[0].permit(pair[1].relayed); code != 0 {
			t.Fatalf("CreatePermission: %d", code)
		}
	}
	for _, pair := range [][2]*turnClient{{a, b}, {b, a}} {
		pair[0].send(pair[1].relayed, "hello")
		if data := pair[1].awaitData(); data != "hello" {
			t.Errorf("%q came through", data)
		}
	}
}

// greet opens a TLS connection and keeps it for the rest of the test. The header goes before it.
func greet(t *testing.T, in *lab.Namespace, address, header string) error {
	t.Helper()
	conn, err := in.DialContext(t.Context(), "tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	if _, err := io.WriteString(conn, header); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	return tls.Client(conn, &tls.Config{InsecureSkipVerify: true}).HandshakeContext(ctx)
}

// ban keeps a source out, as an operator does.
func ban(t *testing.T, l *lab.Lab, server *lab.Server, source string) {
	t.Helper()
	body := strings.NewReader(fmt.Sprintf(`{"source": %q, "ban": "1h"}`, source))
	request, err := http.NewRequest(http.MethodPost, server.Inside()+"/api/admin/kick", body)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Authorization", "Bearer "+statusToken)
	request.Header.Set("Content-Type", "application/json")
	resp, err := l.Server.Client().Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		text, _ := io.ReadAll(resp.Body)
		t.Fatalf("ban: %s: %s", resp.Status, text)
	}
}

// startHAProxy runs HAProxy on port 443 with that configuration.
func startHAProxy(t *testing.T, in *lab.Namespace, config string) {
	t.Helper()
	lab.Require(t, "haproxy")
	file := filepath.Join(t.TempDir(), "haproxy.cfg")
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	startProxy(t, in, "haproxy", "-db", "-f", file)
}
