package app

import (
	"context"
	"errors"
	"net/netip"
	"reflect"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"signalbox/internal/config"
	"signalbox/internal/publicip"
)

// nameServer is a resolver whose answer changes.
type nameServer struct {
	answer atomic.Pointer[[]netip.Addr]
	failed atomic.Int64
}

func (n *nameServer) set(ips ...string) {
	var list []netip.Addr
	for _, ip := range ips {
		list = append(list, netip.MustParseAddr(ip))
	}
	n.answer.Store(&list)
}

func (n *nameServer) lookup(context.Context, string) ([]netip.Addr, error) {
	list := *n.answer.Load()
	if len(list) == 0 {
		n.failed.Add(1)
		return nil, errors.New("no such host")
	}
	return list, nil
}

func TestPublicAddressFollowsItsName(t *testing.T) {
	t.Parallel()
	app := newApp(t, "public_ip=box.example.org")
	var dns nameServer
	o := publicOptions(&app.cfg, nil)
	o.Lookup = dns.lookup
	var err error
	if app.relays, err = publicip.New(o); err != nil {
		t.Fatal(err)
	}
	is := func(want string) func() bool {
		return func() bool { return strings.Join(app.Status().PublicIP, " ") == want }
	}
	dns.set() // not known yet
	if err := app.Listen(); err != nil {
		t.Fatal(err)
	}
	defer app.Close()
	if !is("127.0.0.1")() {
		t.Errorf("before the name is known: %v", app.Status().PublicIP)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		app.relays.Follow(ctx, time.Millisecond, nil, relayOn(app.turn))
	}()
	dns.set("198.52.100.1", "2a00::1")
	eventually(t, "the address is known", is("198.52.100.1")) // nothing listens on IPv6
	dns.set("198.52.100.2")
	eventually(t, "the address has changed", is("198.52.100.2"))
	dns.set()
	before := dns.failed.Load()
	eventually(t, "two look-ups fail", func() bool { return dns.failed.Load() >= before+2 })
	if !is("198.52.100.2")() {
		t.Errorf("after a failed look-up: %v", app.Status().PublicIP)
	}
	cancel()
	<-done
}

// Every key that decides where the box relays reaches the room that decides.
func TestRelayKeysAreHandedOn(t *testing.T) {
	t.Parallel()
	cfg, err := load(config.LoadOptions{Dev: true, Set: []string{
		`public_ip=["198.51.100.7", "box.example.org", "auto"]`, "public_host=call.example.org",
		`turn.relay_ip=["127.0.0.1", "::1"]`,
		`turn.listen=["127.0.0.1:3478", ":3479"]`, "stun.probe=stun.example.org:3478",
	}})
	if err != nil {
		t.Fatal(err)
	}
	want := publicip.Options{
		Public: []netip.Addr{netip.MustParseAddr("198.51.100.7")}, Names: []string{"box.example.org"}, Auto: true,
		Host: "call.example.org", Bind: []netip.Addr{netip.MustParseAddr("127.0.0.1"), netip.IPv6Loopback()},
		Listen: []netip.Addr{netip.MustParseAddr("127.0.0.1"), netip.IPv6Unspecified()},
		Probe:  "stun.example.org:3478", Dev: true,
	}
	if got := publicOptions(&cfg, nil); !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
}
