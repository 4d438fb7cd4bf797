package turnclient

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/pion/stun/v3"
)

// firstWait is the first wait for an answer over UDP; it is then doubled. RFC 8489 §6.2.1 says 500
// ms.
const firstWait = 250 * time.Millisecond

// CodeError is a refusal by the server, with its STUN error code.
type CodeError struct {
	Code   int
	Reason string // the server's own text, which nobody should print as it is
}

func (e CodeError) Error() string { return fmt.Sprintf("the server answers %d", e.Code) }

// CodeOf returns the error code of a server's refusal; 0: err is none.
func CodeOf(err error) int {
	var e CodeError
	if errors.As(err, &e) {
		return e.Code
	}
	return 0
}

// authenticated makes a request by RFC 8489 §9.2: the server challenges it first, and again when
// the nonce has become stale.
func (c *Client) authenticated(ctx context.Context, method stun.Method, set ...setter) (*stun.Message, error) {
	for try := 0; ; try++ {
		signed := c.key != nil
		answer, err := c.exchange(ctx, method, set...)
		code := CodeOf(err)
		switch {
		case try < 2 && (code == 401 && !signed || code == 438):
			if err := c.challenged(answer); err != nil {
				return nil, err
			}
			continue
		case err != nil:
			return nil, err
		case c.key == nil:
			return nil, errors.New("the server asks for no password")
		case c.key.Check(answer) != nil:
			return nil, errors.New("the answer is not signed with the password: something on the path answers in " +
				"place of the server")
		}
		return answer, nil
	}
}

// challenged takes realm and nonce from a refusal.
func (c *Client) challenged(refusal *stun.Message) error {
	realm, err1 := refusal.Get(stun.AttrRealm)
	nonce, err2 := refusal.Get(stun.AttrNonce)
	if err1 != nil || err2 != nil || len(realm) > 763 || len(nonce) > 763 { // RFC 8489 §14.9, §14.10
		return errors.New("the server's challenge has no proper realm and nonce")
	}
	c.realm, c.nonce = append([]byte(nil), realm...), append([]byte(nil), nonce...)
	c.key = stun.NewLongTermIntegrity(c.user, string(realm), c.password)
	return nil
}

// exchange sends a request and waits for its answer, until ctx is done. Over UDP it repeats the
// request. If the error is a CodeError, the answer is the refusal.
func (c *Client) exchange(ctx context.Context, method stun.Method, set ...setter) (*stun.Message, error) {
	request, err := c.build(method, set...)
	if err != nil {
		return nil, err
	}
	over, bounded := ctx.Deadline()
	if !bounded {
		return nil, errors.New("an exchange needs a deadline")
	}
	for wait := firstWait; ; wait *= 2 {
		if err := c.send(request.Raw, over); err != nil {
			return nil, c.why(ctx, err)
		}
		until := over
		if c.stream == nil && time.Now().Add(wait).Before(over) {
			until = time.Now().Add(wait)
		}
		answer, err := c.answer(ctx, request, until)
		if IsTimeout(err) && ctx.Err() == nil && until.Before(over) {
			continue
		}
		return answer, c.why(ctx, err)
	}
}

// answer reads frames until one is the request's answer.
func (c *Client) answer(ctx context.Context, request *stun.Message, until time.Time) (*stun.Message, error) {
	for {
		frame, err := c.read(ctx, until)
		if err != nil {
			return nil, err
		}
		m := parse(frame)
		if m == nil || m.TransactionID != request.TransactionID || m.Type.Method != request.Type.Method {
			continue
		}
		switch m.Type.Class {
		case stun.ClassSuccessResponse:
			return m, nil
		case stun.ClassErrorResponse:
			var e stun.ErrorCodeAttribute
			if e.GetFrom(m) != nil {
				return nil, errors.New("the server refuses without a code")
			}
			return m, CodeError{int(e.Code), string(e.Reason)}
		}
	}
}

// why returns the context's error if the context ended the wait, else err.
func (c *Client) why(ctx context.Context, err error) error {
	if err != nil && ctx.Err() != nil && IsTimeout(err) {
		return ctx.Err()
	}
	return err
}

// IsTimeout reports whether a deadline ended a wait.
func IsTimeout(err error) bool {
	var e net.Error
	return errors.As(err, &e) && e.Timeout()
}
