package client

import (
	"bytes"
	"encoding/json"
	"fmt"
	"time"
)

const (
	protocol = "signalbox.v1"

	maxIncoming = 1 << 20  // bytes of one frame of the server's
	maxData     = 63 << 10 // bytes of what a request carries: a frame has 64 KiB at most
)

// outFrame is what a client sends: the fields of all its frame types, absent ones empty.
type outFrame struct {
	Type     string          `json:"type"`
	ID       string          `json:"id,omitempty"`
	Seq      uint64          `json:"seq,omitempty"`
	Received uint64          `json:"received,omitempty"` // the last server frame processed
	Name     string          `json:"name,omitempty"`
	User     string          `json:"user,omitempty"`
	Token    string          `json:"token,omitempty"`
	Replaces string          `json:"replaces,omitempty"`
	To       string          `json:"to,omitempty"`
	Room     string          `json:"room,omitempty"`
	Data     json.RawMessage `json:"data,omitempty"`
}

// size is about what the frame takes on the wire.
func (f *outFrame) size() int { return 512 + len(f.Token) + len(f.Data) }

// inFrame is what a server sends.
type inFrame struct {
	Type string
	ID   string
	Seq  uint64

	Code    Code
	Message string

	PeerID           string
	Name             string
	User             string
	ResumeToken      string
	ResumeSeconds    int
	HeartbeatSeconds int
	AddressChanged   bool
	ICEServers       []ICEServer
	ICEExpiresAt     int64

	Room     string
	Peers    []Peer
	Capacity int
	Peer     Peer
	Reason   string

	From     string
	FromName string
	FromUser string
	Polite   *bool
	Data     json.RawMessage
}

// ICEServer is an RTCIceServer.
type ICEServer struct {
	URLs       []string `json:"urls"`
	Username   string   `json:"username,omitempty"`
	Credential string   `json:"credential,omitempty"`
}

// Peer is another member of a room, or the far end of a call.
type Peer struct {
	ID   string `json:"id"`
	Name string `json:"name"` // for display; not unique
	User string `json:"user,omitempty"`
	// Polite is our role towards the peer, in the sense of perfect negotiation. It has no meaning
	// in a PeerLeft.
	Polite bool `json:"polite"`
}

func decode(text []byte) (*inFrame, error) {
	var f inFrame
	if err := json.Unmarshal(text, &f); err != nil {
		return nil, fmt.Errorf("frame of the server: %w", err)
	}
	return &f, nil
}

// encode is json.Marshal without its escapes for HTML: data leaves as the application wrote it.
func encode(v any) ([]byte, error) {
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(out.Bytes(), []byte("\n")), nil
}

// unixMilli is the time of a wire's Unix milliseconds; the zero Time for 0, which is never.
func unixMilli(ms int64) time.Time {
	if ms == 0 {
		return time.Time{}
	}
	return time.UnixMilli(ms)
}
