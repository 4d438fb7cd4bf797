package socket

import (
	"net"
	"strconv"
	"time"
)

// zone is the index of the interface that a zone names, as it was read at some time. 0: there was
// no such interface, and the system refuses the datagram.
type zone struct {
	index uint32
	read  time.Time
}

// zoneTime is how long an index is believed in the face of doubt: interfaces come back with
// another, and reading them all for each datagram would cost too much.
const zoneTime = time.Second

// scope is the index of the interface that a zone names. On Linux, zones of clients are numbers.
func (o *Outlet) scope(name string) uint32 {
	if n, ok := interfaceNumber(name); ok {
		return n
	}
	if known, ok := o.zones.Load(name); ok {
		z := known.(zone)
		if z.index != 0 || time.Since(z.read) < zoneTime {
			return z.index
		}
	}
	z := zone{index: interfaceIndex(name), read: time.Now()}
	o.zones.Store(name, z)
	return z.index
}

// interfaceIndex is the index of the interface that a zone names, or 0.
func interfaceIndex(zone string) uint32 {
	if n, ok := interfaceNumber(zone); ok {
		return n
	}
	i, err := net.InterfaceByName(zone)
	if err != nil {
		return 0
	}
	return uint32(i.Index)
}

// interfaceNumber is the index of an interface whose zone is that.
func interfaceNumber(zone string) (index uint32, ok bool) {
	if zone == "" || zone[0] < '0' || zone[0] > '9' {
		return 0, false // most zones: an error would be made for them
	}
	n, err := strconv.ParseUint(zone, 10, 31)
	return uint32(n), err == nil
}

// doubt has a zone's index read again, since the system has refused a datagram for it.
func (o *Outlet) doubt(name string) {
	if z, ok := o.zones.Load(name); ok && time.Since(z.(zone).read) >= zoneTime {
		o.zones.Delete(name)
	}
}
