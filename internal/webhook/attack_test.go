package webhook

import (
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"signalbox/internal/post"
)

// The status confirms a delivery, whatever follows: an error page as an answer of 200, or a body
// that never ends, must not have the box send the same events for ever.
func TestHub13TheStatusConfirmsADelivery(t *testing.T) {
	t.Parallel()
	for name, answer := range map[string]func(http.ResponseWriter, int){
		"long": func(w http.ResponseWriter, _ int) {
			w.Write([]byte(strings.Repeat("x", 2*post.MaxAnswer))) //nolint:errcheck // the client is gone
		},
		"cut": func(w http.ResponseWriter, _ int) {
			w.Header().Set("Content-Length", "10")
			w.WriteHeader(http.StatusOK)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s := &server{t: t, answer: answer}
				r := start(t, Options{URL: "http://app.test/"}, handled(s))
				r.open(t, "tea")
				time.Sleep(time.Minute)
				synctest.Wait()
				if st := r.Status(); st.Delivered != 1 || st.Failures != 0 || st.Problem != "" {
					t.Errorf("status %+v", st)
				}
				r.stop()
			})
		})
	}
}
