package signal

import (
	"fmt"
	"sync/atomic"
	"testing"
)

// BenchmarkCallByName is signals to "@user" in open calls, of many callers at once.
func BenchmarkCallByName(b *testing.B) {
	h, err := New(Options{Calls: true})
	if err != nil {
		b.Fatal(err)
	}
	var callers atomic.Int64
	data := []byte(`1`)
	b.SetParallelism(16)
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		user := fmt.Sprint("user-", callers.Add(1))
		callee, caller := openSilent(b, h, user), openSilent(b, h, "")
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
