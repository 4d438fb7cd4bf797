package signal

import "encoding/json"

// callWord is what the ends of a call say in it, if they say it as PROTOCOL.md describes (What
// browsers say in signals): ring, accept, peer, ..., and the text by which they name the call.
type callWord struct {
	Call string `json:"call"`
	ID   string `json:"id"`
}

// callWordIn is the zero callWord where data says none: other clients say what they like.
func callWordIn(data []byte) callWord {
	var said struct {
		Signalbox callWord `json:"signalbox"`
	}
	if json.Unmarshal(data, &said) != nil {
		return callWord{}
	}
	return said.Signalbox
}
