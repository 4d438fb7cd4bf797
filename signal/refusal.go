package signal

import "errors"

// Code names why the hub refused something or ended a session. Clients branch on it.
type Code string

// The codes.
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

// CodeBye means that the client has ended its session, CodeLost that the connection is gone. No
// client is told them.
const (
	CodeBye  Code = "bye"
	CodeLost Code = ""
)

// Codes returns the codes that clients are told.
func Codes() []Code {
	codes := make([]Code, 0, len(reasons))
	for _, r := range reasons {
		codes = append(codes, r.code)
	}
	return codes
}

// WebSocket returns the WebSocket close code and reason of a connection that ends for the code;
// 1000 and no reason if the client is told no code. 4000 to 4499 tell the client to connect again
// after a pause, 4500 to 4999 that it would be useless.
func (c Code) WebSocket() (code int, reason string) {
	if c == CodeBye || c == CodeLost {
		return 1000, ""
	}
	r := reasonFor(c)
	return r.close, r.sentence
}

// Sentence is what the code means, for people.
func (c Code) Sentence() string { return reasonFor(c).sentence }

// reason is all that a code means to a client.
type reason struct {
	code Code
	// close is the WebSocket close code of a connection that ends for the code. 4000 to 4499 tell
	// the client to connect again after a pause, 4500 to 4999 that it would be useless.
	close    int
	sentence string
}

// reasons is the only place where codes, close codes and sentences meet. Numbers are never reused.
var reasons = [...]reason{
	{CodeInternal, 4000, "the server failed; it is not your fault"},
	{CodeShuttingDown, 4001, "the server is going down"},
	{CodeSlow, 4002, "you read too slowly and too much was waiting for you"},
	{CodeRateLimited, 4003, "a limit of this server was reached; slow down, or try again later"},
	{CodeHelloFirst, 4004, "a connection starts with hello, within ten seconds"},
	{CodeUserTaken, 4005, "somebody else is connected under that user name, or may come back"},
	{CodeResumeExpired, 4006, "the session can't be resumed; start a new one with hello"},
	{CodeRoomFull, 4007, "the room is full"},
	{CodeNoSuchRoom, 4008, "there is no such room, and no more rooms can be opened now"},
	{CodeNoSuchPeer, 4009, "nobody whom you can reach has that name"},
	{CodeNotInRoom, 4010, "you are not in that room"},

	{CodeBadFrame, 4500, "the frame is not what the protocol says"},
	{CodeTooLarge, 4501, "the frame is too large"},
	{CodeUnauthorized, 4502, "you are not allowed to do that"},
	{CodeReplaced, 4503, "the session was taken over by another connection"},
	{CodeKicked, 4504, "you were removed by the operator"},
}

// reasonFor returns the row of a code. An unknown code is our mistake, which clients see as
// internal.
func reasonFor(code Code) reason {
	for _, r := range reasons {
		if r.code == code {
			return r
		}
	}
	return reasons[0]
}

// A Refusal says why a client's request had no effect. It is the error of every verb.
type Refusal struct {
	Code   Code
	Detail string // for the developer of the client: our own words, never the client's
	Final  bool   // the session ends with it
}

// Refuse makes a Refusal.
func Refuse(code Code, detail string) error { return &Refusal{Code: code, Detail: detail} }

// Error is a sentence for people.
func (r *Refusal) Error() string {
	s := reasonFor(r.Code).sentence
	if r.Detail != "" {
		s += ": " + r.Detail
	}
	return s
}

// RefusalOf returns what an error means to a client. An error that is not a Refusal is our mistake.
func RefusalOf(err error) *Refusal {
	var r *Refusal
	if errors.As(err, &r) {
		return r
	}
	return &Refusal{Code: CodeInternal}
}
