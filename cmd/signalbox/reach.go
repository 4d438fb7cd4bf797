package main

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/url"
	"os"
	"strings"

	"github.com/spf13/cobra"
)

// trustFlags say which certificates of a server a command accepts.
type trustFlags struct {
	ca       string
	insecure bool
}

func (f *trustFlags) register(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVar(&f.ca, "ca", "", "also trust the certificates in this PEM `file` (a self-signed box offers its "+
		"own at /ca.pem)")
	flags.BoolVar(&f.insecure, "insecure", false, "accept any certificate")
}

// load returns the TLS configuration with the certificates that the flags trust.
func (f *trustFlags) load() (*tls.Config, error) {
	conf := &tls.Config{InsecureSkipVerify: f.insecure} //nolint:gosec // as the user says
	if f.ca == "" {
		return conf, nil
	}
	if f.insecure {
		return nil, errors.New("--ca and --insecure: choose one")
	}
	text, err := os.ReadFile(f.ca)
	if err != nil {
		return nil, fmt.Errorf("--ca: %w", err)
	}
	if conf.RootCAs, err = x509.SystemCertPool(); err != nil {
		conf.RootCAs = x509.NewCertPool()
	}
	if !conf.RootCAs.AppendCertsFromPEM(text) {
		return nil, fmt.Errorf("--ca: %s holds no certificate in PEM", f.ca)
	}
	return conf, nil
}

// boxURL reads the URL of a box. A mere name stands for https.
func boxURL(text string) (*url.URL, error) {
	if !strings.Contains(text, "://") {
		text = "https://" + text
	}
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" {
		return nil, fmt.Errorf("%q is not the URL of a box: write https://call.example.org or http://192.0.2.1:8080",
			text)
	}
	u.RawQuery, u.Fragment, u.User = "", "", nil
	return u, nil
}
