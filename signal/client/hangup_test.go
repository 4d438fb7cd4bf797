package client_test

import (
	"context"
	"net/netip"
	"testing"

	"signalbox/signal"
	"signalbox/signal/client"
)

// naming lets everybody in; a token is the name of its user.
type naming struct{}

func (naming) Admit(token string, _ netip.Addr) (signal.Pass, error) {
	return signal.Pass{Key: token, Attested: token != "", User: token}, nil
}

// A call rings on all devices of a user, until one has answered, or the last has hung up.
func TestCallRingsOnAllDevices(t *testing.T) {
	t.Parallel()
	opts := hubOptions()
	opts.Devices, opts.Guard = 2, naming{}
	b := start(t, opts)
	alice := dial(t, b.url(), client.Options{Name: "Alice"})
	bob := client.Options{Token: func(context.Context) (string, error) { return "bob", nil }}
	phone, laptop := dial(t, b.url(), bob), dial(t, b.url(), bob)
	ring := func() {
		t.Helper()
		if err := alice.Signal(deadline(t), "@bob", "", "ring"); err != nil {
			t.Fatal(err)
		}
		expect[client.SignalEvent](t, phone)
		expect[client.SignalEvent](t, laptop)
	}
	hangUp := func(s *client.Session, to string, word any) {
		t.Helper()
		do := s.HangUp
		if word != nil {
			do = func(ctx context.Context, to string) error { return s.HangUpWith(ctx, to, word) }
		}
		if err := do(deadline(t), to); err != nil {
			t.Fatal(err)
		}
	}
	ring()
	hangUp(phone, alice.PeerID(), "busy")
	hangUp(laptop, alice.PeerID(), "not now")
	if e := expect[client.PeerLeft](t, alice); e.Peer.ID != laptop.PeerID() || e.Reason != "left" || e.Room != "" ||
		string(e.Data) != `"not now"` {
		t.Errorf("got %+v", e)
	}
	ring()
	if err := laptop.Signal(deadline(t), alice.PeerID(), "", "yes"); err != nil {
		t.Fatal(err)
	}
	expect[client.SignalEvent](t, alice)
	if e := expect[client.PeerLeft](t, phone); e.Peer.ID != alice.PeerID() || e.Reason != "answered-elsewhere" {
		t.Errorf("got %+v", e)
	}
	hangUp(alice, laptop.PeerID(), nil)
	if e := expect[client.PeerLeft](t, laptop); e.Reason != "left" || e.Data != nil {
		t.Errorf("got %+v", e)
	}
	ring()
	hangUp(alice, "@bob", nil)
	for _, s := range []*client.Session{phone, laptop} {
		if e := expect[client.PeerLeft](t, s); e.Peer.ID != alice.PeerID() || e.Reason != "left" {
			t.Errorf("got %+v", e)
		}
	}
	if err := alice.HangUp(deadline(t), "@bob"); !client.IsCode(err, client.CodeNoSuchPeer) {
		t.Errorf("got %v", err)
	}
}
