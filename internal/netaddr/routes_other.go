//go:build !linux

package netaddr

import (
	"errors"
	"fmt"
	"net/netip"
)

type routes struct{}

func (routes) open() error {
	return fmt.Errorf("ask the kernel for routes: %w", errors.ErrUnsupported)
}

func (routes) own(_, _ netip.Addr) (bool, error) { return false, nil }
func (routes) changed() bool                     { return false }
func (routes) close()                            {}
