//go:build linux

package lab_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"signalbox/internal/testkit"
	"signalbox/scripts/lab"
	goclient "signalbox/signal/client"
)

// patience is how long what is under way may take in the end, on a machine that is busy.
const patience = 30 * time.Second

// honestKey admits honest clients to boxes that ask for a token.
const honestKey = "a key of thirty-two bytes, or more"

// honest are clients at an address of their own.
type honest struct {
	t      *testing.T
	in     *lab.Namespace
	server *lab.Server
}

func newHonest(t *testing.T, l *lab.Lab, server *lab.Server) *honest {
	return &honest{t, l.AddHost(t, "honest", 80), server}
}

// token admits somebody to all rooms, as that user.
func (h *honest) token(t *testing.T, user string) string {
	claims := jwt.MapClaims{"exp": time.Now().Add(3 * time.Hour).Unix(), "room_patterns": "*"}
	if user != "" {
		claims["user"] = user
	}
	token, err := jwt.NewWithClaims(jwt.SigningMethodHS256, claims).SignedString([]byte(honestKey))
	if err != nil {
		t.Fatal(err)
	}
	return token
}

// dial opens a session, whose connections line makes.
func (h *honest) dial(ctx context.Context, user string, carrier goclient.Carrier,
	line *cutLine) (*goclient.Session, error) {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	return goclient.Dial(ctx, h.server.HTTP, goclient.Options{
		Token: goclient.StaticToken(h.token(h.t, user)), Carrier: carrier, DialContext: line.dial,
	})
}

// cutLine makes connections, and can cut the latest.
type cutLine struct {
	in *lab.Namespace
	mu sync.Mutex
	on net.Conn
}

func (l *cutLine) dial(ctx context.Context, network, address string) (net.Conn, error) {
	conn, err := l.in.DialContext(ctx, network, address)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.on = conn
	return conn, err
}

func (l *cutLine) cut() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.on != nil {
		l.on.Close()
	}
}

// talk is a room in which the first member speaks, and the others hear it.
type talk struct {
	t        *testing.T
	room     string
	every    time.Duration
	cutEvery time.Duration // how often a listener's connection is cut; 0: never
	members  []*goclient.Session
	line     *cutLine // of the last

	ages      ages
	spoken    int64
	heard     []atomic.Int64
	resumed   int
	listening sync.WaitGroup
}

func (h *honest) meet(room string, n int, every, cutEvery time.Duration, carrier goclient.Carrier) *talk {
	k := &talk{t: h.t, room: room, every: every, cutEvery: cutEvery, heard: make([]atomic.Int64, n)}
	for i := range n {
		user := ""
		if i == 0 && room == "room" {
			user = hostileVictim
		}
		k.line = &cutLine{in: h.in}
		s, err := h.dial(h.t.Context(), user, carrier, k.line)
		if err != nil {
			h.t.Fatal(err)
		}
		h.t.Cleanup(s.Close)
		if _, err := s.Join(h.t.Context(), room); err != nil {
			h.t.Fatal(err)
		}
		k.members = append(k.members, s)
	}
	return k
}

// said is what the speaker says.
type said struct {
	N  int64 `json:"n"`
	At int64 `json:"at"`
}

func (k *talk) start(ctx context.Context, working *sync.WaitGroup) {
	for i, s := range k.members {
		k.listening.Go(func() { k.listen(i, s) })
	}
	working.Go(func() { every(k.every, ctx.Done(), k.speak) })
	if k.cutEvery > 0 {
		working.Go(func() {
			every(k.cutEvery, ctx.Done(), func() (over bool) {
				k.line.cut()
				return false
			})
		})
	}
}

// speak says something: to the other one, or to all.
func (k *talk) speak() (over bool) {
	for range k.members[1:] {
		k.ages.send()
	}
	k.spoken++
	what := said{k.spoken, time.Now().UnixNano()}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	var err error
	if len(k.members) == 2 {
		err = k.members[0].Signal(ctx, k.members[1].PeerID(), k.room, what)
	} else {
		err = k.members[0].Broadcast(ctx, k.room, what)
	}
	if err != nil {
		k.t.Errorf("room %s: what was said is not taken: %v", k.room, err)
	}
	return err != nil
}

// listen checks that each message arrives, once and in order, and that the session goes on.
func (k *talk) listen(i int, s *goclient.Session) {
	hear := func(from string, data json.RawMessage) {
		if i == 0 || from != k.members[0].PeerID() {
			return // a stranger's
		}
		var what said
		if err := json.Unmarshal(data, &what); err != nil || what.N != k.heard[i].Load()+1 {
			k.t.Errorf("room %s: after %d comes %s", k.room, k.heard[i].Load(), data)
		}
		k.heard[i].Store(what.N)
		k.ages.add(time.Since(time.Unix(0, what.At)))
	}
	for event := range s.Events() {
		switch e := event.(type) {
		case goclient.BroadcastEvent:
			hear(e.From, e.Data)
		case goclient.SignalEvent:
			hear(e.From, e.Data)
		case goclient.Disconnected:
			if k.cutEvery == 0 {
				k.t.Errorf("room %s: member %d has lost its connection: %v", k.room, i, e.Err)
			}
		case goclient.Resumed:
			k.resumed++
		case goclient.Restarted:
			k.t.Errorf("room %s: member %d had to begin anew", k.room, i)
		case goclient.PeerLeft:
			if e.Room == k.room && e.Reason != "left" {
				k.t.Errorf("room %s: a member is gone: %s", k.room, e.Reason)
			}
		}
	}
	if err := s.Err(); err != nil {
		k.t.Errorf("room %s: member %d has ended: %v", k.room, i, err)
	}
}

// finish waits for what is under way, and compares.
func (k *talk) finish(t *testing.T, name string) {
	for i := range k.heard[1:] {
		testkit.Eventually(t, patience, fmt.Sprintf("%s: member %d hears all %d messages", name, i+1, k.spoken),
			func() bool { return k.heard[i+1].Load() >= k.spoken })
	}
	for _, s := range k.members {
		s.Close()
	}
	k.listening.Wait()
	t.Logf("%s: %v; %d resumes", name, &k.ages, k.resumed)
}

// newcomers come and go, and measure how long it takes to be in a room.
func (h *honest) newcomers(ctx context.Context, a *ages) {
	for ctx.Err() == nil {
		began := time.Now()
		a.send()
		s, err := h.dial(context.Background(), "", goclient.WebSocket, &cutLine{in: h.in})
		if err == nil {
			_, err = s.Join(context.Background(), "newcomers")
			s.Close()
		}
		if err != nil {
			h.t.Errorf("a newcomer: %v", err)
		} else {
			a.add(time.Since(began))
		}
		select {
		case <-ctx.Done():
		case <-time.After(500 * time.Millisecond):
		}
	}
}

// relayedCall is a client of the relay and its peer.
type relayedCall struct {
	t      *testing.T
	server *lab.Server
	caller *lab.Namespace
	peer   *net.UDPConn
	at     netip.AddrPort // of the peer
}

func newRelayedCall(t *testing.T, l *lab.Lab, server *lab.Server) *relayedCall {
	callee := l.AddHost(t, "callee", 82)
	at := netip.AddrPortFrom(netip.MustParseAddr(callee.Public), 7000)
	return &relayedCall{t, server, l.AddHost(t, "caller", 81), callee.ListenUDP(t, at.String()), at}
}

// run calls for a time, 50 packets a second both ways.
func (c *relayedCall) run(ctx context.Context, during time.Duration, a *ages) {
	c.t.Helper()
	client := newTURNClient(c.t, c.caller, c.server, "udp", "u", "p")
	defer client.conn.Close()
	if code := client.bind(0x4000, c.at); code != 0 {
		c.t.Fatalf("bind: %d", code)
	}
	var reading sync.WaitGroup
	hear := func(conn net.Conn, header int) {
		conn.SetReadDeadline(time.Now().Add(during + 2*time.Second))
		reading.Go(func() {
			b := make([]byte, 2000)
			for {
				n, err := conn.Read(b)
				if err != nil {
					if !errors.Is(err, os.ErrDeadlineExceeded) {
						c.t.Error(err)
					}
					return
				}
				if n == header+160 {
					a.add(age(b[header:]))
				}
			}
		})
	}
	hear(client.conn, 4)
	hear(c.peer, 0)
	data := make([]byte, 160)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(during); ctx.Err() == nil && time.Now().Before(end); <-tick.C {
		a.send()
		a.send()
		client.channelData(0x4000, string(stamp(data)))
		c.peer.WriteToUDPAddrPort(stamp(data), client.relayed) //nolint:errcheck // UDP
	}
	for _, conn := range []net.Conn{client.conn, c.peer} {
		conn.SetReadDeadline(time.Now().Add(time.Second))
	}
	reading.Wait()
}
