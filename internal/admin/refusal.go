package admin

import (
	"net/http"

	"signalbox/internal/answer"
	"signalbox/signal"
)

// Code says why the API refuses something, for programs. The sentence beside it is for whoever
// reads the answer as it is; /admin has words of its own for each code, in each language.
type Code string

// The codes of refusals.
const (
	BadRequest   Code = answer.BadRequest // the request, or what it names, is none that there is
	Unauthorized Code = answer.Unauthorized
	NotFound     Code = answer.NotFound
	TooManyTries Code = answer.RateLimited // of wrong tokens, from one network
	OnlyLooks    Code = "only-looks"       // the token has not the scope
	NoSuchRoom   Code = Code(signal.CodeNoSuchRoom)
	TooManyBans  Code = "too-many-bans"
	TooManyPages Code = "too-many-pages" // follow the feed
	GoingDown    Code = Code(signal.CodeShuttingDown)
	Impossible   Code = "not-possible" // this box is part of another program
)

// Warning says what is not as it was asked for, though it is done; /admin has words for it, too.
type Warning string

// The warnings.
const (
	NotKept    Warning = "not-kept"    // a restart undoes it
	SourceStay Warning = "source-stay" // the source is not banned: it is that of many
)

// refuse answers with a code and a sentence.
func refuse(w http.ResponseWriter, status int, code Code, message string) {
	answer.Error(w, status, string(code), message)
}
