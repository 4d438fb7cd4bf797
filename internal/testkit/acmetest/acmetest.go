// Package acmetest is an ACME directory for tests: pebble, with an authority of its own.
package acmetest

import (
	"crypto/x509"
	"encoding/pem"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/letsencrypt/pebble/v2/ca"
	"github.com/letsencrypt/pebble/v2/db"
	"github.com/letsencrypt/pebble/v2/va"
	"github.com/letsencrypt/pebble/v2/wfe"
	"github.com/miekg/dns"
)

// Directory is an ACME directory. To it every name is this machine.
type Directory struct {
	URL    string
	CAFile string // of the certificate that the directory itself serves
	// Down makes it drop every request.
	Down atomic.Bool
	// Validates, if it is set before Open, gets a func for each request to look for the answer to a
	// challenge: called, it lets the request go on.
	Validates chan func()

	srv         *httptest.Server
	root, inner *x509.Certificate // inner signs what it issues, and is signed by root
}

// New makes a directory that begins to serve with Open.
func New(t testing.TB) *Directory {
	t.Helper()
	d := &Directory{CAFile: filepath.Join(t.TempDir(), "directory.pem"), srv: httptest.NewUnstartedServer(nil)}
	t.Cleanup(d.srv.Close)
	d.URL = "https://" + d.srv.Listener.Addr().String() + wfe.DirectoryPath
	same := httptest.NewTLSServer(nil) // all such servers have one certificate
	defer same.Close()
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: same.Certificate().Raw})
	if err := os.WriteFile(d.CAFile, text, 0o600); err != nil {
		t.Fatal(err)
	}
	return d
}

// Open serves. Challenges are looked for at these ports, HTTP-01 and TLS-ALPN-01; nil: nobody is
// there. Certificates live for life.
func (d *Directory) Open(t testing.TB, web, webTLS net.Listener, life time.Duration) {
	t.Helper()
	port := func(l net.Listener) int {
		if l == nil {
			return 1 // nobody
		}
		return l.Addr().(*net.TCPAddr).Port
	}
	for name, value := range map[string]string{"PEBBLE_VA_NOSLEEP": "1", "PEBBLE_WFE_NONCEREJECT": "0",
		"PEBBLE_AUTHZREUSE": "0"} {
		if err := os.Setenv(name, value); err != nil { // read by New below; the same for every test
			t.Fatal(err)
		}
	}
	quiet, store := log.New(io.Discard, "", 0), db.NewMemoryStore()
	authority := ca.New(quiet, store, "", "ecdsa", 0, 1,
		map[string]ca.Profile{"only": {ValidityPeriod: uint64(life / time.Second)}})
	d.root, d.inner = authority.GetRootCert(0).Cert, authority.GetIntermediateCert(0).Cert
	validator := va.New(quiet, port(web), port(webTLS), false, resolver(t), store)
	front := wfe.New(quiet, store, validator, authority, nil, false, false, 1, 1)
	handler := front.Handler()
	d.srv.Config.ErrorLog, d.srv.Config.ReadHeaderTimeout = quiet, time.Minute
	d.srv.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if d.Down.Load() {
			panic(http.ErrAbortHandler)
		}
		if d.Validates != nil && strings.HasPrefix(r.URL.Path, challengePath) {
			d.hold(r)
		}
		handler.ServeHTTP(w, r)
	})
	d.srv.StartTLS()
}

// challengePath is where pebble is told to look.
const challengePath = "/chalZ/"

// hold waits for what Validates got to be called.
func (d *Directory) hold(r *http.Request) {
	on := make(chan struct{})
	select {
	case d.Validates <- sync.OnceFunc(func() { close(on) }):
	case <-r.Context().Done():
		return
	}
	select {
	case <-on:
	case <-r.Context().Done():
	}
}

// Accept takes a connection to a directory that is not open.
func (d *Directory) Accept() (net.Conn, error) { return d.srv.Listener.Accept() }

// Issued reports whether a certificate is from the directory, for that name.
func (d *Directory) Issued(leaf *x509.Certificate, name string) bool {
	roots, between := x509.NewCertPool(), x509.NewCertPool()
	roots.AddCert(d.root)
	between.AddCert(d.inner)
	_, err := leaf.Verify(x509.VerifyOptions{Roots: roots, Intermediates: between, DNSName: name})
	return err == nil
}

// resolver is a DNS server to which every name is this machine.
func resolver(t testing.TB) (addr string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	srv := &dns.Server{Listener: l, Handler: dns.HandlerFunc(func(w dns.ResponseWriter, q *dns.Msg) {
		answer := new(dns.Msg).SetReply(q)
		if q.Question[0].Qtype == dns.TypeA {
			header := dns.RR_Header{Name: q.Question[0].Name, Rrtype: dns.TypeA, Class: dns.ClassINET}
			answer.Answer = []dns.RR{&dns.A{Hdr: header, A: net.IPv4(127, 0, 0, 1)}}
		}
		w.WriteMsg(answer) //nolint:errcheck // the client is gone
	})}
	done := make(chan struct{})
	go func() {
		defer close(done)
		srv.ActivateAndServe() //nolint:errcheck // it is closed
	}()
	t.Cleanup(func() {
		l.Close()
		<-done
	})
	return l.Addr().String()
}
