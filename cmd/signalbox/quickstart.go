package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/netip"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"signalbox/cmd/signalbox/internal/doctor"
	"signalbox/internal/app"
	"signalbox/internal/config"
	"signalbox/internal/netaddr"
	"signalbox/internal/term"

	"github.com/spf13/cobra"

	"signalbox"
)

func quickstartCommand(g *global) *cobra.Command {
	q := quickstart{g: g}
	cmd := &cobra.Command{
		Use: "quickstart DOMAIN", Short: "Write the configuration of a public server",
		Long: `quickstart writes the few keys that a public server needs to the config file, prints the DNS records and
the firewall's rules that it needs, looks whether the name leads here and the ports are free, and says in
one line what is missing. It asks nothing. A config file that has keys in it stays as it is.`,
		Example: `  signalbox quickstart call.example.org
  signalbox quickstart call.example.org --email you@example.org`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 {
				return usageError{errors.New("name the domain under which callers reach this box, as in signalbox " +
					"quickstart call.example.org")}
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			return q.run(cmd.Context(), cmd.OutOrStdout(), args[0])
		},
	}
	cmd.Flags().StringVar(&q.email, "email", "", "an `address` at which the ACME directory's operator may reach you")
	return cmd
}

type quickstart struct {
	g     *global
	email string
}

func (q *quickstart) load(file string) (signalbox.Config, error) {
	load := q.g.load
	load.File = file
	return signalbox.Load(load)
}

func (q *quickstart) run(ctx context.Context, out io.Writer, domain string) error {
	file := q.g.load.File
	if file == "" {
		file = installedConfig
	}
	domain = strings.ToLower(strings.TrimSuffix(domain, "."))
	text := quickConfig(domain, q.email)
	before, err := os.ReadFile(file)
	switch {
	case err == nil && string(before) == text: // as it was the last time
	case err == nil && hasKeys(string(before)):
		return usageError{fmt.Errorf("%s has keys already: move it away, or name another file with -c", file)}
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return usageError{fmt.Errorf("%w: try sudo, or name another file with -c", err)}
	default:
		if err := writeConfig(file, text, q.load); err != nil {
			return usageError{err}
		}
	}
	cfg, err := q.load(file)
	if err != nil {
		return usageError{err}
	}
	fmt.Fprintf(out, "wrote %s:\n\n%s\n", file, indent(text))
	where, _, _ := app.FindRelays(ctx, &cfg) // what is unknown is not shown
	if _, err := netip.ParseAddr(domain); err != nil && len(where) > 0 {
		fmt.Fprintf(out, "DNS, where the domain is managed:\n\n")
		for _, ip := range where.PublicIPs() {
			kind := "A"
			if strings.Contains(ip, ":") {
				kind = "AAAA"
			}
			fmt.Fprintf(out, "  %s. %s %s\n", domain, kind, ip)
		}
	}
	fmt.Fprintf(out, "\nFirewall, here and at the provider:\n\n%s\n", indent(firewallRules(&cfg)))
	missing := doctor.Taken(cfg)
	for _, w := range app.CheckHost(ctx, &cfg) {
		missing = append(missing, w.String())
	}
	state := "nothing is missing"
	if len(missing) > 0 {
		state = "missing: " + strings.Join(missing, "; ")
	}
	fmt.Fprintln(out, term.Text(state))
	_, err = fmt.Fprintf(out, "next: systemctl enable --now signalbox, then signalbox doctor https://%s from another "+
		"network\nto undo: rm %s\n", domain, file)
	return err
}

// quickConfig is the configuration of a public server. A name of local networks has no certificate
// that a public directory would issue.
func quickConfig(domain, email string) string {
	text := "# `signalbox config` prints every key with its default.\n" +
		fmt.Sprintf("public_host = %q\n[web]\nlisten = \":80\"\ntls_listen = \":443\"\n", domain)
	if _, err := netip.ParseAddr(domain); err == nil || netaddr.IsLocalName(domain) {
		return text
	}
	text += "[tls]\nmode = \"acme\"\n"
	if email != "" {
		text += fmt.Sprintf("acme_email = %q\n", email)
	}
	return text
}

// hasKeys reports whether a text has more than comments.
func hasKeys(text string) bool {
	for line := range strings.Lines(text) {
		if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "#") {
			return true
		}
	}
	return false
}

// writeConfig writes a file that the service's user can read, and nobody else but its owner. What
// can't be loaded takes no place: another try finds what was there before.
func writeConfig(file, text string, load func(string) (signalbox.Config, error)) error {
	next := file + ".new"
	defer os.Remove(next) // unless it has its place
	err := os.MkdirAll(filepath.Dir(file), 0o755)
	if err == nil {
		err = os.WriteFile(next, []byte(text), 0o640)
	}
	if err != nil {
		return fmt.Errorf("%w: try sudo, or name another file with -c", err)
	}
	if _, err := load(next); err != nil {
		return errors.New(strings.ReplaceAll(err.Error(), next, file))
	}
	if err := forService(next); err != nil {
		return err
	}
	return os.Rename(next, file)
}

// forService lets the service's user read a file, if there is one and we may.
func forService(file string) error {
	group, err := user.LookupGroup(installedUser)
	if err != nil || os.Geteuid() != 0 {
		return nil //nolint:nilerr // there is no such group: the file is for who has written it
	}
	gid, err := strconv.Atoi(group.Gid)
	if err != nil {
		return err
	}
	return os.Chown(file, 0, gid)
}

// firewallRules are for the firewalls that are installed here; for all that it knows if none is.
func firewallRules(c *config.Config) string {
	var tcp, udp []string
	add := func(ports *[]string, port uint16) {
		if text := strconv.Itoa(int(port)); !slices.Contains(*ports, text) {
			*ports = append(*ports, text)
		}
	}
	add(&tcp, c.Web.Listen.Port())
	add(&tcp, c.Web.TLSListen.Port())
	for _, l := range c.TURN.Listen {
		if l.OnTCP() {
			add(&tcp, l.Port())
		}
		if l.OnUDP() {
			add(&udp, l.Port())
		}
	}
	udp = append(udp, c.TURN.RelayPorts.String())
	with := func(format string) (lines []string) {
		for _, p := range tcp {
			lines = append(lines, fmt.Sprintf(format, p, "tcp"))
		}
		for _, p := range udp {
			lines = append(lines, fmt.Sprintf(format, p, "udp"))
		}
		return lines
	}
	var found, all []string
	for _, f := range []struct {
		program string
		rules   []string
	}{
		{"ufw", strings.Split(strings.ReplaceAll(strings.Join(with("ufw allow %s/%s"), "\n"), "-", ":"), "\n")},
		{"firewall-cmd", append(with("firewall-cmd --permanent --add-port=%s/%s"), "firewall-cmd --reload")},
		{"nft", []string{
			"nft add rule inet filter input tcp dport { " + strings.Join(tcp, ", ") + " } accept",
			"nft add rule inet filter input udp dport { " + strings.Join(udp, ", ") + " } accept",
		}},
	} {
		rules := strings.Join(f.rules, "\n")
		all = append(all, "# with "+f.program+":\n"+rules)
		if _, err := exec.LookPath(f.program); err == nil {
			found = append(found, all[len(all)-1])
		}
	}
	if len(found) > 0 {
		return strings.Join(found, "\n") + "\n"
	}
	return strings.Join(all, "\n") + "\n"
}

func indent(text string) string {
	return "  " + strings.ReplaceAll(strings.TrimSuffix(text, "\n"), "\n", "\n  ") + "\n"
}
