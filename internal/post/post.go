// Package post sends JSON to servers that the operator has named.
package post

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"time"
)

// MaxAnswer is how much of an answer there is to read, in bytes, and how long its header may be.
const MaxAnswer = 16 << 10

// Client sends. Redirects are not followed: one would send what is meant, and perhaps signed, for
// one server to another, and the box into places that the operator has not named.
type Client struct {
	// Transport carries the requests: one to servers, but in tests.
	Transport http.RoundTripper
}

// NewClient makes a client that keeps so many connections to a server that are at rest.
func NewClient(atRest int) *Client {
	const patience = 10 * time.Second // with a connection, whoever waits for it by now
	return &Client{&http.Transport{
		DialContext:         (&net.Dialer{Timeout: patience}).DialContext,
		TLSHandshakeTimeout: patience, ForceAttemptHTTP2: true,
		DisableKeepAlives: atRest == 0, MaxIdleConnsPerHost: atRest, IdleConnTimeout: time.Minute,
		MaxResponseHeaderBytes: MaxAnswer,
	}}
}

func (c *Client) http() *http.Client {
	return &http.Client{
		Transport:     c.Transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// Close closes the connections that are at rest.
func (c *Client) Close() { c.http().CloseIdleConnections() }

// Send posts a body, with such a header besides (nil: none), and returns the answer's, which the
// caller must close. An answer with another status than 200 to 299 is an error. No error has the
// URL, which may carry a password.
func (c *Client) Send(ctx context.Context, to string, body []byte, header http.Header) (io.ReadCloser, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, to, bytes.NewReader(body))
	if err != nil {
		return nil, errors.New("the URL can't be used")
	}
	for name, values := range header {
		req.Header[name] = values
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("User-Agent", "signalbox")
	resp, err := c.http().Do(req)
	if err != nil {
		var with *url.Error
		if errors.As(err, &with) {
			err = with.Err
		}
		return nil, err
	}
	if resp.StatusCode < 200 || resp.StatusCode > 299 {
		resp.Body.Close()
		return nil, fmt.Errorf("the server answers %d", resp.StatusCode)
	}
	return resp.Body, nil
}

// Deliver is Send for whom the status confirms enough. It reads the rest so that the connection
// serves again.
func (c *Client) Deliver(ctx context.Context, to string, body []byte, header http.Header) error {
	answer, err := c.Send(ctx, to, body, header)
	if err != nil {
		return err
	}
	defer answer.Close()
	io.CopyN(io.Discard, answer, MaxAnswer) //nolint:errcheck // else another connection will serve
	return nil
}
