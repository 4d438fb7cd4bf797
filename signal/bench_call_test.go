package signal

import (
	"fmt"
	"net/netip"
	"sync/atomic"
	"testing"
	"time"
)

// BenchmarkCallByName is signals to "@user" in open calls, of many callers at once.
func BenchmarkCallByName(b *testing.B) {
	h, err := New(Options{Calls: true})
	if err != nil {
		b.Fatal(err)
	}
	session := func(user string) *Session {
		s, err := h.Open(silent{}, Client{Source: netip.MustParseAddr("192.0.2.1")}, Hello{User: user}, time.Hour)
		if err != nil {
			b.Fatal(err)
		}
		return s
	}
	var callers atomic.Int64
	data := []byte(`1`)
	b.SetParallelism(16)
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		user := fmt.Sprint("user-", callers.Add(1))
		callee, caller := session(user), session("")
		for i := 0; pb.Next(); i++ {
			if err := caller.Signal(Signal{To: "@" + user, Data: data}); err != nil {
				b.Error(err)
				return
			}
			if i%32 == 0 {
				callee.out.takeWaiting()
			}
		}
	})
	b.StopTimer()
	if err := h.Close(b.Context()); err != nil {
		b.Error(err)
	}
}
