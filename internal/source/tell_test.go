package source

import (
	"fmt"
	"net/netip"
	"testing"
	"time"
)

func TestStrangersDontFillTheLog(t *testing.T) {
	t.Parallel()
	var once Once
	now, nobody := time.Now(), netip.Addr{}
	if !once.First("a", nobody, now) || once.First("a", nobody, now) || !once.First("b", nobody, now) {
		t.Error("a word is not said once")
	}
	for from, want := range map[string]int{"2001:db8:0:%x::1": maxSaidOfLine, "192.0.2.%d": maxSaid - 2} {
		said := 0
		for i := range 250 {
			if once.First(fmt.Sprint(from, i), netip.MustParseAddr(fmt.Sprintf(from, i)), now) {
				said++
			}
		}
		if said > want {
			t.Errorf("%d words of %s are said", said, from)
		}
	}
	// Who came first doesn't keep others silent for good.
	if late := now.Add(saidFor); !once.First("c", nobody, late) || once.First("c", nobody, late) {
		t.Error("a word is not said later")
	}
	if n := len(once.said); n != maxSaid {
		t.Errorf("%d words are kept", n)
	}
	var m Minutely
	if n, due := m.Due(now); !due || n != 1 {
		t.Errorf("the first is not said: %d", n)
	}
	for range 9 {
		if _, due := m.Due(now.Add(time.Second)); due {
			t.Error("another is said in the same minute")
		}
	}
	if n, due := m.Due(now.Add(time.Minute)); !due || n != 10 {
		t.Errorf("after a minute %d are said, %t", n, due)
	}
}
