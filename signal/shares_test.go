package signal

import (
	"math/rand/v2"
	"testing"
)

// However senders come and go, what waits of each is known, as if each had its place in a map.
func TestSharesOfSenders(t *testing.T) {
	t.Parallel()
	sessions := []*Session{{}, {}, {}, {}}
	var s shares
	want := map[*Session][]int{} // the sizes of what waits
	random := rand.New(rand.NewPCG(1, 2))
	for range 10_000 {
		by := sessions[random.IntN(len(sessions))]
		if sizes := want[by]; len(sizes) > 0 && random.IntN(2) == 0 {
			s.giveBack(sender{session: by}, sizes[0])
			want[by] = sizes[1:]
		} else {
			size := random.IntN(100)
			s.add(sender{session: by}, size)
			want[by] = append(sizes, size)
		}
		all := s.all()
		for _, by := range sessions {
			bytes := 0
			for _, size := range want[by] {
				bytes += size
			}
			if got := s.get(by); got != (share{len(want[by]), bytes}) {
				t.Fatalf("got %+v, want %d in %d", got, bytes, len(want[by]))
			}
			if _, there := all[by]; there != (len(want[by]) > 0) || all[by] != bytes {
				t.Fatalf("got %d, want %d", all[by], bytes)
			}
		}
	}
}
