//go:build linux

package lab_test

import (
	"bufio"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"signalbox/internal/testkit"
	"signalbox/internal/trouble"
	"signalbox/scripts/lab"
)

// Doctor names each of these faults, with its remedy, and no other.
func TestDoctorNamesEachFault(t *testing.T) {
	t.Parallel()
	lab.Require(t, "nft")
	for _, tt := range []struct {
		name   string
		code   trouble.Code
		remedy string // a part of what it says to do
		ask    func(t *testing.T) diagnosis
	}{
		{"nothing, from afar", "", "",
			func(t *testing.T) diagnosis {
				l, s, ca := faultyBox(t, "")
				return diagnose(t, l.A, "--ca", ca, s.HTTPS)
			}},
		{"nothing, on the machine", "", "",
			func(t *testing.T) diagnosis {
				l := outsideLab(t)
				return diagnose(t, l.Server, onMachine(t)...)
			}},
		{"relay ports are closed", trouble.RelayPortsClosed, "open turn.relay_ports: ufw allow",
			func(t *testing.T) diagnosis {
				l, s, ca := faultyBox(t, "")
				l.Server.Nft(t, `table inet shut { chain in { type filter hook input priority 0; `+
					`udp dport 49152-65535 drop; }; }`)
				return diagnose(t, l.A, "--ca", ca, s.HTTPS)
			}},
		{"public_ip is another's", trouble.PublicIPWrong, "set public_ip",
			func(t *testing.T) diagnosis {
				l, s, ca := faultyBox(t, "public_ip = \"203.0.114.99\"\n")
				return diagnose(t, l.A, "--ca", ca, s.HTTPS)
			}},
		{"the certificate has expired", trouble.CertificateExpired, "renew it",
			func(t *testing.T) diagnosis {
				l := outsideLab(t)
				cert, key := faultyCertificate(t, time.Now().Add(-time.Hour))
				s := lab.StartServer(t, l.Server, faultyConfig+tlsFiles(cert, key))
				return diagnose(t, l.A, "--ca", cert, s.HTTPS)
			}},
		{"UDP does not get out", trouble.UDPBlocked, "ufw allow 3478/udp",
			func(t *testing.T) diagnosis {
				l, s, ca := faultyBox(t, "")
				return diagnose(t, l.B, "--ca", ca, s.HTTPS)
			}},
		{"the name leads elsewhere", trouble.DNSWrong, "change its A record to 203.0.114.10",
			func(t *testing.T) diagnosis {
				l := outsideLab(t)
				l.Server.Resolve(t, lab.ServerName, "203.0.114.77")
				return diagnose(t, l.Server, onMachine(t, "--set", "public_host="+lab.ServerName,
					"--set", "public_ip=203.0.114.10")...)
			}},
		{"the NAT does not lead back", trouble.Hairpin, "in another network",
			func(t *testing.T) diagnosis {
				l := lab.New(t, lab.FullCone, lab.FullCone, lab.GlobalAddresses, lab.OneToOneNAT)
				return diagnose(t, l.Server, onMachine(t, "--set", "public_host=203.0.114.10",
					"--set", "public_ip=203.0.114.10")...)
			}},
		{"few files may be open", trouble.FewDescriptors, "LimitNOFILE",
			func(t *testing.T) diagnosis {
				return diagnoseBy(t, outsideLab(t).Server, `ulimit -n 512; exec "$@"`, onMachine(t)...)
			}},
		{"the box's clock is wrong", trouble.ClockSkew, "set both by NTP",
			func(t *testing.T) diagnosis {
				l, _, ca := faultyBox(t, "")
				return diagnose(t, l.A, "--ca", ca, anHourAhead(t, l.Server, ca))
			}},
		{"credentials are of another secret", trouble.CredentialRefused, "turn.secret",
			func(t *testing.T) diagnosis {
				l := outsideLab(t)
				other := l.AddHost(t, "other", 66)
				lab.StartServer(t, other, faultyConfig)
				cert, key := lab.Certificate(t)
				s := lab.StartServer(t, l.Server, faultyConfig+tlsFiles(cert, key), "--set",
					"turn.urls=turn:"+other.Public+":3478")
				return diagnose(t, l.A, "--ca", cert, s.HTTPS)
			}},
		{"another program has the port", trouble.PortTaken, "stop it, or choose another port",
			func(t *testing.T) diagnosis {
				l := outsideLab(t)
				l.Server.ListenUDP(t, "0.0.0.0:3478")
				return diagnose(t, l.Server, onMachine(t)...)
			}},
		{"the service can't read its key", trouble.Unreadable, "chgrp",
			func(t *testing.T) diagnosis {
				return diagnose(t, outsideLab(t).Server, closedKey(t)...)
			}},
		{"the disk is full", trouble.DiskFull, "make room",
			func(t *testing.T) diagnosis {
				dir := t.TempDir()
				return diagnoseBy(t, outsideLab(t).Server,
					`exec unshare -m sh -c 'mount -t tmpfs -o size=64k,mode=700 none "$0" && exec "$@"' '`+dir+`' "$@"`,
					"--state", dir)
			}},
		{"the ACME directory does not answer", trouble.ACMEFailed, "tries again by itself", withoutACME},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			d := tt.ask(t)
			var want []trouble.Code
			if tt.code != "" {
				want = append(want, tt.code)
			}
			if !slices.Equal(d.codes, want) {
				t.Errorf("doctor names %v, want %v", d.codes, want)
			}
			if !strings.Contains(d.fixes, tt.remedy) {
				t.Errorf("it does not say %q", tt.remedy)
			}
			if t.Failed() {
				t.Logf("doctor says\n%s", d.text)
			}
		})
	}
}

// A box that answers nothing at many addresses keeps nobody waiting for long: they are tried side
// by side.
func TestDoctorAsksManyAddressesAtOnce(t *testing.T) {
	t.Parallel()
	l := outsideLab(t)
	cert, key := lab.Certificate(t)
	var urls []string
	for n := 120; n < 136; n++ {
		at := fmt.Sprintf("203.0.114.%d", n)
		l.Server.Exec(t, "ip", "addr", "add", at+"/24", "dev", "eth0")
		urls = append(urls, fmt.Sprintf("%q", "turn:"+at+":3478?transport="+[]string{"udp", "tcp"}[n%2]))
	}
	l.Server.Nft(t, `table inet hole { chain in { type filter hook input priority 0; th dport 3478 drop; }; }`)
	s := lab.StartServer(t, l.Server, faultyConfig+tlsFiles(cert, key), "--set",
		"turn.urls=["+strings.Join(urls, ",")+"]")
	began := time.Now()
	d := diagnose(t, l.A, "--ca", cert, s.HTTPS)
	took := time.Since(began)
	if silent := strings.Count(d.text, "nothing came back"); silent != len(urls) {
		t.Errorf("%d addresses answer nothing, want %d:\n%s", silent, len(urls), d.text)
	}
	// One after the other they alone take their timeouts, however fast the machine is.
	if serial := time.Duration(len(urls)) * diagnosisTimeout; took > serial*3/4 {
		t.Errorf("it took %v; one after the other it is %v", took, serial)
	}
	t.Logf("it took %v", took)
}

const faultyConfig = "[web]\nlisten = \":8080\"\ntls_listen = \":8443\"\n"

func outsideLab(t *testing.T) *lab.Lab {
	t.Helper()
	return lab.New(t, lab.Symmetric, lab.UDPBlocked, lab.GlobalAddresses)
}

// faultyBox is one with a certificate, which is its own authority. first stands above all tables.
func faultyBox(t *testing.T, first string) (l *lab.Lab, s *lab.Server, ca string) {
	t.Helper()
	l = outsideLab(t)
	cert, key := lab.Certificate(t)
	return l, lab.StartServer(t, l.Server, first+faultyConfig+tlsFiles(cert, key)), cert
}

func tlsFiles(cert, key string) string {
	return fmt.Sprintf("[tls]\nmode = \"files\"\ncert = %q\nkey = %q\n", cert, key)
}

// onMachine are arguments with which doctor runs a box for its checks.
func onMachine(t *testing.T, more ...string) []string {
	t.Helper()
	return append([]string{"--state", filepath.Join(t.TempDir(), "state")}, more...)
}

// diagnosisTimeout is for one check.
const diagnosisTimeout = 3 * time.Second

// diagnosis is what doctor says.
type diagnosis struct {
	codes       []trouble.Code // each once
	fixes, text string
}

func diagnose(t *testing.T, in *lab.Namespace, args ...string) diagnosis {
	t.Helper()
	return diagnoseBy(t, in, `exec "$@"`, args...)
}

// diagnoseBy has a shell run doctor. What is amiss with the machine of the test itself does not
// count.
func diagnoseBy(t *testing.T, in *lab.Namespace, script string, args ...string) (d diagnosis) {
	t.Helper()
	out, err := in.Command(t.Context(), "sh", append([]string{"-c", script, "sh", lab.Binary(t), "doctor", "--json",
		"--timeout", diagnosisTimeout.String()}, args...)...).Output()
	var exit *exec.ExitError
	if err != nil && (!errors.As(err, &exit) || exit.ExitCode() != 1) {
		t.Fatalf("%v: %s", err, exit.Stderr)
	}
	var report struct {
		Checks []struct {
			Name, Verdict, Detail, Fix string
			Code                       trouble.Code
		}
	}
	if err := json.Unmarshal(out, &report); err != nil || len(report.Checks) == 0 {
		t.Fatalf("%v: %s", err, out)
	}
	for _, c := range report.Checks {
		d.text += fmt.Sprintf("%s  %s: %s -> %s [%s]\n", c.Verdict, c.Name, c.Detail, c.Fix, c.Code)
		if c.Code == "" || c.Code == trouble.ClockUnsynced || c.Code == trouble.UDPBuffer {
			continue
		}
		d.fixes += c.Fix + "\n"
		if !slices.Contains(d.codes, c.Code) {
			d.codes = append(d.codes, c.Code)
		}
	}
	return d
}

// faultyCertificate ends then.
func faultyCertificate(t *testing.T, ends time.Time) (certFile, keyFile string) {
	t.Helper()
	files := testkit.CertFilesIn(t.TempDir())
	cert, key := testkit.Pair(t, "203.0.114.10", ends.Add(-testkit.SelfSignedLife))
	testkit.WriteFile(t, files.Cert, cert)
	testkit.WriteFile(t, files.Key, key)
	return files.Cert, files.Key
}

// closedKey are arguments for a box of another user, who can't read the key.
func closedKey(t *testing.T) []string {
	t.Helper()
	cert, key := lab.Certificate(t)
	dir, err := os.MkdirTemp("", "signalbox-lab-") // that of the test is closed to others
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	there := func(name string) string { return filepath.Join(dir, name) }
	for _, change := range []error{os.Chmod(dir, 0o755), os.Rename(cert, there("cert.pem")),
		os.Chmod(there("cert.pem"), 0o644), os.Rename(key, there("key.pem")), os.Mkdir(there("state"), 0o700),
		os.Chown(there("state"), 65534, 65534)} {
		if change != nil {
			t.Fatal(change)
		}
	}
	return []string{"--ca", there("cert.pem"), "--state", there("state"), "--set", "tls.mode=files", "--set",
		"tls.cert=" + there("cert.pem"),
		"--set", "tls.key=" + there("key.pem")}
}

// anHourAhead puts a proxy before the box whose answers have another date, and returns its URL.
func anHourAhead(t *testing.T, box *lab.Namespace, certFile string) string {
	t.Helper()
	pair, err := tls.LoadX509KeyPair(certFile, filepath.Join(filepath.Dir(certFile), "key.pem"))
	if err != nil {
		t.Fatal(err)
	}
	behind, _ := url.Parse("http://" + box.Public + ":8080") // it is one
	proxy := httputil.NewSingleHostReverseProxy(behind)
	proxy.FlushInterval = -1
	proxy.Transport = &http.Transport{DialContext: box.DialContext}
	proxy.ModifyResponse = func(r *http.Response) error {
		r.Header.Set("Date", time.Now().Add(time.Hour).UTC().Format(http.TimeFormat))
		return nil
	}
	l := box.ListenTCP(t, box.Public+":9443")
	serveHTTP(t, tls.NewListener(l, &tls.Config{Certificates: []tls.Certificate{pair}}), proxy)
	return "https://" + l.Addr().String()
}

// withoutACME asks about a box whose ACME directory is a port at which nothing listens.
func withoutACME(t *testing.T) diagnosis {
	t.Helper()
	l := outsideLab(t)
	l.Server.Resolve(t, lab.ServerName, l.Server.Public)
	cert, _ := lab.Certificate(t)
	state := filepath.Join(t.TempDir(), "state")
	args := []string{"--state", state}
	for _, set := range []string{"public_host=" + lab.ServerName, "web.listen=:80", "web.tls_listen=:443",
		"tls.mode=acme", "tls.acme_directory=https://127.0.0.1:9/dir", "tls.acme_ca_file=" + cert} {
		args = append(args, "--set", set)
	}
	box := l.Server.Command(t.Context(), lab.Binary(t), append([]string{"serve"}, args...)...)
	out, err := box.StderrPipe()
	if err == nil {
		err = box.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		box.Process.Kill()
		box.Wait()
	})
	late := time.AfterFunc(20*time.Second, func() { box.Process.Kill() })
	lines := bufio.NewScanner(out)
	for lines.Scan() && !strings.Contains(lines.Text(), "no new certificate from the ACME directory") {
	}
	if !late.Stop() {
		t.Fatal("the box does not ask the directory")
	}
	go io.Copy(io.Discard, out) //nolint:errcheck // until the box ends
	return diagnose(t, l.Server, args...)
}
