package app

import (
	"cmp"
	"crypto/hkdf"
	"crypto/sha256"
	"log/slog"
	"math"
	"net/netip"
	"net/url"
	"os"
	"slices"
	"strings"
	"time"

	"signalbox/internal/admin"
	"signalbox/internal/admission"
	"signalbox/internal/cert"
	"signalbox/internal/config"
	"signalbox/internal/edge"
	"signalbox/internal/fault"
	"signalbox/internal/iceserver"
	"signalbox/internal/netaddr"
	"signalbox/internal/notify"
	"signalbox/internal/publicip"
	"signalbox/internal/rooms"
	"signalbox/internal/source"
	"signalbox/internal/state"
	"signalbox/internal/webhook"
	"signalbox/signal"
	"signalbox/signal/chat"
	"signalbox/turnsvc"
	"signalbox/turnsvc/cred"
	"signalbox/webui"
)

// From the configuration to the options of each room.

func publicOptions(c *config.Config, log *slog.Logger) publicip.Options {
	o := publicip.Options{
		Public: c.PublicIP.Addrs, Names: c.PublicIP.Names, Auto: c.PublicIP.Auto, Host: string(c.PublicHost),
		Bind: c.TURN.RelayIP, Probe: string(c.STUN.Probe), Dev: c.Dev, Log: log,
	}
	for _, l := range c.TURN.Listen {
		o.Listen = append(o.Listen, l.Addr())
	}
	return o
}

func certOptions(c *config.Config, dir *state.Dir) cert.Options {
	return cert.Options{
		Mode: string(c.TLS.Mode), Paths: [2]string{c.TLS.Cert, c.TLS.Key}, Host: cert.Name(string(c.PublicHost)),
		State: dir,
		ACME: cert.ACMEOptions{
			Email: c.TLS.ACMEEmail, Directory: c.TLS.ACMEDirectory, CAFile: c.TLS.ACMECAFile,
			HTTP: c.Web.Listen.AddrPort, TLS: c.Web.TLSListen.AddrPort,
		},
	}
}

// certificateNames returns the names of a self-signed certificate: every name and address that
// people may type to reach this box.
func certificateNames(c *config.Config, relays publicip.Relays) []string {
	names := []string{"localhost", "127.0.0.1", "::1", cert.Name(string(c.PublicHost))}
	if host, err := os.Hostname(); err == nil {
		names = append(names, cert.Name(host))
	}
	local, _ := netaddr.Local() // if this fails, the relays' addresses remain
	for _, ip := range local {
		names = append(names, ip.String())
	}
	for _, r := range relays {
		names = append(names, r.Bind.IP.Unmap().String(), r.Public.IP.Unmap().String())
	}
	slices.Sort(names)
	return slices.DeleteFunc(slices.Compact(names), func(name string) bool { return name == "" })
}

// hostNames are names by which the box may be asked, besides those in its certificate: its own, and
// those that lead to its addresses or to a page that may use it.
func hostNames(c *config.Config) []string {
	names := append([]string{string(c.PublicHost)}, c.PublicIP.Names...)
	if host, err := os.Hostname(); err == nil {
		names = append(names, host)
	}
	for _, origin := range c.Web.AllowedOrigins {
		if u, err := url.Parse(origin); err == nil {
			names = append(names, u.Hostname())
		}
	}
	for i, name := range names {
		names[i] = strings.ToLower(strings.TrimSuffix(name, "."))
	}
	return slices.DeleteFunc(names, func(name string) bool { return name == "" })
}

// admissionOptions: dir keeps keys that were fetched; nil: nothing does.
func admissionOptions(c *config.Config, dir *state.Dir) admission.Options {
	o := admission.Options{
		Mode: string(c.Auth.Mode), Password: c.Auth.Password, JWTKey: c.Auth.JWTKey, OldJWTKeys: c.Auth.OldKeys,
	}
	if dir != nil {
		o.Cache = dir
	}
	return o
}

func edgeOptions(c *config.Config, relays *publicip.Finder) (edge.Options, error) {
	o := edge.Options{
		Web: c.Web.Listen.AddrPort, WebTLS: c.Web.TLSListen.AddrPort, Metrics: c.Metrics.Listen.AddrPort,
		Collider:    c.Compat.ColliderListen.AddrPort,
		Proxies:     source.Proxies(c.Web.TrustedProxies),
		ProxyHeader: c.Web.ProxyProtocol,
	}
	for _, l := range c.TURN.Listen {
		o.TURN = append(o.TURN, edge.Service{Transport: l.Transport, Addr: l.AddrPort})
	}
	primary, alternate, on := c.Discovery(relays.Reached())
	if !on {
		return o, nil
	}
	o.Discovery = &edge.Discovery{Primary: primary, Alternate: alternate}
	return o, discoveryFits(primary, alternate, relays.Relays().Public())
}

// discoveryFits returns why NAT behavior discovery can't work on this machine, or nil.
func discoveryFits(primary, alternate netip.AddrPort, public netip.Addr) error {
	if alternate.Addr() == primary.Addr() {
		return fault.New("stun.alternate", "%s is the address that clients ask anyway: discovery needs a second one",
			alternate.Addr())
	}
	local, err := netaddr.Local()
	if err != nil {
		return err
	}
	// The answers name this machine's addresses, which clients could not reach.
	if !slices.Contains(local, public) {
		return fault.New("stun.alternate", "public_ip %s is not an address of this machine, so there is a NAT in "+
			"front of it; discovery works only without a NAT", public)
	}
	return nil
}

// webLimits returns how many connections the web ports take, in all and from one source: those that
// the hub and TURN let in, and those that a page needs besides its session.
func webLimits(c *config.Config) (all, perSource int) {
	sum := func(a, b config.Count) int { // of two limits; 0 means no limit
		if a == 0 || b == 0 {
			return 0
		}
		return int(a + b)
	}
	s, l := &c.Signal, &c.TURN.Limits
	return sum(2*s.Sessions, l.Connections), sum(4*s.SessionsPerSource, l.ConnectionsPerSource)
}

// credentialKeys sign and verify TURN credentials.
func credentialKeys(c *config.Config, dir *state.Dir) (*cred.Keys, error) {
	secret := c.TURN.Secret
	if secret == "" {
		var err error
		if secret, err = dir.Secret(state.TURNSecret); err != nil {
			return nil, err
		}
	}
	keys := cred.NewKeys(string(secret), c.TURN.OldSecrets.Reveal()...)
	return keys.SeparatedBy(string(c.TURN.RESTSeparator)), nil
}

// namingKey is the key of the ids of credentials without a session. It stays over a restart, so
// that a ban of a user reaches what the user got before.
func namingKey(dir *state.Dir) ([]byte, error) {
	key, err := dir.Secret(state.ResumeKey)
	if err != nil {
		return nil, err
	}
	return hkdf.Key(sha256.New, []byte(key), nil, "ids of credentials without a session", sha256.Size)
}

func relayAddresses(relays publicip.Relays) []turnsvc.RelayAddress {
	out := make([]turnsvc.RelayAddress, len(relays))
	for i, r := range relays {
		out[i] = turnsvc.RelayAddress{Bind: r.Bind.IP, Public: r.Public.IP}
	}
	return out
}

// showAddress returns how the relay's log shows an address.
func showAddress(detail config.LogAddresses) func(netip.AddrPort) string {
	switch detail {
	case "none":
		return func(netip.AddrPort) string { return "-" }
	case "network":
		return func(at netip.AddrPort) string {
			bits := 24
			if at.Addr().Is6() {
				bits = 48
			}
			network, _ := at.Addr().Prefix(bits) // of either family: so many bits there are
			return network.String()
		}
	}
	return netip.AddrPort.String
}

func turnOptions(c *config.Config, relays []turnsvc.RelayAddress) turnsvc.Options {
	return turnsvc.Options{
		Realm: c.TURN.Realm, Relays: relays, AllowLoopback: c.Dev,
		MinPort: c.TURN.RelayPorts.First, MaxPort: c.TURN.RelayPorts.Last, CountUsage: c.TURN.Usage,
	}
}

// iceLive is what clients are told, as far as it can change while the box runs.
func iceLive(c *config.Config, keys *cred.Keys) iceserver.Live {
	key, on := c.REST()
	return iceserver.Live{
		Keys: keys, TTL: time.Duration(c.TURN.CredentialTTL), URLs: c.TURN.URLs, HostPart: config.HostPart,
		REST: on, RESTKey: key,
	}
}

// firstLifetime is enough to find a way to the other end; clients whose call takes longer to begin
// refresh their allocations.
const firstLifetime = 2 * time.Minute

// turnLive is the part of the TURN configuration that can change while the server runs.
func turnLive(c *config.Config, keys *cred.Keys) (turnsvc.Live, error) {
	l := &c.TURN.Limits
	out := turnsvc.Live{
		Users: map[string][]byte{}, Keys: keys,
		DefaultFamily: familyByName(c.TURN.DefaultFamily),
		MinLifetime:   time.Duration(c.TURN.MinLifetime), FirstLifetime: firstLifetime,
		NonceLifetime: time.Duration(c.TURN.NonceLifetime),
		ShowAddress:   showAddress(c.Log.Addresses),
		AllowPeers:    c.TURN.AllowPeers.Networks, AllowPorts: c.TURN.AllowPeers.Ports, DenyPeers: c.TURN.DenyPeers,
		HubPeers: peersByName(string(c.TURN.Peers)), StaticPeers: peersByName(string(c.TURN.StaticPeers)),
		Limits: turnsvc.Limits{
			Allocations: int(l.Allocations), PerUser: int(l.PerUser), PerSource: int(l.PerSource),
			Permissions: int(l.Permissions), Channels: int(l.Channels),
			Connections: int(l.Connections), ConnectionsPerSource: int(l.ConnectionsPerSource),
			UnauthorizedPerSource: int(l.UnauthorizedPerSource),
			Bandwidth:             int64(l.Bandwidth), UserBandwidth: int64(l.UserBandwidth),
			TotalBandwidth: int64(l.TotalBandwidth), TotalPerMonth: int64(l.TotalPerMonth),
		},
	}
	for _, u := range c.TURN.Users {
		key, err := u.LongTermKey(c.TURN.Realm)
		if err != nil {
			return out, err
		}
		out.Users[u.Name] = key
	}
	return out, nil
}

// familyByName maps the values of turn.default_family.
func familyByName(name config.Family) turnsvc.Family {
	switch name {
	case "ipv6":
		return turnsvc.FamilyIPv6
	case "auto":
		return turnsvc.FamilyOfClient
	}
	return turnsvc.FamilyIPv4
}

// peersByName maps the values of turn.peers and turn.static_peers.
func peersByName(name string) turnsvc.Peers {
	switch name {
	case "room":
		return turnsvc.PeersRoom
	case "signaled":
		return turnsvc.PeersSignaled
	case "public":
		return turnsvc.PeersPublic
	case "any":
		return turnsvc.PeersAny
	}
	return turnsvc.PeersNone
}

func roomsOptions(c *config.Config) rooms.Options {
	o := rooms.Options{Mint: func(r admission.TokenRequest) (admission.Token, error) { return MintToken(c, r) }}
	for _, k := range c.API.Keys {
		key := rooms.Key{Name: k.Name, Key: k.Key, Rooms: k.Rooms, Users: k.Users}
		for _, right := range k.May {
			key.May = append(key.May, rooms.Right(right))
		}
		o.Keys = append(o.Keys, key)
	}
	return o
}

func adminTokens(c *config.Config) (out []admin.Token) {
	for _, t := range c.Admin.Tokens {
		out = append(out, admin.Token{Name: t.Name, Hash: t.Sum(), Scope: admin.Scope(t.Scope)})
	}
	return out
}

func adminLimits(c *config.Config) *admin.Limits {
	return &admin.Limits{Allocations: int64(c.TURN.Limits.Allocations), Bandwidth: int64(c.TURN.Limits.TotalBandwidth),
		Sessions: int64(c.Signal.Sessions), Rooms: int64(c.Signal.Rooms)}
}

func hookOptions(c *config.Config) webhook.Options {
	w := &c.Webhook
	o := webhook.Options{
		URL: string(w.URL), Connect: string(w.ConnectURL), Secret: w.Secret,
		Timeout: time.Duration(w.ConnectTimeout), AdmitUnasked: w.ConnectUnanswered == "admit",
	}
	for _, kind := range w.Events {
		o.Events = append(o.Events, signal.Kind(kind))
	}
	return o
}

func notifyOptions(c *config.Config) notify.Options {
	box := string(c.PublicHost)
	if host, err := os.Hostname(); err == nil {
		box = cmp.Or(box, host)
	}
	return notify.Options{Webhook: string(c.Notify.Webhook), Command: c.Notify.Command, Box: box}
}

// claimsCount reports whether the relay is told of the addresses that candidates claim. They open
// something with "signaled" only; but who narrows "public" or "any" to that, by a reload, wants
// running calls to go on at the addresses that were signaled before.
func claimsCount(c *config.Config) bool { return c.TURN.Peers != "room" }

// hubLive is the part of hubOptions that can change while the hub runs.
func hubLive(c *config.Config) signal.Live {
	return signal.Live{
		RoomCapacity:   int(c.Signal.RoomCapacity),
		AllowedOrigins: append(c.OwnOrigins(), c.Web.AllowedOrigins...), Claims: claimsCount(c),
	}
}

func hubOptions(c *config.Config) signal.Options {
	s := &c.Signal
	devices := int(s.Devices)
	if devices == 0 {
		devices = math.MaxInt
	}
	live := hubLive(c)
	lobby, hall := chat.Hall(chat.Options{Capacity: dialectCapacity(c)})
	return signal.Options{
		Devices: devices, Halls: map[string]signal.Hall{lobby: hall, webui.Lobby: hall},
		RoomCapacity: live.RoomCapacity, Rooms: int(s.Rooms), RoomsPerSession: int(s.RoomsPerSession), Calls: s.Calls,
		Heartbeat: time.Duration(s.Heartbeat), MaxFrame: int(s.MaxFrame), Rate: float64(s.Rate),
		Sessions: int(s.Sessions), SessionsPerSource: int(s.SessionsPerSource), Resume: time.Duration(s.Resume),
		AllowedOrigins: live.AllowedOrigins, Claims: live.Claims,
		EndAtExp: c.Auth.EndAtExp,
	}
}
