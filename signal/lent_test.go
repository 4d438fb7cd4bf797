package signal

import "testing"

// Who fills the pool with long messages, and then leaves short ones unread, holds no more than what
// is counted of them.
func TestShortMessagesHoldLittle(t *testing.T) {
	t.Parallel()
	s := &Session{hub: &Hub{lents: newLents()}}
	for range 64 {
		s.Lend(mostWorthLending).done()
	}
	for _, size := range []int{60, worthLending, mostWorthLending} {
		lent := s.Lend(size)
		lent.Bytes = lent.Bytes[:size]
		p := sharedAs(Broadcasted{Data: lent.Bytes}, nil, nil, lent)
		if counted := p.memory(); cap(lent.Bytes) > counted {
			t.Errorf("a message of %d bytes holds %d, of which %d are counted", size, cap(lent.Bytes), counted)
		}
		if size < worthLending && cap(lent.Bytes) > 2*size {
			t.Errorf("a message of %d bytes holds %d", size, cap(lent.Bytes))
		}
	}
}
