package app

import (
	"errors"
	"net"
	"testing"
	"time"

	"signalbox/internal/edge"
)

func TestAbuse30HalfTLSHandshakesAreReaped(t *testing.T) {
	t.Parallel()
	app := startApp(t)
	hello := []byte{0x16, 0x03, 0x01, 0x02, 0x00, 0x01, 0x00, 0x01, 0xFC, 0x03, 0x03} // a ClientHello's beginning
	began := time.Now()
	var conns []net.Conn
	for i := range 100 {
		conn, err := net.Dial("tcp", app.Addrs().WebTLS)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		if _, err := conn.Write(hello[:i%(len(hello)+1)]); err != nil {
			t.Fatal(err)
		}
		conns = append(conns, conn)
	}
	for i, conn := range conns {
		if err := conn.SetReadDeadline(began.Add(edge.OpenTimeout + patience)); err != nil {
			t.Fatal(err)
		}
		var timeout net.Error
		if _, err := conn.Read(make([]byte, 1)); err == nil || errors.As(err, &timeout) && timeout.Timeout() {
			t.Fatalf("%d bytes of a handshake keep a connection open for %v", i%(len(hello)+1), time.Since(began))
		}
	}
}
