package site

import (
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"signalbox/internal/answer"
	"signalbox/internal/netaddr"
	"signalbox/internal/source"
)

// Hosts knows by which names the box is reached. A page of any other site can let its own name lead
// here and then ask as a page of the box would (DNS rebinding), without an Origin: the name in Host
// is the only sign of it. An address there is none, nor is a name that only a local network has,
// since nobody can have a page of that name.
type Hosts struct {
	Cert func(host string) bool // whether the box's certificate is made out to it
	// Log is told of the first few names that are refused: one of them may be the box's own, which
	// nobody has written into the configuration.
	Log *slog.Logger

	names atomic.Pointer[[]string]
	told  source.Once
}

// Apply says by which names the box is reached from now on.
func (h *Hosts) Apply(names []string) { h.names.Store(&names) }

// Knows reports whether a Host header is one by which the box may be asked.
func (h *Hosts) Knows(hostHeader string) bool {
	host := hostHeader
	if name, _, err := net.SplitHostPort(hostHeader); err == nil {
		host = name
	}
	host = strings.TrimSuffix(strings.TrimPrefix(host, "["), "]")
	if _, err := netip.ParseAddr(host); err == nil {
		return true
	}
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	names := h.names.Load()
	return netaddr.IsLocalName(host) || names != nil && slices.Contains(*names, host) || h.Cert(host)
}

// Only refuses requests for other hosts.
func (h *Hosts) Only(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !h.Knows(r.Host) {
			h.tell(r.Host, r.URL.Path, source.OfRequest(r))
			answer.Error(w, http.StatusForbidden, answer.Unauthorized,
				fmt.Sprintf("this box does not go by the name of %q: if it is one of the box's, write it into "+
					"public_host", r.Host))
			return
		}
		next.ServeHTTP(w, r)
	})
}

// Own is Knows for pages that come under the name in Host themselves: it logs the names that it
// refuses.
func (h *Hosts) Own(hostHeader string) bool {
	if h.Knows(hostHeader) {
		return true
	}
	h.tell(hostHeader, "", netip.Addr{})
	return false
}

func (h *Hosts) tell(host, path string, from netip.Addr) {
	if h.told.First(host, from, time.Now()) {
		h.Log.Warn("refused under a name that isn't known to be this box's: if it is, write it into public_host",
			"host", host, "path", path)
	}
}
