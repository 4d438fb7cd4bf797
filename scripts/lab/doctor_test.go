//go:build linux

package lab_test

import (
	"errors"
	"os/exec"
	"path/filepath"
	"regexp"
	"testing"

	"signalbox/scripts/lab"
)

// Doctor names what is in the way of calls, from where it is asked.
func TestDoctorFromAfar(t *testing.T) {
	t.Parallel()
	l := lab.New(t, lab.Symmetric, lab.UDPBlocked, lab.GlobalAddresses)
	server := lab.StartServer(t, l.Server, lab.Config, "--set", "turn.allow_peers=[]")
	ca := filepath.Join(t.TempDir(), "ca.pem")
	fetchFile(t, l.A, server.HTTP+"/ca.pem", ca)

	for _, tt := range []struct {
		name string
		from *lab.Namespace
		nft  string // for the box's firewall
		code int
		says []string
	}{
		{"nothing is in the way", l.A, "", 0,
			[]string{`ok +turn/udp \S+ data `, `ok +turn/tcp \S+ data `, `ok +relay ports `,
				`0 failed, 0 warnings. Everything works`}},
		{"UDP does not get out", l.B, "", 1, []string{
			`failed +turn/udp .*UDP is blocked\n +-> open the port for UDP: ufw allow 3478/udp`,
			`ok +turn/tcp \S+ data `,
			`not in every way`,
		}},
		{"relay ports are closed", l.A, `table inet shut { chain in { type filter hook input priority 0; udp dport ` +
			`49152-65535 drop; }; }`, 1,
			[]string{`ok +turn/udp \S+ data `, `failed +relay ports .*\n +-> open turn.relay_ports`,
				`its ports are closed to the outside`}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if tt.nft != "" {
				l.Server.Nft(t, tt.nft)
				defer l.Server.Nft(t, "delete table inet shut")
			}
			out, err := tt.from.Command(t.Context(), lab.Binary(t), "doctor", "--timeout", "3s", "--ca", ca,
				server.HTTPS).CombinedOutput()
			var exit *exec.ExitError
			code := 0
			if errors.As(err, &exit) {
				code = exit.ExitCode()
			} else if err != nil {
				t.Fatal(err)
			}
			if code != tt.code {
				t.Errorf("exit code %d, want %d", code, tt.code)
			}
			for _, pattern := range tt.says {
				if !regexp.MustCompile(pattern).Match(out) {
					t.Errorf("it does not say %s", pattern)
				}
			}
			if t.Failed() {
				t.Logf("doctor says\n%s", out)
			}
		})
	}
}
