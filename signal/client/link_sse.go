package client

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"time"
)

// sseLink is a stream of events down, and POSTs up, one at a time.
type sseLink struct {
	*pulse
	dialer *dialer
	client *http.Client
	ctx    context.Context // that of the stream and of the POSTs; close ends it
	cancel context.CancelFunc
	body   io.ReadCloser
	events *sseReader
	key    string // says to a POST which connection is meant
}

func (d *dialer) openSSE(ctx context.Context) (link, error) {
	life, cancel := context.WithCancel(context.Background())
	stop := context.AfterFunc(ctx, cancel) // ctx bounds the opening only
	l := &sseLink{
		pulse:  newPulse(),
		dialer: d,
		client: &http.Client{
			Transport: d.http,
			// A POST can't follow as it is.
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
		ctx:    life,
		cancel: cancel,
	}
	err := l.open()
	if !stop() {
		err = ctx.Err()
	}
	if err != nil {
		l.close()
		return nil, err
	}
	return l, nil
}

// open reads the stream up to the key.
func (l *sseLink) open() error {
	request, err := l.request(l.ctx, http.MethodGet, "/events", nil)
	if err != nil {
		return err
	}
	request.Header.Set("Accept", "text/event-stream")
	request.Header.Set("Cache-Control", "no-store")
	response, err := l.client.Do(request)
	if err != nil {
		return err
	}
	l.body = response.Body
	if kind, _, _ := mime.ParseMediaType(response.Header.Get("Content-Type")); response.StatusCode != http.StatusOK ||
		kind != "text/event-stream" {
		return unexpected(response)
	}
	l.events = newSSEReader(response.Body, l.beat)
	e, err := l.events.next()
	if err != nil {
		return fmt.Errorf("stream of events: %w", err)
	}
	var opening struct{ Key string }
	if e.name != "open" || json.Unmarshal(e.data, &opening) != nil || opening.Key == "" {
		return errors.New("the stream of events starts without a key")
	}
	l.key = opening.Key
	return nil
}

func (l *sseLink) request(ctx context.Context, method, path string, body io.Reader) (*http.Request, error) {
	request, err := http.NewRequestWithContext(ctx, method, l.dialer.url.String()+path, body)
	if err != nil {
		return nil, err
	}
	for name, values := range l.dialer.header {
		request.Header[name] = values
	}
	if host := request.Header.Get("Host"); host != "" {
		request.Host = host
	}
	return request, nil
}

func (l *sseLink) read() ([]byte, error) {
	for {
		e, err := l.events.next()
		if err != nil {
			return nil, err
		}
		switch e.name {
		case "message":
			return e.data, nil
		case "close":
			var closed struct {
				Code   int
				Reason string
			}
			if err := json.Unmarshal(e.data, &closed); err != nil {
				return nil, fmt.Errorf("the server's close event: %w", err)
			}
			return nil, closedWith(closed.Code, closed.Reason)
		}
	}
}

func (l *sseLink) write(frames []outFrame, received uint64, timeout time.Duration) error {
	ctx, cancel := context.WithTimeout(l.ctx, timeout)
	defer cancel()
	err := l.post(ctx, frames, received)
	switch {
	case errors.Is(err, errUnknownConnection): // the stream says why
		time.AfterFunc(byeTime, l.close)
	case err != nil:
		l.close()
	}
	return err
}

var errUnknownConnection = errors.New("the server doesn't know the connection any more")

func (l *sseLink) post(ctx context.Context, frames []outFrame, received uint64) error {
	body, err := encode(struct {
		Key      string     `json:"key"`
		Received uint64     `json:"received"`
		Frames   []outFrame `json:"frames"`
	}{l.key, received, frames})
	if err != nil {
		return err
	}
	request, err := l.request(ctx, http.MethodPost, "/send", bytes.NewReader(body))
	if err != nil {
		return err
	}
	request.Header.Set("Content-Type", "application/json")
	response, err := l.client.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	switch response.StatusCode {
	case http.StatusNoContent:
		return nil
	case http.StatusNotFound:
		return errUnknownConnection
	}
	return unexpected(response)
}

// quiet is true: the server hears nothing of us but POSTs.
func (l *sseLink) quiet() bool { return true }

func (l *sseLink) close() {
	l.cancel()
	if l.body != nil {
		l.body.Close()
	}
}
