package chat

import (
	"cmp"
	"crypto/sha256"
	"encoding/json"
	"hash/fnv"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"signalbox/signal"
	"signalbox/signal/internal/object"
	"signalbox/signal/internal/translate"
)

// conversation is the dialect of one session.
type conversation struct {
	server  *Server
	token   string          // until it has said hello
	session *signal.Session // set by Opened

	mu       sync.Mutex
	roster   roster
	over     bool
	partners map[string]*partner // by id: those in the lobby with whom there is, or may be, a call
	calls    []*call             // with others
	held     int                 // bytes that wait in these, and for the client
}

func (c *conversation) Terms() signal.Terms { return c.server.terms }

// Opened tells the client its id.
func (c *conversation) Opened(s *signal.Session) {
	c.session = s
	c.partners = make(map[string]*partner)
	var o object.Object
	o.SetText("type", "id")
	o.Set("id", number(s.ID()))
	s.Reply(signal.Frame{Body: o.JSON()})
}

// Ended stops what would come later.
func (c *conversation) Ended(*signal.Session) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.over = true
	if c.roster.late != nil {
		c.roster.late.Stop()
	}
	for len(c.calls) > 0 {
		c.drop(c.calls[0])
	}
	for id := range c.partners {
		c.quit(id)
	}
}

// Receive processes a frame. The protocol has no word for a refusal but rejectusername.
func (c *conversation) Receive(s *signal.Session, f signal.Frame, over error) {
	object.Receive(s, f, over, c.take)
}

func (c *conversation) take(o object.Object) error {
	kind, ok := o.Text("type")
	target, _ := o.Text("target")
	switch {
	case !ok:
		return signal.Refuse(signal.CodeBadFrame, "type is missing")
	case kind == "username":
		name, _ := o.Text("name")
		return c.enter(name)
	case isServers(kind):
		return signal.Refuse(signal.CodeBadFrame, "only the server says that")
	case !c.session.Greeted():
		return signal.Refuse(signal.CodeHelloFirst, "")
	case target != "":
		return c.tell(target, kind, o)
	}
	translate.Strip(&o)
	return c.session.Broadcast(signal.Broadcast{Room: lobby, Data: o.JSON(), Echo: true})
}

// isServers reports whether only the server sends such frames.
func isServers(kind string) bool {
	return kind == "id" || kind == "userlist" || kind == "rejectusername"
}

// enter gives the client the name that it wants, or one like it, and takes it into the lobby. A
// client that was taken out of that keeps its name.
func (c *conversation) enter(want string) error {
	s := c.session
	if s.Greeted() {
		if s.Peers(lobby) >= 0 {
			s.Reply(c.rejection())
		} else {
			c.join(want)
		}
		return nil
	}
	hello := signal.Hello{User: presentable(want), Token: c.token, Yields: true}
	err := s.Hello(hello)
	if signal.RefusalOf(err).Code == signal.CodeUserTaken { // perhaps just now
		err = s.Hello(hello)
	}
	if err != nil {
		return err
	}
	c.token = ""
	c.join(want)
	return nil
}

// join takes a client that wants that name into the lobby, or ends the session.
func (c *conversation) join(want string) {
	s := c.session
	if label(s.Member()) != want {
		s.Reply(c.rejection())
	}
	if err := s.Join(signal.Join{Room: lobby}); err != nil {
		s.Stop(signal.RefusalOf(err).Code)
	}
}

// presentable makes a name of what a client wants for one.
func presentable(want string) string {
	runes := []rune(want)
	runes = slices.DeleteFunc(runes[:min(len(runes), signal.MaxUser-2)], func(r rune) bool {
		return signal.Unprintable(r) || strings.ContainsRune(brackets, r)
	})
	return cmp.Or(signal.Visible(string(runes)), "guest")
}

// rejection tells the client the name that it has instead of the one that it wanted.
func (c *conversation) rejection() signal.Frame {
	var o object.Object
	o.Set("id", number(c.session.ID()))
	o.SetText("type", "rejectusername")
	o.SetText("name", label(c.session.Member()))
	return signal.Frame{Body: o.JSON()}
}

// tell passes a frame to the one that it is for.
func (c *conversation) tell(target, kind string, o object.Object) error {
	c.mu.Lock()
	to, member := c.member(target)
	if member {
		if kind == "hang-up" {
			c.quit(to.ID)
		} else if isDescription(kind) {
			c.note(to.ID)
		}
	}
	c.mu.Unlock()
	if !member {
		return c.call(target, kind, o)
	}
	translate.Strip(&o)
	if said, ok := reads(kind, o); ok {
		o.Delete("sdp")
		o.Delete("candidate")
		said.Put(&o)
	}
	return c.session.Signal(signal.Signal{To: to.ID, Room: lobby, Data: o.JSON()})
}

// member finds another one in the lobby by its name. A user may be there several times: then it is
// the one with whom there is a call, or else the first. mu is held.
func (c *conversation) member(name string) (found signal.Member, ok bool) {
	for _, m := range c.roster.members {
		if label(m) != name || m.ID == c.session.ID() {
			continue
		}
		if c.partners[m.ID] != nil {
			return m, true
		}
		if !ok {
			found, ok = m, true
		}
	}
	return found, ok
}

// partner is somebody with whom there is a call.
type partner struct {
	// Of the last description of a page's, which says again what was not answered in time. That
	// itself would be much to keep of each.
	heard    [sha256.Size]byte
	answered time.Time // when it has answered last
	delayed  *delayed  // nil: nothing has waited so far
}

// news reports whether a description is another one than the last.
func (p *partner) news(d *translate.Description) bool {
	was := p.heard
	p.heard = sha256.Sum256([]byte(d.SDP))
	return p.heard != was
}

// note notes that there is a call with a member of the lobby. mu is held.
func (c *conversation) note(id string) {
	if c.partners[id] == nil {
		c.partners[id] = &partner{}
	}
}

// quit notes that there is none any more, and reports whether there was one. mu is held.
func (c *conversation) quit(id string) bool {
	p := c.partners[id]
	if p == nil {
		return false
	}
	delete(c.partners, id)
	c.hush(p)
	return true
}

func isDescription(kind string) bool { return kind == "video-offer" || kind == "video-answer" }

// Encoding: members of the lobby share the frame of what is said to all.
func (c *conversation) Encoding(e signal.Event) any {
	if _, ok := e.(signal.Broadcasted); ok {
		return Name
	}
	return nil
}

// Encode tells the client who is in the lobby, and what others say.
func (c *conversation) Encode(dst []signal.Frame, e signal.Event) []signal.Frame {
	if b, ok := e.(signal.Broadcasted); ok { // without the lock: the frame is for others, too
		return append(dst, passed(b.From, b.Data)...)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	lists := &c.server.lists
	switch e := e.(type) {
	case signal.Joined:
		c.roster.members, c.roster.sum = nil, 0
		for _, p := range e.Peers {
			c.roster.add(p.Member, lists)
		}
		c.roster.add(c.session.Member(), lists)
		return append(dst, c.userlist()...)
	case signal.PeerJoined:
		c.roster.add(e.Peer.Member, lists)
		return append(dst, c.userlist()...)
	case signal.PeerLeft:
		if e.Room == "" {
			return append(dst, c.callLeft(&e)...)
		}
		c.roster.remove(e.Peer.ID, lists)
		if c.quit(e.Peer.ID) {
			dst = append(dst, c.hangUp(label(e.Peer)))
		}
		return append(dst, c.userlist()...)
	case signal.Left:
		for _, m := range c.roster.members { // they have heard the same of this one
			if c.quit(m.ID) {
				dst = append(dst, c.hangUp(label(m)))
			}
		}
		c.roster.members, c.roster.sum = nil, 0
		return append(dst, c.userlist()...)
	case signal.Signaled:
		if e.Room == "" {
			return append(dst, c.callSaid(&e)...)
		}
		return append(dst, c.told(&e)...)
	}
	return dst
}

// told is what a member of the lobby says to this one. mu is held.
func (c *conversation) told(e *signal.Signaled) []signal.Frame {
	o, err := object.Parse(e.Data)
	if err != nil {
		return nil
	}
	said, speaks := translate.Read(o)
	kind, ok := o.Text("type")
	switch {
	case isDescription(kind), speaks && said.Description != nil:
		c.note(e.From.ID)
	case kind == "hang-up":
		c.quit(e.From.ID)
	}
	if !ok {
		return c.spoken(e.From, &said, c.partners[e.From.ID])
	}
	translate.Strip(&o)
	if said.Description != nil {
		o.Set("sdp", said.Description.JSON())
	}
	if len(said.Candidates) == 1 {
		o.Set("candidate", said.Candidates[0])
	}
	return passed(e.From, o.JSON())
}

// tags are those of a message's text: pages make it HTML. One at the end that nothing closes would
// be closed by what the page adds.
var tags = regexp.MustCompile(`<[^>]+>|<[A-Za-z/!?][^>]*$`)

// passed is what somebody says as clients get it: name and id are the sender's own, and the text of
// a message has no tags. What nobody but the server says, and what is no frame of the protocol,
// gives none.
func passed(from signal.Member, data []byte) []signal.Frame {
	o, err := object.Parse(data)
	if text, ok := object.Text(data); ok { // of a member that speaks another protocol
		o, err = nil, nil
		o.SetText("type", "message")
		o.SetText("text", text)
	}
	kind, ok := o.Text("type")
	if err != nil || !ok || isServers(kind) || kind == "username" {
		return nil
	}
	if kind == "message" {
		text, _ := o.Text("text")
		o.SetText("text", tags.ReplaceAllString(text, ""))
	}
	if kind == "message" || o.Get("name") != nil {
		o.SetText("name", label(from))
	}
	if o.Get("id") != nil {
		o.Set("id", number(from.ID))
	}
	return []signal.Frame{{Body: o.JSON()}}
}

// brackets are in no name that clients get: their pages make it HTML.
const brackets = "<>"

// label is the name by which clients know a member. A member that speaks another protocol may have
// a user name with brackets. It has its id then: without them, the name could be another's.
func label(m signal.Member) string {
	if strings.ContainsAny(m.User, brackets) {
		return m.ID
	}
	return cmp.Or(m.User, m.ID)
}

// number is the id that clients have for a peer: theirs are numbers, which fit JavaScript's.
func number(peer string) json.RawMessage {
	h := fnv.New64a()
	h.Write([]byte(peer)) //nolint:errcheck // never fails
	return strconv.AppendUint(nil, h.Sum64()&(1<<53-1), 10)
}
