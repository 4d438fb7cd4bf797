package turnsvc

import (
	"maps"
	"math/rand/v2"
	"testing"
)

// A table holds what a map would, whatever was set and removed before.
func TestTable(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(1, 2))
	for range 200 {
		var got table[int, int]
		want := map[int]*int{}
		for range 60 {
			if random.IntN(10) == 0 {
				odd := random.IntN(2)
				gone := func(v *int) bool { return *v%2 == odd }
				got.removeIf(gone)
				maps.DeleteFunc(want, func(_ int, v *int) bool { return gone(v) })
				if got.many != nil && len(want) <= fewest/2 {
					t.Fatalf("a map is kept for %d", len(want))
				}
			} else {
				key, value := random.IntN(3*fewest), random.Int()
				got.set(key, &value)
				want[key] = &value
			}
			if got.len() != len(want) || !maps.Equal(maps.Collect(got.all()), want) {
				t.Fatalf("%v, want %v", maps.Collect(got.all()), want)
			}
			for key := range 3 * fewest {
				if got.get(key) != want[key] {
					t.Fatalf("%d is %v, want %v", key, got.get(key), want[key])
				}
			}
		}
	}
}
