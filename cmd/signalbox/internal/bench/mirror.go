package bench

import (
	"net"
	"sync"
)

// mirror is a way past a signaling server: a connection of this machine to itself.
type mirror struct{ source, sink net.Conn }

func (m *mirror) open() error {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	defer listener.Close()
	if m.source, err = net.Dial("tcp", listener.Addr().String()); err != nil {
		return err
	}
	m.sink, err = listener.Accept()
	return err
}

func (m *mirror) flows() []flow {
	return []flow{{framing: channelData(firstNumber, stampSize, true), stream: m.source}}
}

func (m *mirror) receive(r *run, receiving *sync.WaitGroup) {
	receiving.Go(func() { r.atStream(m.sink, nil) })
}

func (m *mirror) close() {
	for _, c := range []net.Conn{m.source, m.sink} {
		if c != nil {
			c.Close()
		}
	}
}
