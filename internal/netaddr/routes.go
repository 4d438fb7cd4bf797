package netaddr

import "net/netip"

// Routes asks the kernel which addresses it delivers on this machine itself. That are more than the
// interfaces have: those of local routes (AnyIP, forwarded addresses of a cloud), the broadcast
// addresses, and the anycast address of an IPv6 router's subnet. A nil Routes knows none. Its
// methods don't wait, and may be called from any goroutine.
type Routes struct{ routes }

// OpenRoutes opens a connection to the kernel, and asks it something. An error says that it can't
// be asked at all, as in some sandboxes; it is errors.ErrUnsupported on other systems than Linux. A
// lack of files or memory is none: Own says so until it has passed.
func OpenRoutes() (*Routes, error) {
	r := new(Routes)
	if err := r.open(); err != nil {
		return nil, err
	}
	return r, nil
}

// Own reports whether what a socket that is bound to from sends to ip stays on this machine. An
// error says that the kernel could not be asked, not even over a new connection, or, if it is
// net.ErrClosed, that Close was called; that there is no way to ip is none.
func (r *Routes) Own(ip, from netip.Addr) (bool, error) {
	if r == nil {
		return false, nil
	}
	return r.own(ip, from)
}

// Changed reports whether, since it was last called, there may have come addresses that are this
// machine's own; those that Never knows are not looked for.
func (r *Routes) Changed() bool { return r != nil && r.changed() }

// Close ends the connection. From then on the kernel can't be asked.
func (r *Routes) Close() {
	if r != nil {
		r.close()
	}
}
