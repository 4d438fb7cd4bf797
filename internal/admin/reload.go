package admin

import (
	"net/http"

	"signalbox/internal/answer"
)

// Reloaded says what a reload has done.
type Reloaded struct {
	Changed     []string `json:"changed"`     // keys that were put into force
	NeedRestart []string `json:"needRestart"` // keys whose new values wait for a restart, and those that wait with them
	// Refused says why the old configuration stays in force, one fault a line; empty: it doesn't.
	Refused string `json:"refused,omitempty"`
}

func (a *API) serveReload(w http.ResponseWriter, _ *http.Request) {
	out, err := a.o.Reload()
	if err != nil {
		out.Refused = err.Error()
	}
	out.Changed, out.NeedRestart = append([]string{}, out.Changed...), append([]string{}, out.NeedRestart...)
	answer.JSON(w, http.StatusOK, out)
}
