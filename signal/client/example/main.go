// Command example is a peer in Go that talks to browsers: it joins a room and says to each peer, on
// the data channel, what it hears from it. It speaks as pages on the SDK do: see "What browsers say
// in signals" in signal/PROTOCOL.md.
//
//	go run ./signal/client/example https://call.example.org tea
//
// With the word insecure after that, it takes whatever certificate it is shown.
package main

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/signal"

	"github.com/pion/webrtc/v4"

	"signalbox/signal/client"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	insecure := len(os.Args) == 4 && os.Args[3] == "insecure"
	if len(os.Args) != 3 && !insecure {
		fmt.Fprintln(os.Stderr, "usage: example URL ROOM [insecure]")
		os.Exit(2)
	}
	if err := run(ctx, os.Args[1], os.Args[2], insecure); err != nil && ctx.Err() == nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(ctx context.Context, address, room string, insecure bool) error {
	trust := &tls.Config{InsecureSkipVerify: insecure} //nolint:gosec // as its user says
	s, err := client.Dial(ctx, address, client.Options{Name: "echo", TLSConfig: trust})
	if err != nil {
		return err
	}
	defer s.Close()
	b := &bot{ctx: ctx, session: s, room: room, peers: make(map[string]*peer)}
	defer b.leave()
	joined, err := s.Join(ctx, room)
	if err != nil {
		return err
	}
	for _, met := range joined.Peers {
		if err := b.meet(met); err != nil {
			return err
		}
	}
	for {
		event, err := s.Next(ctx)
		if err != nil {
			return err
		}
		if err := b.take(event); err != nil {
			return err
		}
	}
}

// bot is in one room. Only run's goroutine uses it.
type bot struct {
	ctx     context.Context
	session *client.Session
	room    string
	peers   map[string]*peer // by id
}

// peer is one other member, and the connection with it.
type peer struct {
	client.Peer
	tag, farTag string // names of the two ends, as they are now
	link        int    // the number of the connection
	leads       bool   // this end makes the offers
	pc          *webrtc.PeerConnection
}

// said is what the SDK says in signals.
type said struct {
	Tag         string                     `json:"tag,omitempty"`
	For         string                     `json:"for,omitempty"`
	Link        int                        `json:"link,omitempty"`
	Description *webrtc.SessionDescription `json:"description,omitempty"`
	Offer       int                        `json:"offer,omitempty"` // the description's number
	Candidates  []*webrtc.ICECandidateInit `json:"candidates,omitempty"`
	Want        *want                      `json:"want,omitempty"`
}

// want asks the end that leads for an offer.
type want struct {
	After   int  `json:"after"`
	Restart bool `json:"restart,omitempty"`
	Anew    bool `json:"anew,omitempty"`
}

func (b *bot) take(event client.Event) error {
	switch event := event.(type) {
	case client.PeerJoined:
		return b.meet(event.Peer)
	case client.PeerLeft:
		b.part(event.Peer.ID)
	case client.Rejoined:
		for _, met := range event.Peers {
			if b.peers[met.ID] == nil {
				if err := b.meet(met); err != nil {
					return err
				}
			}
		}
	case client.SignalEvent:
		var data struct {
			Signalbox *said `json:"signalbox"`
		}
		p := b.peers[event.From]
		if p == nil || json.Unmarshal(event.Data, &data) != nil || data.Signalbox == nil {
			return nil // an application's own
		}
		return b.hear(p, data.Signalbox)
	}
	return nil
}

func (b *bot) meet(who client.Peer) error {
	b.part(who.ID)
	p := &peer{Peer: who, tag: rand.Text()}
	b.peers[who.ID] = p
	return b.begin(p, 1, !who.Polite)
}

func (b *bot) part(id string) {
	if p := b.peers[id]; p != nil {
		delete(b.peers, id)
		p.pc.Close() //nolint:errcheck // it is gone
	}
}

func (b *bot) leave() {
	for id := range b.peers {
		b.part(id)
	}
}

// begin makes a connection in the place of the one there is. The end that leads offers; the other
// one asks for that.
func (b *bot) begin(p *peer, link int, leads bool) (err error) {
	if p.pc != nil {
		p.pc.Close() //nolint:errcheck // it is given up
	}
	var config webrtc.Configuration
	for _, server := range b.session.ICEServers() {
		config.ICEServers = append(config.ICEServers,
			webrtc.ICEServer{URLs: server.URLs, Username: server.Username, Credential: server.Credential})
	}
	if p.pc, err = webrtc.NewPeerConnection(config); err != nil {
		return err
	}
	p.link, p.leads = link, leads
	negotiated, id := true, uint16(0)
	channel, err := p.pc.CreateDataChannel("signalbox", &webrtc.DataChannelInit{Negotiated: &negotiated, ID: &id})
	if err != nil {
		return err
	}
	channel.OnMessage(func(m webrtc.DataChannelMessage) {
		if m.IsString {
			channel.SendText("echo: " + string(m.Data)) //nolint:errcheck // a peer that goes hears nothing
		}
	})
	if !leads {
		return b.say(p, said{Want: &want{}})
	}
	offer, err := p.pc.CreateOffer(nil)
	if err != nil {
		return err
	}
	return b.describe(p, offer, 1)
}

// describe says a description once all candidates are in it.
func (b *bot) describe(p *peer, description webrtc.SessionDescription, number int) error {
	gathered := webrtc.GatheringCompletePromise(p.pc)
	if err := p.pc.SetLocalDescription(description); err != nil {
		return err
	}
	select {
	case <-gathered:
	case <-b.ctx.Done():
		return b.ctx.Err()
	}
	return b.say(p, said{Description: p.pc.LocalDescription(), Offer: number})
}

func (b *bot) say(p *peer, what said) error {
	what.Tag, what.For, what.Link = p.tag, p.farTag, p.link
	err := b.session.Signal(b.ctx, p.ID, b.room, map[string]said{"signalbox": what})
	if refused := (*client.Error)(nil); errors.As(err, &refused) {
		return nil // the peer has left
	}
	return err
}

// hear takes what a peer says. Whatever is of a former end or connection is not for this one.
func (b *bot) hear(p *peer, what *said) error {
	if what.For != "" && what.For != p.tag {
		return nil
	}
	if p.farTag != "" && what.Tag != p.farTag { // its page has begun anew
		if err := b.meet(p.Peer); err != nil {
			return err
		}
		p = b.peers[p.ID]
	}
	p.farTag = what.Tag
	if what.Link < p.link {
		return nil
	}
	if what.Link > p.link {
		if err := b.begin(p, what.Link, false); err != nil {
			return err
		}
	}
	if what.Want != nil && p.leads && (what.Want.Anew || what.Want.Restart) {
		return b.begin(p, p.link+1, true)
	}
	if what.Description != nil {
		if err := b.hearDescription(p, *what.Description, what.Offer); err != nil {
			return err
		}
	}
	for _, candidate := range what.Candidates {
		if candidate == nil || p.pc.RemoteDescription() == nil {
			continue // the SDK's descriptions have what was found before them
		}
		p.pc.AddICECandidate(*candidate) //nolint:errcheck // others may be better
	}
	return nil
}

func (b *bot) hearDescription(p *peer, description webrtc.SessionDescription, number int) error {
	if description.Type == webrtc.SDPTypeAnswer {
		if p.pc.SignalingState() != webrtc.SignalingStateHaveLocalOffer {
			return nil // it comes twice
		}
		return p.pc.SetRemoteDescription(description)
	}
	if p.leads {
		return nil // the other end has begun the same connection, and yields
	}
	if err := p.pc.SetRemoteDescription(description); err != nil {
		return err
	}
	answer, err := p.pc.CreateAnswer(nil)
	if err != nil {
		return err
	}
	return b.describe(p, answer, number)
}
