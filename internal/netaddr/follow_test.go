package netaddr

import (
	"context"
	"testing"
	"time"
)

// It looks also where nobody tells of changes, and ends with its context.
func TestFollowLooksAnyway(t *testing.T) {
	t.Parallel()
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	looked, ended := make(chan struct{}, 1), make(chan struct{})
	go func() {
		defer close(ended)
		Follow(ctx, time.Millisecond, func() { Poke(looked) })
	}()
	for range 2 {
		<-looked
	}
	stop()
	<-ended
}
