package netaddr

import (
	"errors"
	"net/netip"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

// An address that is away for a moment was never gone, and one that comes is there at once.
func TestRosterOutlastsABlink(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a, b := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.2")
		var there []netip.Addr
		r := NewRoster()
		r.read = func() ([]netip.Addr, error) { return slices.Clone(there), nil }
		for _, step := range []struct {
			after       time.Duration // the step before
			there, want []netip.Addr
		}{
			{0, nil, nil},
			{0, []netip.Addr{a}, []netip.Addr{a}},
			{time.Hour, nil, []netip.Addr{a}}, // however long nobody has looked
			{time.Second, []netip.Addr{a, b}, []netip.Addr{a, b}},
			{time.Second, []netip.Addr{b}, []netip.Addr{a, b}},
			{goneTime - 1, []netip.Addr{b}, []netip.Addr{a, b}},
			{time.Nanosecond, []netip.Addr{b}, []netip.Addr{b}},
			{0, []netip.Addr{a}, []netip.Addr{a, b}},
			{goneTime, []netip.Addr{a}, []netip.Addr{a}},
		} {
			time.Sleep(step.after)
			there = step.there
			got, err := r.Local()
			slices.SortFunc(got, netip.Addr.Compare)
			if !slices.Equal(got, step.want) || err != nil {
				t.Errorf("%v after %v: %v, %v, want %v", step.there, step.after, got, err, step.want)
			}
		}
		r.read = func() ([]netip.Addr, error) { return nil, errors.New("not now") }
		if _, err := r.Local(); err == nil {
			t.Error("an error is kept back")
		}
	})
}
