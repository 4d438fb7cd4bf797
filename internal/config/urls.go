package config

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"signalbox/internal/netaddr"
)

// HostPart stands, in an entry of turn.urls, for the name or address by which a client reaches this
// box.
const HostPart = "{host}"

// ICEURLs is a list of URLs of STUN and TURN servers (RFC 7064, RFC 7065), each of which may have
// HostPart for its host.
type ICEURLs []string

// UnmarshalTOML implements toml.Unmarshaler.
func (u *ICEURLs) UnmarshalTOML(v any) error {
	next, err := list(v)
	if err != nil {
		return err
	}
	return take(u, ICEURLs(next))
}

func (u ICEURLs) check() error {
	const most = 16 // browsers try each of them, and some complain from five on
	if len(u) > most {
		return fmt.Errorf("want at most %d entries", most)
	}
	for i, url := range u {
		if err := checkICEURL(url); err != nil {
			return fmt.Errorf(`%q is not a URL of a STUN or TURN server: %w: write "turns:%s:443?transport=tcp"`, url,
				err, HostPart)
		}
		if slices.Contains(u[:i], url) {
			return fmt.Errorf("%q is listed twice: remove one", url)
		}
	}
	return nil
}

// checkICEURL says what a browser would refuse about a URL: it then refuses the whole configuration
// of its connection.
func checkICEURL(url string) error {
	scheme, rest, _ := strings.Cut(url, ":")
	at, query, asks := strings.Cut(rest, "?")
	switch scheme {
	case "turn", "turns":
		if asks && query != "transport=udp" && query != "transport=tcp" {
			return fmt.Errorf("%q is neither transport=udp nor transport=tcp", query)
		}
	case "stun", "stuns":
		if asks {
			return errors.New("of a STUN server nothing follows the port")
		}
	default:
		return errors.New("it must begin with stun:, stuns:, turn: or turns: and a host")
	}
	if rest, ok := strings.CutPrefix(at, HostPart); ok && (rest == "" || rest[0] == ':') {
		at = "host" + rest // to be read as any name
	}
	host, port, bracketed := strings.TrimSuffix(at, "]"), "3478", strings.HasPrefix(at, "[")
	if strings.Contains(at, ":") && !strings.HasSuffix(at, "]") {
		var err error
		if host, port, err = net.SplitHostPort(at); err != nil {
			return errors.New("an IPv6 address is in brackets")
		}
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
		return fmt.Errorf("%q is not a port", port)
	}
	host = strings.TrimPrefix(host, "[")
	if ip, err := netip.ParseAddr(host); bracketed != (err == nil && ip.Is6()) || !netaddr.ValidHost(host) {
		return fmt.Errorf("%q is neither %s nor a host", host, HostPart)
	}
	return nil
}

// Relays reports whether one of them is of a TURN server.
func (u ICEURLs) Relays() bool {
	return slices.ContainsFunc(u, func(url string) bool { return strings.HasPrefix(url, "turn") })
}
