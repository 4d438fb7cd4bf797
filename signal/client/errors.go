package client

import (
	"errors"
	"fmt"
	"strings"
)

// Code names why the server refused a request or ended a session.
type Code string

// The codes of signalbox.v1.
const (
	CodeBadFrame      Code = "bad-frame"
	CodeTooLarge      Code = "too-large"
	CodeHelloFirst    Code = "hello-first"
	CodeUnauthorized  Code = "unauthorized"
	CodeRoomFull      Code = "room-full"
	CodeNoSuchRoom    Code = "no-such-room"
	CodeNoSuchPeer    Code = "no-such-peer"
	CodeNotInRoom     Code = "not-in-room"
	CodeUserTaken     Code = "user-taken"
	CodeRateLimited   Code = "rate-limited"
	CodeResumeExpired Code = "resume-expired"
	CodeReplaced      Code = "replaced"
	CodeKicked        Code = "kicked"
	CodeSlow          Code = "slow"
	CodeShuttingDown  Code = "shutting-down"
	CodeInternal      Code = "internal"
)

// CodeLost is this package's own: the server forgot the session before it answered, so it is
// unknown whether it passed on the signal or broadcast.
const CodeLost Code = "lost"

// closeCodes are the WebSocket close codes of connections that end for a code. From 4500 on,
// reconnecting is useless.
var closeCodes = [...]struct {
	code  Code
	close int
}{
	{CodeInternal, 4000},
	{CodeShuttingDown, 4001},
	{CodeSlow, 4002},
	{CodeRateLimited, 4003},
	{CodeHelloFirst, 4004},
	{CodeUserTaken, 4005},
	{CodeResumeExpired, 4006},
	{CodeRoomFull, 4007},
	{CodeNoSuchRoom, 4008},
	{CodeNoSuchPeer, 4009},
	{CodeNotInRoom, 4010},
	{CodeBadFrame, 4500},
	{CodeTooLarge, 4501},
	{CodeUnauthorized, 4502},
	{CodeReplaced, 4503},
	{CodeKicked, 4504},
}

const (
	firstClose = 4000 // of the close codes that are the protocol's
	finalClose = 4500 // of those that say not to come back
	lastClose  = 4999
)

// Error is the server's refusal of a request, or its reason for ending a connection.
type Error struct {
	Code    Code
	Message string // for people
}

func (e *Error) Error() string {
	switch {
	case e.Message == "":
		return string(e.Code)
	case e.Code == "":
		return e.Message
	}
	return string(e.Code) + ": " + e.Message
}

// IsCode reports whether err is, or wraps, an Error with that code.
func IsCode(err error, code Code) bool {
	var e *Error
	return errors.As(err, &e) && e.Code == code
}

// ErrClosed is the error of requests to a session that has ended. It may come with the reason.
var ErrClosed = errors.New("session closed")

// ErrSlowConsumer is the end of a session whose events nobody read.
var ErrSlowConsumer = errors.New("slow consumer: too many events were waiting to be read")

// closeError is a connection that the server ended with a close code.
type closeError struct {
	word  Error
	close int
}

func (e *closeError) Error() string {
	return strings.TrimSuffix(fmt.Sprintf("connection closed with %d: %v", e.close, &e.word), ": ")
}

func (e *closeError) Unwrap() error { return &e.word }

// closedWith is the error for a close code and its text.
func closedWith(code int, text string) error {
	e := &closeError{word: Error{Message: text}, close: code}
	for _, row := range closeCodes {
		if row.close == code {
			e.word.Code = row.code
		}
	}
	return e
}

// answered reports whether err is the protocol's own word. Another carrier would bring the same.
func answered(err error) bool {
	var closed *closeError
	if errors.As(err, &closed) {
		return firstClose <= closed.close && closed.close <= lastClose
	}
	var e *Error
	return errors.As(err, &e)
}

// final reports whether the server said not to come back.
func final(err error) bool {
	var closed *closeError
	if errors.As(err, &closed) {
		return finalClose <= closed.close && closed.close <= lastClose
	}
	var e *Error
	if errors.As(err, &e) { // its close frame has been lost
		for _, row := range closeCodes {
			if row.code == e.Code {
				return row.close >= finalClose
			}
		}
	}
	return false
}
