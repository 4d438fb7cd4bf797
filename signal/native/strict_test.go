package native

import (
	"fmt"
	"runtime"
	"strings"
	"testing"
)

// What a frame of many names takes while it is checked is no multiple of it.
func TestHub13ManyNames(t *testing.T) {
	var b strings.Builder
	b.WriteString(`{`)
	for n := 0; b.Len() < 60_000; n++ {
		fmt.Fprintf(&b, `"%x":0,`, n)
	}
	text := []byte(b.String() + `"last":0}`)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	const times = 10
	for range times {
		if err := strict(text); err != nil {
			t.Fatal(err)
		}
	}
	runtime.ReadMemStats(&after)
	if took := (after.TotalAlloc - before.TotalAlloc) / times; took > uint64(5*len(text)) {
		t.Errorf("checking %d bytes allocates %d", len(text), took)
	}
	twice := []byte(b.String() + `"\u0031":0}`) // 1, again
	if err := strict(twice); err != errTwice {
		t.Errorf("a name that occurs twice: %v", err)
	}
}

func BenchmarkDecode(b *testing.B) {
	text := []byte(`{"type":"signal","to":"` + strings.Repeat("x", 22) + `","room":"room",` +
		`"data":{"type":"offer","sdp":"` + strings.Repeat(`v=0 line\r\n`, 120) + `"}}`)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := decode(text); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkStrict(b *testing.B) {
	var many strings.Builder
	for n := range 6000 {
		fmt.Fprintf(&many, `"%d":0,`, n)
	}
	for name, text := range map[string]string{
		"signal": `{"type":"signal","to":"abc","data":{"candidate":"` + strings.Repeat("x", 150) + `","sdpMid":"0"}}`,
		"many":   `{` + many.String() + `"x":0}`,
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				strict([]byte(text)) //nolint:errcheck // it is strict
			}
		})
	}
}
