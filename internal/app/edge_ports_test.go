package app

import (
	"fmt"
	"net"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pion/stun/v3"
)

// 4 of the operators' reports: each entry of turn.listen opens the transport that it names, and no
// other, and that is what clients are told.
func TestPortsByTransport(t *testing.T) {
	t.Parallel()
	pemFile := filepath.Join(t.TempDir(), "both.pem")
	writeCertificate(t, pemFile, "127.0.0.1")
	app := startApp(t, "tls.mode=files", "tls.cert="+pemFile, "tls.key="+pemFile, "web.tls_listen=127.0.0.1:0",
		`turn.listen=["udp/127.0.0.1:0", "tcp/127.0.0.1:0", "tls/127.0.0.1:0", "tls/127.0.0.1:0"]`)
	at := app.Addrs().TURN
	if len(at) != 4 {
		t.Fatal(at)
	}
	urls := iceURLs(app, "127.0.0.1")
	for _, want := range []string{"stun:" + at[0], "turn:" + at[0] + "?transport=udp",
		"turn:" + at[1] + "?transport=tcp"} {
		if !slices.Contains(urls, want) {
			t.Errorf("%s is missing in %v", want, urls)
		}
	}
	if n := strings.Count(strings.Join(urls, " "), "turn:"); n != 2 {
		t.Errorf("what isn't served is in %v", urls)
	}
	udp, err := net.Dial("udp", at[0])
	if err != nil {
		t.Fatal(err)
	}
	defer udp.Close()
	if err := bindOver(udp); err != nil {
		t.Errorf("UDP: %v", err)
	}
	if conn, err := net.Dial("tcp", at[0]); err == nil {
		conn.Close()
		t.Error("the entry for UDP has TCP")
	}
	for _, one := range at[1:] {
		if conn, err := net.ListenPacket("udp", one); err != nil {
			t.Errorf("an entry for TCP or TLS has UDP: %v", err)
		} else {
			conn.Close()
		}
		plain, err := net.Dial("tcp", one)
		if err != nil {
			t.Fatal(err)
		}
		if err := allocateOn(plain); (err == nil) != (one == at[1]) {
			t.Errorf("TCP on %s: %v", one, err)
		}
		plain.Close()
		if one == at[1] {
			continue
		}
		conn := dialTLS(t, one, nil)
		if err := allocateOn(conn); err != nil {
			t.Errorf("TLS on %s: %v", one, err)
		}
		conn.Close()
		if conn := dialTLS(t, one, []string{"h2"}); allocateOn(conn) == nil {
			t.Errorf("%s serves TURN to who asks for a web page", one)
		}
	}
}

func bindOver(conn net.Conn) error {
	request := stun.MustBuild(stun.TransactionID, stun.BindingRequest)
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		return err
	}
	if _, err := conn.Write(request.Raw); err != nil {
		return err
	}
	answer := &stun.Message{Raw: make([]byte, 1500)}
	n, err := conn.Read(answer.Raw)
	if err != nil {
		return err
	}
	answer.Raw = answer.Raw[:n]
	if err := answer.Decode(); err != nil {
		return err
	}
	if answer.Type != stun.BindingSuccess {
		return fmt.Errorf("answer %v", answer)
	}
	return nil
}

// UDP shares its port with https on TCP, and a second box does not share it unnoticed.
func TestUDPBesideHTTPS(t *testing.T) {
	t.Parallel()
	probe, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port := probe.Addr().String()
	probe.Close()
	app := startApp(t, "web.tls_listen="+port, "turn.listen=udp/"+port)
	if app.Addrs().WebTLS != port || app.Addrs().TURN[0] != port {
		t.Fatalf("%+v", app.Addrs())
	}
	second := newApp(t, "web.tls_listen=", "turn.listen=udp/"+port)
	if err := second.Listen(); err == nil || !strings.Contains(err.Error(), "another program has that port") {
		second.Close()
		t.Errorf("a second box on the same UDP port: %v", err)
	}
}
