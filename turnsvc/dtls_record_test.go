package turnsvc

import (
	"encoding/binary"
	"slices"
	"testing"
	"time"

	"signalbox/turnsvc/internal/wire"
)

func TestClassifyDTLS(t *testing.T) {
	t.Parallel()
	hello := clientHello(nil)
	with := func(at int, value byte) []byte {
		b := slices.Clone(hello)
		b[at] = value
		return b
	}
	data, handshake := record(contentApplication, 1, 1, 1),
		record(contentHandshake, 0, 1, make([]byte, handshakeHeader)...)
	for name, tc := range map[string]struct {
		datagram []byte
		want     dtlsKind
	}{
		"ClientHello":                  {hello, dtlsHello},
		"ClientHello with a cookie":    {clientHello([]byte("cookie")), dtlsHandshake},
		"ClientHello, a fragment":      {with(recordHeader+11, hello[recordHeader+11]-1), dtlsHandshake},
		"ClientHello, the rest of one": {with(recordHeader+8, 1), dtlsHandshake},
		"ClientHello, encrypted":       {with(4, 1), dtlsHandshake},
		"ClientHello of TLS":           {with(1, 3), dtlsOther},
		"ClientHello and more":         {append(slices.Clone(hello), data...), dtlsHandshake},
		"ServerHello":                  {with(recordHeader, messageServerHello), dtlsHandshake},
		"data":                         {data, dtlsData},
		"alert":                        {record(contentAlert, 1, 1, 1, 0), dtlsData},
		"two of data":                  {append(slices.Clone(data), data...), dtlsData},
		"data after a handshake":       {append(slices.Clone(handshake), data...), dtlsHandshake},
		"a handshake after data":       {append(slices.Clone(data), handshake...), dtlsHandshake},
		"change cipher spec":           {record(contentCipherSpec, 0, 1, 1), dtlsHandshake},
		"plain data":                   {record(contentApplication, 0, 1, 1), dtlsPlain},
		"plain alert":                  {record(contentAlert, 0, 1, 2, 40), dtlsPlain},
		"plain alert, hidden behind data": {append(slices.Clone(data), record(contentAlert, 0, 1, 2, 40)...),
			dtlsPlain},
		"plain alert, hidden by a handshake": {slices.Concat(handshake, record(contentAlert, 0, 1, 2, 40), handshake),
			dtlsPlain},
		"a later epoch":                     {record(contentApplication, 2, 1, 1), dtlsOther},
		"a later epoch, handshake":          {record(contentHandshake, 2, 1, 1), dtlsOther},
		"unknown content":                   {record(25, 1, 1, 1), dtlsOther},
		"longer than it is":                 {data[:len(data)-1], dtlsOther},
		"empty":                             {record(contentApplication, 1, 1), dtlsOther},
		"half a header":                     {data[:recordHeader-1], dtlsOther},
		"half a header, hidden behind data": {append(slices.Clone(data), data[:5]...), dtlsOther},
		"nothing":                           {nil, dtlsOther},
	} {
		if got := classifyDTLS(tc.datagram); got != tc.want {
			t.Errorf("%s: kind %d, want %d", name, got, tc.want)
		}
	}
}

// FuzzDTLS lets pion have what the front lets through of any first ClientHello and of what comes
// once its cookie is back. pion runs in goroutines of its own, so a panic there ends the fuzzing.
func FuzzDTLS(f *testing.F) {
	r := newRig(f, withDTLS(f))
	r.s.dtls.hellos.SetLimit(1 << 20)
	server, client := listenLoopback(f), listenLoopback(f)
	src := wire.AddrPort(client.LocalAddr())
	f.Add(clientHello(nil)[recordHeader+handshakeHeader:],
		record(contentHandshake, 0, 2, 16, 0, 0, 2, 0, 2, 0, 0, 0, 0, 0, 2, 1, 4))
	f.Add(clientHello(nil)[recordHeader+handshakeHeader:], record(contentCipherSpec, 0, 2, 1))
	f.Add(clientHello(nil)[recordHeader+handshakeHeader:], record(contentHandshake, 1, 2, make([]byte, 40)...))
	f.Add([]byte{0xFE, 0xFD}, record(contentAlert, 0, 2, 2, 40))
	buf := make([]byte, dtlsDatagram)
	f.Fuzz(func(t *testing.T, body, more []byte) {
		if len(body) > 1000 || len(more) > 4000 {
			return
		}
		front := newDTLSFront(r.s, server)
		defer front.close()
		front.receive(helloMessage(body, 0), src)
		if front.peers[src] == (dtlsPeer{}) {
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
			front.receive(helloMessage(slices.Concat(body[:at], cookie, body[at+1:]), 1), src)
		}
		for len(more) > 0 { // each record is a datagram
			size := len(more)
			if size >= recordHeader {
				size = min(size, recordHeader+int(binary.BigEndian.Uint16(more[11:])))
			}
			front.receive(more[:size], src)
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
