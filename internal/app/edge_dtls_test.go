package app

import (
	"bytes"
	"context"
	"net"
	"strings"
	"testing"
	"time"

	"signalbox/internal/config"

	"github.com/pion/dtls/v3"
	"github.com/pion/stun/v3"
)

// STUN, TURN and DTLS share the UDP port, and DTLS has the certificate of the TLS port.
func TestDTLSOnTheUDPPort(t *testing.T) {
	t.Parallel()
	app := startApp(t, "turn.dtls=true")
	plain, err := net.Dial("udp", app.Addrs().TURN[0])
	if err != nil {
		t.Fatal(err)
	}
	defer plain.Close()
	stunOverDatagrams(t, plain)

	conn := dialDTLS(t, app)
	defer conn.Close()
	stunOverDatagrams(t, conn)
	if state, ok := conn.ConnectionState(); !ok ||
		!bytes.Equal(state.PeerCertificates[0], app.certs.InForce().Pair.Certificate[0]) {
		t.Error("the certificate is not that of the TLS port")
	}
	for _, url := range iceURLs(app, "localhost") {
		if strings.HasPrefix(url, "turns:") && !strings.Contains(url, "transport=tcp") {
			t.Errorf("%s is handed out; browsers don't speak DTLS", url)
		}
	}
}

// dialDTLS opens TURN over DTLS.
func dialDTLS(t *testing.T, app *App) *dtls.Conn {
	t.Helper()
	server, err := net.ResolveUDPAddr("udp", app.Addrs().TURN[0])
	if err != nil {
		t.Fatal(err)
	}
	socket, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	conn, err := dtls.ClientWithOptions(socket, server, dtls.WithInsecureSkipVerify(true),
		dtls.WithSupportedProtocols("stun.turn"))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := conn.HandshakeContext(ctx); err != nil {
		t.Fatal(err)
	}
	return conn
}

func stunOverDatagrams(t *testing.T, conn net.Conn) {
	t.Helper()
	request := stun.MustBuild(stun.TransactionID, stun.BindingRequest)
	if _, err := conn.Write(request.Raw); err != nil {
		t.Fatal(err)
	}
	if err := conn.SetReadDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	answer := &stun.Message{Raw: make([]byte, 1500)}
	n, err := conn.Read(answer.Raw)
	if err != nil {
		t.Fatalf("no STUN answer: %v", err)
	}
	answer.Raw = answer.Raw[:n]
	if err := answer.Decode(); err != nil || answer.Type != stun.BindingSuccess ||
		answer.TransactionID != request.TransactionID {
		t.Errorf("answer %v: %v", answer, err)
	}
}

func TestDTLSNeedsACertificate(t *testing.T) {
	t.Parallel()
	if _, err := load(config.LoadOptions{Set: []string{"turn.dtls=true", "tls.mode=off"}}); err == nil ||
		!strings.Contains(err.Error(), "turn.dtls (--set): it needs a certificate") {
		t.Errorf("error %v", err)
	}
}
