package object

import "signalbox/signal"

// Receive is what dialects do with a frame that is an object, where the protocol has no word for a
// refusal: take processes it, and what take, or the hub, refuses only counts against the client.
// over is that of signal.Dialect's Receive.
func Receive(s *signal.Session, f signal.Frame, over error, take func(Object) error) {
	err := over
	if err == nil {
		var o Object
		if o, err = Parse(f.Body); err != nil {
			err = signal.Refuse(signal.CodeBadFrame, err.Error())
		} else {
			err = take(o)
		}
	}
	if err != nil {
		s.Refuse(err)
	}
}
