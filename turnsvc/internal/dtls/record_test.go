package dtls

import (
	"encoding/binary"
	"slices"
	"testing"
	"time"

	"signalbox/turnsvc/internal/wire"
)

func TestClassifyDTLS(t *testing.T) {
	t.Parallel()
	first := clientHello(nil)
	with := func(at int, value byte) []byte {
		b := slices.Clone(first)
		b[at] = value
		return b
	}
	packet, shake := record(contentApplication, 1, 1, 1),
		record(contentHandshake, 0, 1, make([]byte, handshakeHeader)...)
	for name, tc := range map[string]struct {
		datagram []byte
		want     kind
	}{
		"ClientHello":                  {first, hello},
		"ClientHello with a cookie":    {clientHello([]byte("cookie")), handshake},
		"ClientHello, a fragment":      {with(recordHeader+11, first[recordHeader+11]-1), handshake},
		"ClientHello, the rest of one": {with(recordHeader+8, 1), handshake},
		"ClientHello, encrypted":       {with(4, 1), handshake},
		"ClientHello of TLS":           {with(1, 3), other},
		"ClientHello and more":         {append(slices.Clone(first), packet...), handshake},
		"ServerHello":                  {with(recordHeader, messageServerHello), handshake},
		"data":                         {packet, data},
		"alert":                        {record(contentAlert, 1, 1, 1, 0), data},
		"two of data":                  {append(slices.Clone(packet), packet...), data},
		"data after a handshake":       {append(slices.Clone(shake), packet...), handshake},
		"a handshake after data":       {append(slices.Clone(packet), shake...), handshake},
		"change cipher spec":           {record(contentCipherSpec, 0, 1, 1), handshake},
		"plain data":                   {record(contentApplication, 0, 1, 1), plain},
		"plain alert":                  {record(contentAlert, 0, 1, 2, 40), plain},
		"plain alert, hidden behind data": {append(slices.Clone(packet), record(contentAlert, 0, 1, 2, 40)...),
			plain},
		"plain alert, hidden by a handshake": {slices.Concat(shake, record(contentAlert, 0, 1, 2, 40), shake),
			plain},
		"a later epoch":                     {record(contentApplication, 2, 1, 1), other},
		"a later epoch, handshake":          {record(contentHandshake, 2, 1, 1), other},
		"unknown content":                   {record(25, 1, 1, 1), other},
		"longer than it is":                 {packet[:len(packet)-1], other},
		"empty":                             {record(contentApplication, 1, 1), other},
		"half a header":                     {packet[:recordHeader-1], other},
		"half a header, hidden behind data": {append(slices.Clone(packet), packet[:5]...), other},
		"nothing":                           {nil, other},
	} {
		if got := classify(tc.datagram); got != tc.want {
			t.Errorf("%s: kind %d, want %d", name, got, tc.want)
		}
	}
}

// FuzzDTLS lets pion have what the front lets through of any first ClientHello and of what comes
// once its cookie is back. pion runs in goroutines of its own, so a panic there ends the fuzzing.
func FuzzDTLS(f *testing.F) {
	s := newServer(f)
	s.handshakes.hellos.SetLimit(1 << 20)
	server, client := listenLoopback(f), listenLoopback(f)
	src := wire.AddrPort(client.LocalAddr())
	f.Add(clientHello(nil)[recordHeader+handshakeHeader:],
		record(contentHandshake, 0, 2, 16, 0, 0, 2, 0, 2, 0, 0, 0, 0, 0, 2, 1, 4))
	f.Add(clientHello(nil)[recordHeader+handshakeHeader:], record(contentCipherSpec, 0, 2, 1))
	f.Add(clientHello(nil)[recordHeader+handshakeHeader:], record(contentHandshake, 1, 2, make([]byte, 40)...))
	f.Add([]byte{0xFE, 0xFD}, record(contentAlert, 0, 2, 2, 40))
	buf := make([]byte, MaxDatagram)
	f.Fuzz(func(t *testing.T, body, more []byte) {
		if len(body) > 1000 || len(more) > 4000 {
			return
		}
		front := s.NewFront(server.LocalAddr(), through(server))
		defer front.Close()
		front.Receive(helloMessage(body, 0), src)
		if front.peers[src] == (peer{}) {
			return // it is none
		}
		// What is wrong is answered with an alert, or with nothing.
		_ = client.SetReadDeadline(time.Now().Add(5 * time.Millisecond))
		n, from, err := client.ReadFromUDPAddrPort(buf)
		const verify = recordHeader + handshakeHeader + 3
		if err == nil && from == wire.AddrPort(server.LocalAddr()) && n > verify && buf[0] == contentHandshake &&
			len(body) > 35+int(body[34]) {
			// The cookie stands behind the session id.
			at := 35 + int(body[34])
			cookie := append([]byte{byte(n - verify)}, buf[verify:n]...)
			front.Receive(helloMessage(slices.Concat(body[:at], cookie, body[at+1:]), 1), src)
		}
		for len(more) > 0 { // each record is a datagram
			size := len(more)
			if size >= recordHeader {
				size = min(size, recordHeader+int(binary.BigEndian.Uint16(more[11:])))
			}
			front.Receive(more[:size], src)
			more = more[size:]
		}
	})
}

// helloMessage is a ClientHello with that body.
func helloMessage(body []byte, seq byte) []byte {
	n := []byte{0, byte(len(body) >> 8), byte(len(body))}
	return record(contentHandshake, 0, seq, slices.Concat([]byte{messageClientHello}, n, []byte{0, seq, 0, 0, 0}, n,
		body)...)
}
