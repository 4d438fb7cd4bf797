package notify

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os/exec"
	"strings"
	"time"

	"signalbox/internal/term"
)

const (
	postTimeout    = 10 * time.Second
	commandTimeout = 30 * time.Second
	killedWithin   = 2 * time.Second // of a command's end, when its children hold its output
	maxAnswer      = 16 << 10
	maxSaid        = 300 // of what a command says, in bytes
)

func byWebhook(ctx context.Context, o *Options, n *notice) error {
	if err := post(ctx, o.Webhook, n.body()); err != nil {
		return fmt.Errorf("notify.webhook: %w", err)
	}
	return nil
}

func byCommand(ctx context.Context, o *Options, n *notice) error {
	if err := command(ctx, o.Command, mail(n)); err != nil {
		return fmt.Errorf("notify.command: %w", err)
	}
	return nil
}

func post(ctx context.Context, to string, body []byte) error {
	ctx, cancel := context.WithTimeout(ctx, postTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, to, bytes.NewReader(body))
	if err != nil {
		return errors.New("the URL can't be used") // the error would have it, with a password in it
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("User-Agent", "signalbox")
	client := &http.Client{
		// A redirect would lead the box into places that the operator has not named.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport:     &http.Transport{DisableKeepAlives: true, MaxResponseHeaderBytes: maxAnswer},
	}
	resp, err := client.Do(req)
	if err != nil {
		var with *url.Error
		if errors.As(err, &with) {
			err = with.Err
		}
		return err
	}
	defer resp.Body.Close()
	io.CopyN(io.Discard, resp.Body, maxAnswer) //nolint:errcheck // its status has confirmed it
	if resp.StatusCode < 200 || resp.StatusCode > 299 {
		return fmt.Errorf("the server answers %d", resp.StatusCode)
	}
	return nil
}

// mail is a notice as a mail (RFC 5322), without addresses: those are the command's.
func mail(n *notice) string {
	subject, text, _ := strings.Cut(n.Text, "\n")
	return "Subject: " + term.Text(subject) + "\nContent-Type: text/plain; charset=utf-8\n\n" +
		strings.TrimSpace(subject+"\n"+text) + "\n"
}

// command gives a program the text. It is the operator's own.
func command(ctx context.Context, argv []string, text string) error {
	ctx, cancel := context.WithTimeout(ctx, commandTimeout)
	defer cancel()
	said := &head{most: maxSaid}
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr, cmd.WaitDelay = strings.NewReader(text), said, said, killedWithin
	err := cmd.Run()
	switch {
	case errors.Is(ctx.Err(), context.DeadlineExceeded) && err != nil:
		return fmt.Errorf("%s takes longer than %v, and was killed", argv[0], commandTimeout)
	case err != nil && len(said.text) > 0:
		return fmt.Errorf("%s: %w: %s", argv[0], err, term.Text(strings.TrimSpace(string(said.text))))
	case err != nil:
		return fmt.Errorf("%s: %w", argv[0], err)
	}
	return nil
}

// head keeps the beginning of what is written to it.
type head struct {
	text []byte
	most int
}

func (h *head) Write(p []byte) (int, error) {
	h.text = append(h.text, p[:min(len(p), h.most-len(h.text))]...)
	return len(p), nil
}
