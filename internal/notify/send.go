package notify

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"time"

	"signalbox/internal/post"
	"signalbox/internal/term"
)

const (
	postTimeout    = 10 * time.Second
	commandTimeout = 30 * time.Second
	killedWithin   = 2 * time.Second // of a command's end, when its children hold its output
	maxSaid        = 300             // of what a command says, in bytes
)

func byWebhook(ctx context.Context, o *Options, n *notice) error {
	ctx, cancel := context.WithTimeout(ctx, postTimeout)
	defer cancel()
	if err := post.NewClient(0).Deliver(ctx, o.Webhook, n.body(), nil); err != nil {
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
