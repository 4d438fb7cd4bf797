//go:build !linux

package netaddr

import "net/netip"

type routes struct{}

func (routes) open() error                       { return nil }
func (routes) own(_, _ netip.Addr) (bool, error) { return false, nil }
func (routes) changed() bool                     { return false }
func (routes) close()                            {}
