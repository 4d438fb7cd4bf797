//go:build linux

package lab_test

import (
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pion/stun/v3"
)

// tally counts numbered packets of one direction.
type tally struct {
	mu     sync.Mutex
	sent   uint32
	heard  []bool // by number
	got    uint32
	twice  uint32
	absurd uint32 // were never sent
}

// next makes the next packet.
func (y *tally) next() []byte {
	y.mu.Lock()
	defer y.mu.Unlock()
	y.sent++
	y.heard = append(y.heard, false)
	packet := make([]byte, 160) // as Opus at 64 kbit/s
	binary.BigEndian.PutUint32(packet, y.sent)
	return packet
}

func (y *tally) hear(packet []byte) {
	y.mu.Lock()
	defer y.mu.Unlock()
	if len(packet) != 160 {
		y.absurd++
		return
	}
	switch n := binary.BigEndian.Uint32(packet); {
	case n == 0 || n > y.sent:
		y.absurd++
	case y.heard[n-1]:
		y.twice++
	default:
		y.heard[n-1] = true
		y.got++
	}
}

func (y *tally) String() string {
	y.mu.Lock()
	defer y.mu.Unlock()
	return fmt.Sprintf("%d of %d", y.got, y.sent)
}

// lost is how many have not arrived.
func (y *tally) lost() int {
	y.mu.Lock()
	defer y.mu.Unlock()
	return int(y.sent - y.got)
}

// numbered is a client whose allocation passes numbered packets both ways.
type numbered struct {
	*turnClient
	name     string
	peer     *net.UDPConn
	at       netip.AddrPort // of the peer
	up, down tally          // to the peer, to the client

	sending, reading sync.WaitGroup
	stop             chan struct{}
	parting          atomic.Bool // what is read may end
}

// channel is the one that numbered packets go through.
const channel = 0x4000

// passNumbered has an allocation pass packets from now on, so many a second each way.
func passNumbered(t *testing.T, name string, client *turnClient, peer *net.UDPConn, perSecond int) *numbered {
	t.Helper()
	n := &numbered{turnClient: client, name: name, peer: peer, at: peer.LocalAddr().(*net.UDPAddr).AddrPort(),
		stop: make(chan struct{})}
	if code := client.bind(channel, n.at); code != 0 {
		t.Fatalf("%s: bind: %d", name, code)
	}
	client.conn.SetReadDeadline(time.Time{})
	client.answers = make(chan *stun.Message, 16)
	n.reading.Go(n.readClient)
	n.reading.Go(n.readPeer)
	n.sending.Go(func() {
		every(time.Second/time.Duration(perSecond), n.stop, func() (over bool) {
			n.channelData(channel, string(n.up.next()))
			if _, err := peer.WriteToUDPAddrPort(n.down.next(), n.relayed); err != nil {
				t.Errorf("%s: the peer can't send: %v", name, err)
			}
			return false
		})
	})
	return n
}

func (n *numbered) readClient() {
	defer close(n.answers)
	for {
		frame, err := n.read()
		if err != nil {
			if !n.parting.Load() {
				n.t.Errorf("%s: %v", n.name, err)
			}
			return
		}
		if m := n.note(frame); m != nil {
			select {
			case n.answers <- m:
			default: // nobody has asked
			}
		}
		for _, packet := range n.data {
			n.down.hear([]byte(packet))
		}
		n.data = n.data[:0]
	}
}

func (n *numbered) readPeer() {
	b := make([]byte, 2000)
	for {
		size, from, err := n.peer.ReadFromUDPAddrPort(b)
		if err != nil {
			if !n.parting.Load() {
				n.t.Errorf("%s: its peer: %v", n.name, err)
			}
			return
		}
		if from != n.relayed {
			n.t.Errorf("%s: its peer hears from %v, not from %v", n.name, from, n.relayed)
		}
		n.up.hear(b[:size])
	}
}

// renew refreshes the allocation, its channel and the channel's permission.
func (n *numbered) renew() {
	n.t.Helper()
	if code := errorCode(n.ask(stun.MethodRefresh)); code != 0 {
		n.t.Errorf("%s: refresh: %d", n.name, code)
	}
	if code := n.bind(channel, n.at); code != 0 {
		n.t.Errorf("%s: bind again: %d", n.name, code)
	}
}

// silence sends no more.
func (n *numbered) silence() {
	close(n.stop)
	n.sending.Wait()
}

// part ends the allocation, which must still be there, and the sockets.
func (n *numbered) part() {
	n.t.Helper()
	n.parting.Store(true)
	n.end()
	n.conn.Close()
	n.peer.Close()
	n.reading.Wait()
}
