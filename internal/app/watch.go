package app

import (
	"encoding/json"
	"net/netip"

	"signalbox/signal"
	"signalbox/turnsvc"
)

// watcher hands what the relay sees of a session on to the hub, which asks for it: so the relay
// calls nobody, and waits for nobody.
type watcher struct{ turn *turnsvc.Server }

func (w watcher) Watch(peerID string, source netip.Addr, users []string) (signal.Watch, bool) {
	of, ok := w.turn.Watch(turnsvc.Watched{Session: peerID, Source: source, Users: users})
	return sightings{of}, ok
}

type sightings struct{ *turnsvc.Watch }

func (s sightings) Next() (sighting []byte, ok bool) {
	seen, ok := s.Watch.Next()
	if !ok {
		return nil, false
	}
	sighting, err := json.Marshal(seen)
	return sighting, err == nil
}
