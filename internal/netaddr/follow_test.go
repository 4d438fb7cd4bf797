package netaddr

import (
	"context"
	"slices"
	"testing"
	"testing/synctest"
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

// After a change it looks at once, and once more when what went with it counts as gone.
func TestFollowLooksAgain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx, stop := context.WithCancel(t.Context())
		told, began := make(chan struct{}, 1), time.Now()
		var looks []time.Duration
		go follow(ctx, time.Hour, told, func() { looks = append(looks, time.Since(began)) })
		Poke(told)
		time.Sleep(time.Second)
		Poke(told)
		time.Sleep(time.Minute)
		stop()
		synctest.Wait()
		second := time.Second + settleTime
		if want := []time.Duration{settleTime, second, second + recheckTime}; !slices.Equal(looks, want) {
			t.Errorf("it looks after %v, want %v", looks, want)
		}
	})
}
