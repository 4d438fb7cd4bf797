package signal_test

import (
	"encoding/json"
	"testing"

	"signalbox/signal"
)

// What a client relays reaches the others byte by byte.
func TestDataIsVerbatim(t *testing.T) {
	t.Parallel()
	b := start(t, signal.Options{})
	alice, bob := b.join(t, "tea", "Alice"), b.join(t, "tea", "Bob")
	alice.expect("peer-joined")
	for _, data := range []string{
		`null`, `0`, `-0.0`, `1e400`, `12345678901234567890123`, `""`,
		`"<&>\u003c\u2028` + "\u2028" + `\ud83d\ude00"`, `[ ]`, `{"a":1,"A":2}`,
	} {
		bob.write(`{"data" : ` + data + ` ,"type":"broadcast","room":"tea"}`)
		bob.write(`{"type":"signal","to":"` + alice.id + `","data":` + data + `}`)
		for range 2 {
			_, text, err := alice.ws.ReadMessage()
			if err != nil {
				t.Fatal(err)
			}
			var f struct{ Data json.RawMessage }
			if err := json.Unmarshal(text, &f); err != nil || string(f.Data) != data {
				t.Errorf("%s arrived in %s (%v)", data, text, err)
			}
		}
	}
}
