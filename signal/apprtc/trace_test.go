package apprtc

import (
	"net/http"
	"regexp"
	"strings"
	"testing"

	"signalbox/signal"
	"signalbox/signal/internal/wiretest"
)

// counts are the numbers of /status, which differ from run to run.
var counts = regexp.MustCompile(`:[0-9.e+-]+`)

// What the original Collider has said to each client, this one says, too, byte by byte.
func TestRecordingOfCollider(t *testing.T) {
	t.Parallel()
	b := wiretest.Start(t, signal.Options{}, func(hub *signal.Hub, mux *http.ServeMux) {
		mux.Handle("/", New(hub, Options{}).Collider())
	})
	b.Repeat(t, wiretest.Recording{
		File: "testdata/collider.wire.jsonl",
		Path: func(url string) string { return url },
		Skip: map[int]string{84: "its connection is cut"},
		// Nobody says it in the original: that the other one was removed.
		Besides: map[string]string{"A": `{"msg":"{\"type\":\"bye\"}","error":""}` + "\n"},
		Compare: func(got, want string) bool {
			if strings.HasPrefix(want, `{"upsec":`) {
				got, want = counts.ReplaceAllString(got, ":0"), counts.ReplaceAllString(want, ":0")
			}
			return got == want
		},
	})
}
