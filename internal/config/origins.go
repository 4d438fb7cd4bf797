package config

import (
	"net"
	"strconv"

	"signalbox/internal/netaddr"
)

// ProxyOrigin returns the https origin at which a reverse proxy serves the pages, on the default
// port; empty if no proxy serves them, or if its name is unknown.
func (c *Config) ProxyOrigin() string {
	if c.PublicHost == "" || len(c.Web.TrustedProxies) == 0 {
		return ""
	}
	return netaddr.HTTPSOrigin(string(c.PublicHost), "443")
}

// OwnOrigins are the origins of the box's own pages at public_host, also where a reverse proxy
// serves them and writes another name into Host: on the ports of their schemes, and on the box's
// own ones.
func (c *Config) OwnOrigins() (origins []string) {
	if c.PublicHost == "" {
		return nil
	}
	host := string(c.PublicHost)
	add := func(scheme string, port uint16) {
		origins = append(origins, scheme+"://"+net.JoinHostPort(host, strconv.Itoa(int(port))))
	}
	add("https", 443)
	add("http", 80)
	if c.Web.TLSListen.On() {
		add("https", c.Web.TLSListen.Port())
	}
	if c.Web.Listen.On() {
		add("http", c.Web.Listen.Port())
	}
	return origins
}

// OthersOrigin returns the https origin at which others reach the pages; empty: unknown.
func (c *Config) OthersOrigin() string {
	proxy := c.ProxyOrigin()
	if proxy != "" || c.PublicHost == "" {
		return proxy
	}
	port := "443"
	if c.TLS.Mode != "off" && c.Web.TLSListen.On() {
		port = strconv.Itoa(int(c.Web.TLSListen.Port()))
	}
	return netaddr.HTTPSOrigin(string(c.PublicHost), port)
}
