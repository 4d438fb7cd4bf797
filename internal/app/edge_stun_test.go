package app

import (
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"signalbox/internal/config"
	"signalbox/internal/state"

	"github.com/pion/stun/v3"
)

// The answer to a CHANGE-REQUEST comes from the socket that it names, of the four that one key
// opens.
func TestAlternateAnswersFromBothAddressesAndPorts(t *testing.T) {
	t.Parallel()
	app := startApp(t, "stun.alternate=127.0.0.2:0")
	corner := func(addr, port int) netip.AddrPort {
		at := app.edge.Corners()[addr][port].LocalAddr().(*net.UDPAddr).AddrPort()
		return netip.AddrPortFrom(at.Addr().Unmap(), at.Port())
	}
	primary, alternate := corner(0, 0), corner(1, 1)
	conn, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	for flags, want := range map[byte]string{
		0: primary.String(), 6: alternate.String(),
		4: net.JoinHostPort("127.0.0.2", strconv.Itoa(int(app.edge.TURN()[0].Addr.Port()))),
		2: corner(0, 1).String(),
	} {
		request := stun.MustBuild(stun.TransactionID, stun.BindingRequest,
			stun.RawAttribute{Type: stun.AttrChangeRequest, Value: []byte{0, 0, 0, flags}})
		if _, err := conn.WriteToUDPAddrPort(request.Raw, primary); err != nil {
			t.Fatal(err)
		}
		answer := &stun.Message{Raw: make([]byte, 1500)}
		if err := conn.SetReadDeadline(time.Now().Add(patience)); err != nil {
			t.Fatal(err)
		}
		n, from, err := conn.ReadFromUDPAddrPort(answer.Raw)
		if err != nil {
			t.Fatal(err)
		}
		answer.Raw = answer.Raw[:n]
		var other stun.OtherAddress
		var origin stun.ResponseOrigin
		if err := answer.Decode(); err != nil {
			t.Fatal(err)
		}
		if err := answer.Parse(&other, &origin); err != nil {
			t.Fatal(err)
		}
		if from.String() != want || origin.String() != want || other.String() != alternate.String() {
			t.Errorf("flags %d: from %v, RESPONSE-ORIGIN %v, OTHER-ADDRESS %v; want %s and %v", flags, from, origin,
				other, want, alternate)
		}
	}
	if port := fmt.Sprint(alternate.Port(), "/udp"); !slices.Contains(firewall(app), port) {
		t.Errorf("the firewall's ports lack the alternate one: %v", firewall(app))
	}
}

func TestAlternateThatCannotWork(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		set  []string
		want string
	}{
		"no address": {[]string{"stun.alternate=on"}, `"on" is not a second IPv4 address`},
		"IPv6":       {[]string{"stun.alternate=[::1]:3479"}, "is not a second IPv4 address"},
		"same address": {[]string{"turn.listen=127.0.0.1:3478", "stun.alternate=127.0.0.1:3479"},
			"127.0.0.1 is the address that clients ask anyway"},
		"same port": {[]string{"turn.listen=127.0.0.1:3478", "stun.alternate=127.0.0.2:3478"},
			"3478 is the port of turn.listen"},
		"only IPv6": {[]string{"turn.listen=[::1]:3478", "stun.alternate=127.0.0.2:3479"},
			"no entry of turn.listen is an IPv4 address"},
		"behind a NAT": {[]string{"turn.listen=127.0.0.1:0", "public_ip=198.51.100.7",
			"stun.alternate=127.0.0.2:3479"}, "there is a NAT in front of it"},
		"not this host": {[]string{"turn.listen=127.0.0.1:0", "stun.alternate=192.0.2.1:0"},
			"this machine has no such address"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			err := func() error {
				cfg, err := load(config.LoadOptions{Set: append([]string{"web.listen=", "web.tls_listen="}, tc.set...)})
				if err != nil {
					return err
				}
				dir, err := state.Open(t.TempDir())
				if err != nil {
					t.Fatal(err)
				}
				app, err := New(cfg, dir, nil)
				if err != nil {
					return err
				}
				defer app.Close()
				return app.Listen()
			}()
			if err == nil || !strings.HasPrefix(err.Error(), "stun.alternate") ||
				!strings.Contains(err.Error(), tc.want) {
				t.Errorf("error %v, want one of stun.alternate with %q", err, tc.want)
			}
		})
	}
}
