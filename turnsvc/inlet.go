package turnsvc

import (
	"signalbox/turnsvc/internal/dtls"
	"signalbox/turnsvc/internal/wire"
)

// inlet is what one reading goroutine owns: the link that its frames come in on, and buffers to
// decode and answer one frame without heap allocations.
type inlet struct {
	link   link
	corner *corner     // nil: no NAT behavior discovery here
	dtls   *dtls.Front // nil: no DTLS here
	// stunOnly: TURN is not served here.
	stunOnly bool

	msg     wire.Message
	scratch [256]byte
	single  [1]wire.Datagram // a frame's data, as a run
}
