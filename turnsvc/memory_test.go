package turnsvc

import (
	"net"
	"runtime"
	"testing"

	"signalbox/internal/testkit"
	"signalbox/turnsvc/internal/wire"
)

// An idle allocation with a channel takes at most 6 KiB. What the clients here take is there
// before.
func TestLongMemoryOfAllocations(t *testing.T) {
	testkit.Long(t)
	const allocations, most = 5000, 6 << 10
	r := newRig(t, nil)
	clients := make([]*client, allocations)
	for i := range clients {
		conn, err := net.Dial("udp4", r.addr["udp"])
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		clients[i] = r.clientOn(conn, "udp")
		clients[i].request(wire.MethodBinding)
	}
	before := takenMemory()
	for _, c := range clients {
		c.allocate()
		c.ok(wire.MethodChannelBind, withChannel(wire.FirstChannel), withPeer("127.0.0.1:9"))
	}
	each := (takenMemory() - before) / allocations
	t.Logf("%d bytes an allocation", each)
	if each > most {
		t.Errorf("an idle allocation takes %d bytes, want %d at most", each, most)
	}
	runtime.KeepAlive(clients)
}

// takenMemory is the memory of heap and stacks that is in use.
func takenMemory() int64 {
	var m runtime.MemStats
	for range 2 { // what a pool holds outlasts one
		runtime.GC()
	}
	runtime.ReadMemStats(&m)
	return int64(m.HeapInuse + m.StackInuse)
}
