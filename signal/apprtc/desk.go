package apprtc

import (
	"crypto/rand"
	"fmt"
	"math/big"
	"sync"
	"sync/atomic"

	"signalbox/signal"
)

// client is the dialect of one session: what AppRTC knows of its client.
type client struct {
	server *Server

	// Set before others find it at the desk, or by Receive, for whom no join has given out an id.
	room, id string
	key      string // names it in ice_server_url; empty: it has none
	token    string // for admission, where it registers without a join

	session *signal.Session // guarded by desk.mu; nil: it isn't there yet
	gone    bool            // guarded by desk.mu: it is over, perhaps before it was there

	offers  int         // that it has made; guarded by the session's work
	unknown int         // commands in a row that nobody knows; the same
	bare    atomic.Bool // what waits is for an answer to a POST, not for Collider
	first   atomic.Bool // nobody was in the room when it joined
}

// desk is the table of clients.
type desk struct {
	mu    sync.Mutex
	rooms map[string]map[string]*client // by room and client id
	keys  map[string]*client
}

// idDigits is how long an id is that /join gives out. Clients take it for a text. The original's
// has eight digits, which somebody else can find by trying: here it is the secret of its client.
const idDigits = 20

// give registers a client in a room under an id that nobody has, with a key.
func (d *desk) give(c *client) {
	c.key = rand.Text()
	ids := new(big.Int).Exp(big.NewInt(10), big.NewInt(idDigits), nil)
	d.mu.Lock()
	defer d.mu.Unlock()
	for {
		n, _ := rand.Int(rand.Reader, ids) // never fails: the runtime ends the process first
		c.id = fmt.Sprintf("%0*d", idDigits, n)
		if d.put(c) {
			d.keys[c.key] = c
			return
		}
	}
}

// claim registers a client in a room under its own id. It reports whether nobody has that.
func (d *desk) claim(c *client) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.put(c)
}

// put is claim with mu held.
func (d *desk) put(c *client) bool {
	in := d.rooms[c.room]
	if in[c.id] != nil {
		return false
	}
	if in == nil {
		in = make(map[string]*client)
		d.rooms[c.room] = in
	}
	in[c.id] = c
	return true
}

// settle notes the session of a client, which others find from now on, unless it is over already.
func (d *desk) settle(c *client, s *signal.Session) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if !c.gone {
		c.session = s
	}
}

// find returns a client's session and whether the id, and the room, are known. An id that is known
// without a session is just being opened.
func (d *desk) find(room, id string) (c *client, s *signal.Session, exists bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	in := d.rooms[room]
	if c = in[id]; c == nil {
		return nil, nil, in != nil
	}
	return c, c.session, true
}

// byKey returns the session that a key of an ice_server_url is for.
func (d *desk) byKey(key string) *signal.Session {
	d.mu.Lock()
	defer d.mu.Unlock()
	if c := d.keys[key]; c != nil {
		return c.session
	}
	return nil
}

// remove forgets a client.
func (d *desk) remove(c *client) {
	d.mu.Lock()
	defer d.mu.Unlock()
	c.gone, c.session = true, nil
	if d.keys[c.key] == c {
		delete(d.keys, c.key)
	}
	if in := d.rooms[c.room]; in[c.id] == c {
		delete(in, c.id)
		if len(in) == 0 {
			delete(d.rooms, c.room)
		}
	}
}
