package engineio

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"signalbox/signal"
)

func bin(body string) signal.Frame { return signal.Frame{Body: []byte(body), Binary: true} }

// all takes a payload apart.
func all(version int, payload []byte) (packets []signal.Frame, err error) {
	for rest := payload; ; {
		var f signal.Frame
		if f, rest, err = split(version, rest); err != nil {
			return packets, err
		}
		packets = append(packets, f)
		if len(rest) == 0 {
			return packets, nil
		}
	}
}

func TestPayloads(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		version int
		payload string
		packets []signal.Frame
	}{
		"one packet":               {4, "4hello", []signal.Frame{text("4hello")}},
		"several, by U+001E":       {4, "4a\x1e2\x1e4c", []signal.Frame{text("4a"), text("2"), text("4c")}},
		"binary is base64":         {4, "4a\x1ebAQIDBA==", []signal.Frame{text("4a"), bin("\x01\x02\x03\x04")}},
		"empty binary":             {4, "b", []signal.Frame{bin("")}},
		"3: several, by length":    {3, "6:4hello2:4x", []signal.Frame{text("4hello"), text("4x")}},
		"3: lengths are in UTF-16": {3, "6:4表情😀x1:2", []signal.Frame{text("4表情😀x"), text("2")}},
		"3: binary is base64":      {3, "10:b4AQIDBA==", []signal.Frame{bin("\x04\x01\x02\x03\x04")}},
	} {
		got, err := all(tc.version, []byte(tc.payload))
		if err != nil || !cmp.Equal(got, tc.packets) {
			t.Errorf("%s: got %v, %v", name, got, err)
		}
		var back []byte
		for _, f := range tc.packets {
			back = appendPacket(tc.version, back, f)
		}
		if string(back) != tc.payload {
			t.Errorf("%s: made %q", name, back)
		}
	}
}

// What browsers post in version 3 if there is binary data in it.
func TestBinaryPayload(t *testing.T) {
	t.Parallel()
	payload := "\x00\x06\xff4hello\x01\x01\x01\xff\x04123456789\xf0\x00\x05\xff4\xf0\x9f\x98\x80"
	got, err := all(3, []byte(payload))
	want := []signal.Frame{text("4hello"), bin("\x04123456789\xf0"), text("4😀")}
	if err != nil || !cmp.Equal(got, want) {
		t.Errorf("got %v, %v", got, err)
	}
	var back []byte
	for _, f := range want {
		back = appendBinary3(back, f)
	}
	if string(back) != payload {
		t.Errorf("made %q", back)
	}
}

func TestBrokenPayloads(t *testing.T) {
	t.Parallel()
	for version, payloads := range map[int][]string{
		3: {
			"", ":", "4hello", "0:", "5:4hello", "7:4hello", "-1:4", "+1:4", "1", "1:", "99999999999:4", "2147483648:4",
			"2:4😀", "1:\xff", "3:bx4", "2:b5", "1:b", "6:b4AQ=", "1:42", "\x00", "\x00\xff", "\x00\x01\xff",
			"\x00\x0a\xff4",
			"\x01\x02\xff4", "\x00\x00\xff4", "\x00\x01\xff\xff", "\x00" + strings.Repeat("\x09", 20) + "\xff4",
		},
		4: {"", "\x1e", "4a\x1e", "\x1e4a", "4a\x1e\x1e4b", "bAQ=", "b!", "4\xff"},
	} {
		for _, payload := range payloads {
			if got, err := all(version, []byte(payload)); err == nil {
				t.Errorf("version %d takes %q as %v", version, payload, got)
			}
		}
	}
}

// Whatever is posted, taking it apart ends, and what was taken makes the same packets again.
func FuzzPayload(f *testing.F) {
	for _, seed := range []string{
		"4hello\x1ebAQID\x1e2", "6:4hello2:4x", "6:4表情😀x", "10:b4AQIDBA==",
		"\x00\x06\xff4hello\x01\x02\xff\x041",
		"2147483647:4", "99999999999999999999:",
	} {
		f.Add(3, []byte(seed))
		f.Add(4, []byte(seed))
	}
	f.Fuzz(func(t *testing.T, version int, payload []byte) {
		if version != 3 {
			version = 4
		}
		packets, err := all(version, payload)
		if err != nil {
			return
		}
		var again []byte
		for _, p := range packets {
			if p.Binary && version == 3 && p.Body[0] != binaryType {
				return // nothing of ours
			}
			again = appendPacket(version, again, p)
		}
		if version == 4 {
			for _, p := range packets {
				if !p.Binary && strings.ContainsRune(string(p.Body), separator) {
					t.Fatalf("a separator in %q", p.Body)
				}
			}
		}
		got, err := all(version, again)
		if err != nil || fmt.Sprint(got) != fmt.Sprint(packets) {
			t.Fatalf("%q, made of %v, becomes %v (%v)", again, packets, got, err)
		}
	})
}
