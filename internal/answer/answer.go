// Package answer writes the HTTP answers that programs read: JSON, and errors with a code and a
// sentence, as in the signaling protocol.
package answer

import (
	"encoding/json"
	"net/http"
	"strings"
)

// The codes of errors. They are the signaling protocol's, and NotFound.
const (
	BadRequest   = "bad-frame"
	Unauthorized = "unauthorized"
	RateLimited  = "rate-limited"
	NotFound     = "not-found"
)

// JSON answers with a value.
func JSON(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(v) //nolint:errcheck // the client is gone
}

// Error answers with a code for programs and a sentence for people.
func Error(w http.ResponseWriter, status int, code, message string) {
	JSON(w, status, struct {
		Code    string `json:"code"`
		Message string `json:"message"`
	}{code, message})
}

// TooMany answers that a source has had too many of something.
func TooMany(w http.ResponseWriter, message string) {
	w.Header().Set("Retry-After", "1")
	Error(w, http.StatusTooManyRequests, RateLimited, message)
}

// Bearer returns the token of "Authorization: Bearer ..." (RFC 6750 §2.1), or "".
func Bearer(r *http.Request) string {
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return ""
	}
	return token
}
