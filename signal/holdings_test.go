package signal

import (
	"math/rand/v2"
	"testing"
)

// Whoever goes next is the one that holds most, of the line that does, also when what went before
// has made another line the dearest.
func TestTheDearestOfTheDearestLine(t *testing.T) {
	t.Parallel()
	var held holdings
	lines := map[*holding]*lineHoldings{}
	for range 50 {
		line := &lineHoldings{}
		for range 1 + rand.IntN(20) {
			d := &holding{holds: 1 + rand.IntN(5), sent: rand.IntN(100)}
			line.list, line.all = append(line.list, d), line.all+d.all()
			lines[d] = line
		}
		held.lines = append(held.lines, line)
	}
	held.sort()
	for n := len(lines); n > 0; n-- {
		most := 0
		for _, line := range lines {
			most = max(most, line.all)
		}
		d, ok := held.dearest()
		if !ok || lines[d].all+d.all() != most {
			t.Fatalf("with %d left, one of a line of %d goes, not of %d", n, lines[d].all+d.all(), most)
		}
		for other, line := range lines {
			if line == lines[d] && compareHoldings(other, d) > 0 {
				t.Fatalf("%+v goes before %+v", d, other)
			}
		}
		delete(lines, d)
	}
	if _, ok := held.dearest(); ok {
		t.Error("one is left")
	}
}
