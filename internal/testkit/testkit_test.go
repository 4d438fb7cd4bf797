package testkit

import (
	"strings"
	"testing"
	"time"
)

// The guards of five packages stand on this.
func TestLeakedNamesWhatStays(t *testing.T) {
	started, release, ended := make(chan struct{}), make(chan struct{}), make(chan struct{})
	go stay(started, release, ended)
	<-started
	if stacks := Leaked(0, "testkit.stay"); !strings.Contains(stacks, "testkit.stay") {
		t.Errorf("a goroutine that stays is not named: %q", stacks)
	}
	if stacks := Leaked(0, "testkit.another"); stacks != "" {
		t.Errorf("named without the word: %s", stacks)
	}
	close(release)
	<-ended
	if stacks := Leaked(time.Minute, "testkit.stay"); stacks != "" {
		t.Errorf("a goroutine that has ended is named: %s", stacks)
	}
}

func stay(started, release, ended chan struct{}) {
	defer close(ended)
	close(started)
	<-release
}
