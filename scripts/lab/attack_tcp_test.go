//go:build linux

package lab_test

import (
	"encoding/binary"
	"net/netip"
	"regexp"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/pion/stun/v3"

	"signalbox/scripts/lab"
)

// TestAttackF3MediaIsFresh: a client over TCP whose network carries 1 Mbit/s is sent 2 Mbit/s. What
// arrives is fresh; what can't be is dropped, and what the server holds of it is little.
func TestAttackF3MediaIsFresh(t *testing.T) {
	l := lab.New(t, lab.FullCone, lab.FullCone)
	host, ours := startRelay(t, l)
	l.NATA.Exec(t, "tc", "qdisc", "add", "dev", "lan", "root", "tbf", "rate", "1mbit",
		"burst", "16k", "latency", "100ms")
	peer := l.AddHost(t, "peer", 64)
	at := peer.Public + ":7000"
	media := peer.ListenUDP(t, at)
	client := newTURNClientOf(t, l.A, host, "tcp", "u", "p")
	if code := client.bind(0x4000, netip.MustParseAddrPort(at)); code != 0 {
		t.Fatalf("bind: %d", code)
	}
	const size, packets = 1000, 20 * 250 // 2 Mbit/s for 20 s
	got := new(ages)
	done, read := make(chan struct{}), make(chan struct{})
	client.conn.SetReadDeadline(time.Time{})
	go func() {
		defer close(read)
		for {
			frame, err := client.read()
			if err != nil {
				return
			}
			if binary.BigEndian.Uint16(frame) == 0x4000 {
				got.add(age(frame[4:]))
				got.send()
			}
		}
	}()
	most := 0
	go func() {
		defer close(done)
		for range 20 {
			time.Sleep(time.Second)
			most = max(most, sendMemory(t, l.Server))
		}
	}()
	data := make([]byte, size)
	tick := time.NewTicker(4 * time.Millisecond)
	defer tick.Stop()
	for range packets {
		<-tick.C
		media.WriteToUDPAddrPort(stamp(data), client.relayed) //nolint:errcheck // UDP
	}
	<-done
	client.conn.Close()
	<-read
	t.Logf("of %d packets: %v; the kernel held at most %d KiB for the client", packets, got, most>>10)
	if !ours {
		return
	}
	if p50 := got.quantile(0.5); p50 > 600*time.Millisecond {
		t.Errorf("the age is %v (p50)", p50)
	}
	if got.sent < packets/3 {
		t.Errorf("only %d of %d packets arrived", got.sent, packets)
	}
	if most > 144<<10 { // and 112 KiB are the process's
		t.Errorf("the kernel held %d KiB for one client", most>>10)
	}
}

// TestAttackF3UnreadAnswers: a stranger over TCP who asks on and on and reads nothing is stopped.
func TestAttackF3UnreadAnswers(t *testing.T) {
	l := lab.New(t, lab.FullCone, lab.FullCone)
	host, ours := startRelay(t, l)
	conn, err := l.A.DialContext(t.Context(), "tcp4", host+":3478")
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	request := stun.MustBuild(stun.TransactionID, stun.BindingRequest).Raw
	var many []byte
	for range 1000 {
		many = append(many, request...)
	}
	began, done := time.Now(), make(chan struct{})
	most := 0 // that the kernel has held
	var sampling sync.WaitGroup
	sampling.Go(func() {
		for {
			most = max(most, sendMemory(t, l.Server))
			select {
			case <-done:
				return
			case <-time.After(10 * time.Millisecond):
			}
		}
	})
	written := 0
	conn.SetWriteDeadline(began.Add(10 * time.Second))
	for written < 64<<20 {
		n, err := conn.Write(many)
		if written += n; err != nil {
			break // it was shown out
		}
	}
	took := time.Since(began)
	close(done)
	sampling.Wait()
	t.Logf("stopped after %d KiB of requests and %v; the kernel held at most %d KiB", written>>10,
		took.Round(time.Millisecond), most>>10)
	if !ours {
		return
	}
	if most > 160<<10 { // mostly of what it has written, for as long as it is given to read
		t.Errorf("the kernel held %d KiB for a stranger", most>>10)
	}
	if written >= 64<<20 || took > 2*time.Second {
		t.Error("the stranger was not stopped")
	}
}

var skmem = regexp.MustCompile(`skmem:\(r(\d+),.*?,w(\d+),`)

// sendMemory is what the kernel of a server holds for what was written to the client on port 3478,
// and for what that has written.
func sendMemory(t *testing.T, in *lab.Namespace) (bytes int) {
	t.Helper()
	for _, m := range skmem.FindAllStringSubmatch(in.Exec(t, "ss", "-tnmH", "sport", "=", ":3478"), -1) {
		for _, n := range m[1:] {
			held, err := strconv.Atoi(n)
			if err != nil {
				t.Fatal(err)
			}
			bytes += held
		}
	}
	return bytes
}
