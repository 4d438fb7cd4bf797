package source

import (
	"fmt"
	"testing"
	"time"
)

func TestStrangersDontFillTheLog(t *testing.T) {
	t.Parallel()
	var once Once
	if !once.First("a") || once.First("a") || !once.First("b") {
		t.Error("a word is not said once")
	}
	said := 0
	for i := range 1000 {
		if once.First(fmt.Sprint(i)) {
			said++
		}
	}
	if said != maxSaid-2 {
		t.Errorf("%d more words are said", said)
	}
	var m Minutely
	now := time.Now()
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
