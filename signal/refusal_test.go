package signal

import "testing"

// Each code has a close code of its own, in the range that says what to do.
func TestReasons(t *testing.T) {
	t.Parallel()
	codes, closes := make(map[Code]bool), make(map[int]bool)
	for _, r := range reasons {
		if codes[r.code] || closes[r.close] || r.close < 4000 || r.close > 4999 || r.sentence == "" {
			t.Errorf("row %+v", r)
		}
		// RFC 6455 §5.5: a control frame's payload has 125 bytes at most, 2 of them the close code.
		if len(r.sentence) > 123 {
			t.Errorf("%s: the sentence doesn't fit a close frame", r.code)
		}
		codes[r.code], closes[r.close] = true, true
	}
	if reasonFor("no code").code != CodeInternal {
		t.Error("an unknown code isn't internal")
	}
}
