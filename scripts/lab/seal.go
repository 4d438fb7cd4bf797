//go:build linux

package lab

import (
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"slices"
)

// Sealed returns an error if any of the lab's network devices leads out of the
// lab: each that is up must be a loopback, the lab's bridge, an end of a Path, or one end of
// a cable whose other end is in the lab, too. New and Up see to it, so that packets to
// addresses that exist elsewhere, as with GlobalAddresses, stay here.
func (l *Lab) Sealed() error {
	inside := map[string]bool{}
	for _, n := range l.namespaces() {
		inside[n.Name] = true
	}
	var errs []error
	for _, n := range l.namespaces() {
		var devices []struct {
			Name  string   `json:"ifname"`
			Flags []string `json:"flags"`
			Type  string   `json:"link_type"`
			NSID  *int     `json:"link_netnsid"` // of the namespace with the other end, if it has one
		}
		var names []struct {
			NSID int    `json:"nsid"`
			Name string `json:"name"`
		}
		if err := errors.Join(n.ipJSON(&devices, "link", "show"), n.ipJSON(&names, "netns", "list-id")); err != nil {
			return err
		}
		for _, d := range devices {
			// Some kernels put a tunnel into every namespace, which is down.
			if d.Type == "loopback" || n == l.inet && d.Name == "br0" || !slices.Contains(d.Flags, "UP") {
				continue
			}
			within := l.path && (n == l.NATA && d.Name == pathNear || n == l.A && d.Name == pathFar)
			for _, name := range names {
				within = within || d.NSID != nil && *d.NSID == name.NSID && inside[name.Name]
			}
			if !within {
				errs = append(errs, fmt.Errorf("the lab is not sealed: %s of %s leads out", d.Name, n.Name))
			}
		}
	}
	return errors.Join(errs...)
}

// ipJSON decodes what ip(8) says inside the namespace.
func (n *Namespace) ipJSON(into any, args ...string) error {
	out, err := exec.Command("ip", append([]string{"-json", "-n", n.Name}, args...)...).Output()
	if err != nil {
		return fmt.Errorf("ip %v in %s: %w", args, n.Name, err)
	}
	return json.Unmarshal(out, into)
}
