package signal_test

import (
	"bytes"
	"io"
	"log/slog"
	"net/http"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"signalbox/signal"
)

// journal is a log that tests can look into.
type journal struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (j *journal) Write(p []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.text.Write(p)
}

func (j *journal) has(text string) bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	return strings.Contains(j.text.String(), text)
}

// When more is held than there may be, the session that holds most ends, and the log names it; the
// others go on.
func TestHub2TheDearestGoes(t *testing.T) {
	t.Parallel()
	log := &journal{}
	b := start(t, signal.Options{Resume: time.Minute, Log: slog.New(slog.NewTextHandler(log, nil))})
	b.SetMemory(600 << 10)
	away := func(name string) *peerConn {
		c := b.join(t, name, name)
		c.rawConn().Close()
		b.away(t, c.id)
		return c
	}
	dear, cheap := away("dear"), away("cheap")
	friend := b.join(t, "cheap", "Friend")
	say := func(c *peerConn, room string, times int) {
		for range times {
			c.answered("broadcast", frame{"room": room, "data": strings.Repeat("x", 60<<10)})
		}
	}
	say(friend, "cheap", 2)
	for range 2 {
		say(b.join(t, "dear", "Sender"), "dear", 2) // 4 times 120 KiB, with what is kept encoded
	}
	eventually(t, "the dearest is over", func() bool { return b.Find(dear.id) == nil })
	if b.Find(cheap.id) == nil || b.Find(friend.id) == nil {
		t.Error("another one is over, too")
	}
	eventually(t, "the log names it", func() bool {
		return log.has("session ended\" peer=" + dear.id + " src=127.0.0.1 reason=slow")
	})
}

// Nobody ends for what a session that has ended still holds, until its connection has gone.
func TestNobodyEndsForThoseWhoHaveEnded(t *testing.T) {
	t.Parallel()
	const limit = 2 << 20
	b := start(t, signal.Options{})
	b.SetMemory(limit)
	enter := func(source string, holds int) *signal.Link {
		l := open(t, b.Hub, newLines(), signal.Client{Source: netip.MustParseAddr(source)})
		t.Cleanup(func() {
			l.Hold(-holds)
			l.Finish(signal.CodeBye)
			l.Close()
		})
		l.Hold(holds)
		return l
	}
	ended := enter("192.0.2.1", limit/2)
	ended.Session().Stop(signal.CodeKicked)
	honest := enter("198.51.100.1", limit/4*3)
	if b.Relieve(); honest.Session().Closed() {
		t.Fatal("somebody ends for what will be free without that")
	}
	enter("203.0.113.1", limit/4)
	if b.Relieve(); !honest.Session().Closed() {
		t.Error("nobody ends, and too much is held")
	}
}

// Who fills the memory with many sessions that hold a little each, loses those, and nobody else's
// session ends, though it holds more than each of them: neither for what others have not read of
// what the crowd sent, nor for what it has not read itself.
func TestHub2ACrowdGoesFirst(t *testing.T) {
	t.Parallel()
	b := start(t, signal.Options{Resume: time.Minute, RoomCapacity: 64, Source: testSource})
	b.SetMemory(2 << 20)
	enter := func(source, room string) *peerConn {
		c := b.dialFrom(t, source)
		c.send("hello", nil)
		c.id = c.expect("welcome").text("peerId")
		c.send("join", frame{"room": room})
		c.expect("joined")
		return c
	}
	away := func(source, room string) *peerConn {
		c := enter(source, room)
		c.rawConn().Close()
		b.away(t, c.id)
		return c
	}
	say := func(c *peerConn, room string, times int) {
		for range times {
			c.answered("broadcast", frame{"room": room, "data": strings.Repeat("x", 40<<10)})
		}
	}
	const crowd = "198.51.100.1"
	honest, friend := away("192.0.2.1", "tea"), enter("192.0.2.2", "tea")
	say(friend, "tea", 4)
	say(enter(crowd, "tea"), "tea", 4)
	var members []*peerConn
	for range 40 {
		members = append(members, away(crowd, "junk"))
	}
	enter(crowd, "junk").send("broadcast", frame{"room": "junk", "data": strings.Repeat("x", 40<<10)})
	eventually(t, "some of the crowd are over", func() bool {
		return slices.ContainsFunc(members, func(c *peerConn) bool { return b.Find(c.id) == nil })
	})
	eventually(t, "there is room again", func() bool { return b.Stored() <= 2<<20 })
	if b.Find(honest.id) == nil || b.Find(friend.id) == nil {
		t.Error("somebody else is over, too")
	}
}

// What a client has half sent counts, too.
func TestHub2WhatIsReadCounts(t *testing.T) {
	t.Parallel()
	b := start(t, signal.Options{})
	c := b.events(t, nil)
	c.post(0, frame{"type": "hello"})
	c.expect("welcome")
	eventually(t, "all is written", func() bool { return b.Stored() == 0 })
	body, half := io.Pipe()
	request, err := http.NewRequest("POST", b.server.URL+"/signal/send", body)
	if err != nil {
		t.Fatal(err)
	}
	request.ContentLength = 100_000
	var posting sync.WaitGroup
	posting.Go(func() {
		if response, err := http.DefaultClient.Do(request); err == nil {
			response.Body.Close()
		}
	})
	half.Write([]byte(`{"key":"` + c.key + `",`)) //nolint:errcheck // a pipe
	eventually(t, "it counts", func() bool { return b.Stored() >= 100_000 })
	half.CloseWithError(io.ErrUnexpectedEOF)
	posting.Wait()
	eventually(t, "it no longer counts", func() bool { return b.Stored() == 0 })
}

// Many who each hold little are no way around the limit: those who hold most of them end. Whoever
// reads goes on, with what it has not confirmed forgotten.
func TestManyCheapOnesAreDear(t *testing.T) {
	t.Parallel()
	b := start(t, signal.Options{Resume: time.Minute})
	const limit = 150 << 10
	b.SetMemory(limit)
	reader, sender := b.join(t, "tea", "Reader"), b.join(t, "tea", "Sender")
	reader.expect("peer-joined")
	say := func() {
		t.Helper()
		sender.answered("broadcast", frame{"room": "tea", "data": strings.Repeat("x", 4<<10)})
		reader.settle() // it has read that
	}
	say()
	say()
	away := make(map[string]bool)
	for range 8 {
		c := b.join(t, "tea", "Away")
		c.rawConn().Close()
		b.away(t, c.id)
		away[c.id] = true
	}
	for range 4 { // then each holds less than 64 KiB, and all 350
		say()
	}
	eventually(t, "the limit holds", func() bool { return b.Stored() <= limit })
	reader.settle()
	sender.settle()
	for id := range away {
		if b.Find(id) == nil {
			delete(away, id)
		}
	}
	if len(away) == 0 || len(away) == 8 {
		t.Errorf("%d of 8 are left", len(away))
	}
}

// Clients that read never end for want of memory, though they confirm seldom, and though more comes
// while the hub looks for what can be forgotten.
func TestWhoReadsOutlivesWantOfMemory(t *testing.T) {
	t.Parallel()
	b := start(t, signal.Options{Resume: time.Minute})
	const rooms, readers, words, size = 8, 8, 100, 4 << 10
	const ahead = 4                                 // words that nobody may have read
	b.SetMemory(2 * rooms * readers * ahead * size) // a twelfth of what is said to all
	var talking sync.WaitGroup
	for room := range rooms {
		name := strconv.Itoa(room)
		sender := b.join(t, name, "Sender")
		read := make(chan struct{}, readers*words)
		for range readers {
			c := b.join(t, name, "Reader")
			talking.Go(func() {
				for n := 0; n < words; {
					f, err := c.read()
					if err != nil {
						t.Errorf("a reader in room %s, after %d words: %v", name, n, err)
						return
					}
					if f["type"] == "broadcast" {
						n++
						read <- struct{}{}
					}
				}
			})
		}
		talking.Go(func() {
			for n := 0; n < words && !t.Failed(); n++ {
				for !sender.answered("broadcast", frame{"room": name, "data": strings.Repeat("x", size)}) {
				}
				for range readers {
					if n >= ahead {
						select {
						case <-read:
						case <-time.After(patience):
							t.Error("somebody reads no more")
						}
					}
				}
			}
		})
	}
	talking.Wait()
}

// A crowd that holds much, but not so much that some of it end, has nobody forget who holds little:
// that one can come back.
func TestWhoHoldsLittleComesBackBesideACrowd(t *testing.T) {
	t.Parallel()
	b := start(t, signal.Options{Resume: time.Minute, Source: testSource})
	const limit = 2 << 20
	b.SetMemory(limit)
	honest := b.dialFrom(t, "192.0.2.1")
	honest.send("hello", nil)
	welcome := honest.expect("welcome")
	honest.send("join", frame{"room": "tea"})
	honest.expect("joined")
	friend := b.join(t, "tea", "Friend")
	before := int(honest.expect("peer-joined")["seq"].(float64))
	say := func(text string) {
		friend.answered("broadcast", frame{"room": "tea", "data": text})
	}
	say("lost on the way")
	honest.expect("broadcast")
	honest.rawConn().Close()
	b.away(t, welcome.text("peerId"))
	for range 20 {
		c := b.dialFrom(t, "198.51.100.1")
		c.send("hello", nil)
		id := c.expect("welcome").text("peerId")
		c.send("join", frame{"room": "junk"})
		c.expect("joined")
		c.rawConn().Close()
		b.away(t, id)
	}
	loud := b.dialFrom(t, "198.51.100.1")
	loud.send("hello", nil)
	loud.send("join", frame{"room": "junk"})
	loud.answered("broadcast", frame{"room": "junk", "data": strings.Repeat("x", 40<<10)})
	if held := b.Stored(); held < limit/4*3 || held > limit/16*15 {
		t.Fatalf("the crowd holds %d bytes", held)
	}
	for range 5 {
		say("more")
	}
	friend.settle()
	if _, answer := b.resume(t, welcome["resumeToken"], before); answer["type"] != "resumed" {
		t.Errorf("got %v", answer)
	}
}
