package post

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"signalbox/internal/testkit"
)

func TestMain(m *testing.M) { testkit.Main(m, 10*time.Second, "signalbox/internal/post") }

// Only an answer of 200 to 299 confirms, and no error has the URL.
func TestAnswers(t *testing.T) {
	t.Parallel()
	for code, want := range map[int]string{200: "", 204: "", 302: "the server answers 302",
		404: "the server answers 404", 502: "the server answers 502"} {
		asked := 0
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			asked++
			if r.Header.Get("Content-Type") != "application/json" || r.Header.Get("X-Mark") != "1" {
				t.Errorf("it has the header %v", r.Header)
			}
			w.Header().Set("Location", "/elsewhere")
			w.WriteHeader(code)
		}))
		c := NewClient(1)
		err := c.Deliver(t.Context(), server.URL+"/north", []byte("{}"), http.Header{"X-Mark": {"1"}})
		c.Close()
		server.Close()
		if text := words(err); text != want || asked != 1 {
			t.Errorf("%d: %q after %d requests, want %q", code, text, asked, want)
		}
	}
	for _, url := range []string{"http://127.0.0.1:1/north", "http://\x7f/north", "gopher://app/north"} {
		err := NewClient(0).Deliver(t.Context(), url, nil, nil)
		if text := words(err); text == "" || strings.Contains(text, "north") {
			t.Errorf("%q: %q", url, text)
		}
	}
}

func words(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}
