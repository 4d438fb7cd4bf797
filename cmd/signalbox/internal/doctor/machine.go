package doctor

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"time"

	"signalbox/internal/app"
	"signalbox/internal/config"
	"signalbox/internal/state"
	"signalbox/internal/trouble"
)

func relayAddress(ctx context.Context, c config.Config) Check {
	where, off, err := app.FindRelays(ctx, &c)
	switch {
	case len(where) == 0 && err != nil:
		return failed(trouble.NoAddress, "check public_ip and turn.relay_ip", "%v", err)
	case len(where) == 0:
		return failed(trouble.NoAddress, "",
			"this machine has no address at which others reach it, so every allocation is refused (440)")
	}
	var words, notes []string
	code := trouble.PublicIPWrong
	if where[0].Bind.IP.Is6() && c.TURN.DefaultFamily == "ipv4" {
		code = trouble.FamilyMissing
		notes = append(notes, `set turn.default_family = "auto": clients that ask for no family, as all browsers do, `+
			"are refused (440), since there is no IPv4 address to relay on")
	}
	for _, r := range where {
		text := fmt.Sprintf("%s (%s)", r.Public.IP, r.Public.Why)
		if r.Bind.IP != r.Public.IP {
			text += ", bound to " + r.Bind.IP.String()
		}
		words = append(words, text)
		if note := r.Note(); note != "" && !c.Dev {
			notes = append(notes, r.Public.IP.String()+": "+note)
		}
	}
	words = append(words, off...)
	if len(notes) > 0 {
		return warning(code, strings.Join(notes, "; "), "%s", strings.Join(words, "; "))
	}
	return ok("%s", strings.Join(words, "; "))
}

// portRange tries some of the relay ports. A box that runs here may hold some of them.
func portRange(ctx context.Context, c config.Config) Check {
	first, last := c.TURN.RelayPorts.First, c.TURN.RelayPorts.Last
	where, _, _ := app.FindRelays(ctx, &c) // relayAddress reports the error
	if len(where) == 0 {
		return skipped("unknown without a relay address")
	}
	const few = 100 // a mesh call of eight makes about 60 allocations
	size := int(last) - int(first) + 1
	tried, taken := min(size, 64), 0
	for _, i := range rand.Perm(size)[:tried] {
		conn, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.AddrPortFrom(where[0].Bind.IP,
			first+uint16(i))))
		if err != nil {
			taken++
			continue
		}
		conn.Close()
	}
	switch {
	case taken == tried:
		return failed(trouble.RelayPortsTaken, "choose another range in turn.relay_ports; `signalbox allocations` "+
			"shows whether they are in use",
			"no port of %d-%d is free on %s", first, last, where[0].Bind.IP)
	case taken*4 > tried:
		return warning(trouble.RelayPortsTaken, "widen turn.relay_ports, or find the programs that hold them: ss -lunp",
			"%d of %d ports tried in %d-%d are taken", taken, tried, first, last)
	case size < few:
		return warning(trouble.RelayPortsFew, "", "%d-%d are only %d ports", first, last, size)
	}
	return ok("%d-%d; %d of %d tried are free", first, last, tried-taken, tried)
}

// enoughFiles serves a small box: each allocation and each session takes one file.
const enoughFiles = 8192

// openFiles judges the limit of the box that runs here. Doctor's own is that of the shell.
func openFiles(dir string) Check {
	pid := app.Process(state.Existing(dir))
	who, note := fmt.Sprintf("the box that runs here (process %d)", pid), ""
	limit, known := fileLimitOf(pid)
	if !known {
		who, note = "what is started from here", "; a service has the LimitNOFILE of its unit"
		limit, known = fileLimit()
	}
	switch {
	case !known:
		return skipped("this system has no such limit")
	case limit < enoughFiles:
		return warning(trouble.FewDescriptors, "", "%s may open only %d files%s", who, limit, note)
	}
	return ok("%s may open %d files%s", who, limit, note)
}

// wantedBuffer is the receive buffer that the TURN sockets ask for, in bytes.
const wantedBuffer = 4 << 20

func udpBuffer() Check {
	largest, lost, known := receiveBuffer()
	switch {
	case !known:
		return skipped("this system does not say")
	case largest < wantedBuffer && lost > 0:
		return warning(trouble.UDPBuffer, fmt.Sprintf("sysctl -w net.core.rmem_max=%d, and in /etc/sysctl.d",
			wantedBuffer),
			"it holds %d KiB, and this system has dropped %d datagrams since it started because a buffer was full",
			largest>>10, lost)
	}
	return ok("up to %d KiB (net.core.rmem_max); %d datagrams dropped by full buffers since this system started",
		largest>>10, lost)
}

func ownClock() Check {
	synced, known := clockSynced()
	switch {
	case !known:
		return skipped("this system does not say whether its clock is right")
	case !synced:
		return warning(trouble.ClockUnsynced, "", "%s, and nothing keeps this clock right",
			time.Now().Format(time.RFC3339))
	}
	return ok("%s, kept right by NTP", time.Now().Format(time.RFC3339))
}

func stateDir(dir string) Check {
	info, err := os.Stat(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return ok("%s does not exist yet: the first start makes it", dir)
	case err != nil:
		return failed(trouble.StateUnwritable, "run doctor as the service's user or as root", "%v", err)
	case !info.IsDir():
		return failed(trouble.StateUnwritable, "name a directory with --state", "%s is not a directory", dir)
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return warning(trouble.StateUnwritable, "run doctor as the service's user (sudo -u signalbox signalbox "+
			"doctor ...) or as root",
			"%s can't be read: %v", dir, reason(err))
	}
	owner, _ := ownerOf(info)
	for _, e := range entries {
		if file, err := e.Info(); err == nil && file.Mode().IsRegular() {
			if uid, known := ownerOf(file); known && uid != owner {
				return warning(trouble.Unreadable, fmt.Sprintf("chown %d %s", owner, filepath.Join(dir, e.Name())),
					"%s and the directory belong to different users: the service may be unable to read the file",
					e.Name())
			}
		}
	}
	if e := state.Existing(dir).Exposed(); e != nil {
		return warning(trouble.StateExposed, e.Fix, "%s: %s", e.Path, e.Why)
	}
	return ok("%s", dir)
}
