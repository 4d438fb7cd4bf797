//go:build !linux || !(amd64 || arm64 || riscv64 || loong64)

package bench

import (
	"errors"
	"net"
	"syscall"
	"time"
)

// Here datagrams go in and out one by one.

type rawConn struct{}

func openSocket(conn *net.UDPConn, buffer int) (*udpSocket, error) {
	_ = conn.SetReadBuffer(buffer) // the system caps what it grants
	_ = conn.SetWriteBuffer(buffer)
	return &udpSocket{UDPConn: conn}, nil
}

type kernel struct{}

func (*kernel) init(bool) {}

func (b *batch) send() error {
	for _, run := range b.runs {
		for i := range run.count {
			datagram := b.buf[run.at+i*run.size:][:run.size]
			var err error
			if run.to.IsValid() {
				_, err = b.socket.WriteToUDPAddrPort(datagram, run.to)
			} else {
				_, err = b.socket.Write(datagram)
			}
			if err != nil && !errors.Is(err, syscall.ECONNREFUSED) && !errors.Is(err, syscall.ENOBUFS) {
				return err
			}
		}
	}
	return nil
}

type inboxes struct{}

func (s *udpSocket) receive(_ *inboxes, now func() int64, take func(datagram []byte, now int64)) {
	buf := make([]byte, maxDatagram)
	for {
		n, _, err := s.ReadFromUDPAddrPort(buf)
		switch {
		case err == nil:
			take(buf[:n], now())
		case errors.Is(err, syscall.ECONNREFUSED):
		default:
			return
		}
	}
}

// pause waits as exactly as the system can.
type pause struct{}

func (pause) begin() {}

func (pause) wait(d time.Duration) { time.Sleep(d) }
