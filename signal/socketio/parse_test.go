package socketio

import "testing"

func parse(text []byte) (*Packet, error) {
	p := new(Packet)
	return p, p.parse(text)
}

// A packet that is used again has nothing of what it was before.
func TestPacketIsUsedAgain(t *testing.T) {
	t.Parallel()
	used := new(Packet)
	for _, text := range []string{
		`2["a",1]`, `2["a"]`, `2[ "a" , 2]`, `2[[a]]`, `2[{a}]`, `2["\u0061",3]`, `2["a"]`, `2["b"]`, `2["disconnect"]`,
		`2["b"]`, `2[12]`, `2["x\\y"]`, `2["x\\y"]`, `2["x\y"]`, `3["b"]`, `2[""]`, `2[""]`, `52-["b"]`, `2[]`, `1`,
	} {
		fresh, want := parse([]byte(text))
		err := used.parse([]byte(text))
		if (err == nil) != (want == nil) {
			t.Fatalf("%s: %v, at first %v", text, err, want)
		}
		if err != nil {
			continue
		}
		if used.Event != fresh.Event || used.Ack != fresh.Ack || len(used.Args) != len(fresh.Args) ||
			used.attachments != fresh.attachments || string(used.Data) != string(fresh.Data) {
			t.Errorf("%s: %+v, at first %+v", text, used, fresh)
		}
	}
}
