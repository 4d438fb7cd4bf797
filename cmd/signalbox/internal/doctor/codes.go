package doctor

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"strconv"
	"strings"
	"syscall"
	"unicode"
	"unicode/utf8"

	"signalbox/internal/edge"
	"signalbox/internal/trouble"
	"signalbox/internal/turnclient"
)

// fixOf is what the table says to do about a fault, as a part of a line.
func fixOf(code trouble.Code) string { return clause(trouble.Fix(code)) }

// clause makes a part of a line from a sentence.
func clause(sentence string) string {
	first, size := utf8.DecodeRuneInString(sentence)
	return string(unicode.ToLower(first)) + strings.TrimSuffix(sentence[size:], ".")
}

// refusedBy says why a server has refused something, if it has: by its error code.
func refusedBy(what string, err error) Check {
	code := turnclient.CodeOf(err)
	switch {
	case code != 0:
		t := trouble.OfAnswer(code)
		words := clause(t.EN.What)
		if !strings.Contains(words, strconv.Itoa(code)) {
			words = fmt.Sprintf("%s (%d)", words, code)
		}
		return failed(t.Code, "", "%s: %s", what, words)
	case turnclient.IsTimeout(err):
		return failed(trouble.TooSlow, "check the box's load and log", "%s: no answer", what)
	}
	return failed(trouble.Refused, "check the box's log", "%s: %v", what, reason(err))
}

// closedPort is the fault if nothing comes back over a transport.
func closedPort(transport string) trouble.Code {
	if transport == "udp" {
		return trouble.UDPBlocked
	}
	return trouble.PortClosed
}

// startTrouble is the fault that keeps a box from starting.
func startTrouble(err error) trouble.Code {
	var port *net.OpError
	switch {
	case errors.Is(err, edge.ErrInUse):
		return trouble.PortTaken
	case errors.Is(err, fs.ErrPermission) && errors.As(err, &port):
		return trouble.PortForbidden
	case errors.Is(err, fs.ErrPermission):
		return trouble.Unreadable
	case errors.Is(err, syscall.ENOSPC):
		return trouble.DiskFull
	}
	return trouble.StartFailed
}
