package webhook

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"unicode/utf8"

	"signalbox/internal/post"
	"signalbox/signal"
)

// question is the body of a POST to webhook.connect_url.
type question struct {
	Type     string `json:"type"` // "connect"
	Run      string `json:"run"`
	Name     string `json:"name"`
	User     string `json:"user,omitempty"`
	Token    string `json:"token,omitempty"` // the jti of its room token, or "sub:" and its sub
	Attested bool   `json:"attested"`        // the token vouches for name and user
	Source   string `json:"source"`          // the client's address
	Host     string `json:"host"`            // by which it has reached the box
}

// verdict is the answer.
type verdict struct {
	Admit  *bool  `json:"admit"` // nil: it is no answer
	Reason string `json:"reason,omitempty"`
}

// maxReason is how much of a reason a client is told, in bytes.
const maxReason = 256

// Enter implements signal.Door: it asks webhook.connect_url, if there is one.
func (h *Hooks) Enter(ctx context.Context, v signal.Visitor) error {
	o := h.inForce.Load()
	if o.Connect == "" {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, o.Timeout)
	defer cancel()
	admit, reason, err := h.ask(ctx, o, v)
	switch {
	case err != nil:
		h.unanswered.Add(1)
		h.log.Debug("webhook: nobody says whether a client may enter", "err", err, "admitted", o.AdmitUnasked)
		if o.AdmitUnasked {
			return nil
		}
		// Not the client's fault: it is to come back.
		return signal.Refuse(signal.CodeInternal, "nobody could say whether you may enter: try again later")
	case !admit:
		h.refused.Add(1)
		return signal.Refuse(signal.CodeUnauthorized, reason)
	}
	h.admitted.Add(1)
	return nil
}

func (h *Hooks) ask(ctx context.Context, o *Options, v signal.Visitor) (admit bool, reason string, err error) {
	leave, err := h.asking.take(ctx, v.Source)
	if err != nil {
		return false, "", fmt.Errorf("too many clients wait for an answer already: %w", err)
	}
	defer leave()
	body, _ := json.Marshal(question{
		Type: "connect", Run: h.run, Name: v.Name, User: v.User, Token: v.Key, Attested: v.Attested,
		Source: v.Source.String(), Host: v.Host,
	}) // texts always have JSON
	reply, err := h.client.Send(ctx, o.Connect, body, signed(o, body))
	if err != nil {
		return false, "", err
	}
	defer reply.Close()
	text, err := io.ReadAll(io.LimitReader(reply, post.MaxAnswer+1))
	switch {
	case err != nil:
		return false, "", fmt.Errorf("read the answer: %w", err)
	case len(text) > post.MaxAnswer:
		return false, "", fmt.Errorf("the answer is longer than %d bytes", post.MaxAnswer)
	}
	var answer verdict
	if err := json.Unmarshal(text, &answer); err != nil || answer.Admit == nil {
		return false, "", fmt.Errorf(`the answer is not {"admit":true} or {"admit":false}`)
	}
	if len(answer.Reason) > maxReason || !utf8.ValidString(answer.Reason) {
		answer.Reason = ""
	}
	return *answer.Admit, answer.Reason, nil
}
