package app

import (
	"testing"

	"signalbox/internal/config"
)

// Four sources may not have all relay ports between them.
func TestAttackF5DefaultsDoNotAddUp(t *testing.T) {
	t.Parallel()
	c, err := load(config.LoadOptions{})
	if err != nil {
		t.Fatal(err)
	}
	live, err := turnLive(&c, nil)
	if err != nil {
		t.Fatal(err)
	}
	o := turnOptions(&c, nil)
	if ports := int(o.MaxPort) - int(o.MinPort) + 1; 4*live.Limits.PerSource > ports/2 {
		t.Errorf("four sources may have %d of %d ports", 4*live.Limits.PerSource, ports)
	}
	if live.FirstLifetime == 0 {
		t.Error("unused allocations last as long as used ones")
	}
}
