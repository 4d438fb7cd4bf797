package client_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log"
	"net"
	"net/http/httptest"
	"time"

	"github.com/pion/webrtc/v4"

	"signalbox/signal"
	"signalbox/signal/client"
	"signalbox/signal/native"
)

// Two peers meet in a room and open a data channel to each other.
func Example() {
	box := httptest.NewServer(native.New(must(signal.New(signal.Options{})))) // elsewhere: https://box.example.org:8443
	defer box.Close()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()

	// Alice is there, and answers who calls.
	alice := must(client.Dial(ctx, box.URL, client.Options{Name: "Alice"}))
	defer alice.Close()
	must(alice.Join(ctx, "tea"))
	heard := make(chan string, 1)
	go func() { heard <- answer(ctx, alice) }()

	// Bob calls her. With pion/webrtc, it takes ten lines.
	bob := must(client.Dial(ctx, box.URL, client.Options{Name: "Bob"}))
	room := must(bob.Join(ctx, "tea"))
	pc := must(newPeerConnection(bob))
	chat := must(pc.CreateDataChannel("chat", nil))
	chat.OnOpen(func() { check(chat.SendText("hello")) })
	gathered := webrtc.GatheringCompletePromise(pc)
	check(pc.SetLocalDescription(must(pc.CreateOffer(nil))))
	<-gathered // the description has all candidates in it then
	check(bob.Signal(ctx, room.Peers[0].ID, "tea", pc.LocalDescription()))
	check(pc.SetRemoteDescription(description(nextSignal(ctx, bob))))

	fmt.Println("Alice heard:", <-heard)
	check(pc.Close())
	bob.Close()
	// Output: Alice heard: hello
}

// answer takes one call, and returns what it hears.
func answer(ctx context.Context, s *client.Session) string {
	offer := nextSignal(ctx, s)
	pc := must(newPeerConnection(s))
	defer pc.Close()
	heard := make(chan string, 1)
	pc.OnDataChannel(func(d *webrtc.DataChannel) {
		d.OnMessage(func(m webrtc.DataChannelMessage) { heard <- string(m.Data) })
	})
	check(pc.SetRemoteDescription(description(offer)))
	gathered := webrtc.GatheringCompletePromise(pc)
	check(pc.SetLocalDescription(must(pc.CreateAnswer(nil))))
	<-gathered
	check(s.Signal(ctx, offer.From, offer.Room, pc.LocalDescription()))
	return <-heard
}

// nextSignal waits for what a peer has to say, and passes over who comes and goes.
func nextSignal(ctx context.Context, s *client.Session) client.SignalEvent {
	for {
		if said, ok := must(s.Next(ctx)).(client.SignalEvent); ok {
			return said
		}
	}
}

func description(said client.SignalEvent) (d webrtc.SessionDescription) {
	check(json.Unmarshal(said.Data, &d))
	return d
}

// newPeerConnection uses the session's own ICE servers.
func newPeerConnection(s *client.Session) (*webrtc.PeerConnection, error) {
	var config webrtc.Configuration
	for _, server := range s.ICEServers() {
		config.ICEServers = append(config.ICEServers,
			webrtc.ICEServer{URLs: server.URLs, Username: server.Username, Credential: server.Credential})
	}
	var engine webrtc.SettingEngine // loopback only: the example runs without a network
	engine.SetIncludeLoopbackCandidate(true)
	engine.SetNetworkTypes([]webrtc.NetworkType{webrtc.NetworkTypeUDP4})
	engine.SetIPFilter(func(ip net.IP) bool { return ip.IsLoopback() })
	return webrtc.NewAPI(webrtc.WithSettingEngine(engine)).NewPeerConnection(config)
}

func must[T any](value T, err error) T {
	check(err)
	return value
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
