package webui

import (
	"net/http"
	"strings"
)

// Missing answers requests for what is not there, or not with this method: people who have mistyped
// an address get 404 and a page that leads on; what else is asked for is left to next.
func (ui *UI) Missing(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		isRead := r.Method == http.MethodGet || r.Method == http.MethodHead
		if !isRead || !strings.Contains(r.Header.Get("Accept"), "text/html") {
			next.ServeHTTP(w, r)
			return
		}
		now, err := ui.missing.headed(w, r)
		if err != nil {
			return
		}
		plainHeaders(w.Header())
		w.Header().Set("Content-Type", now.body.contentType)
		w.Header().Set("Cache-Control", "no-store")
		w.WriteHeader(http.StatusNotFound)
		if r.Method == http.MethodGet {
			w.Write(now.body.plain.body) //nolint:errcheck // the client is gone
		}
	})
}
