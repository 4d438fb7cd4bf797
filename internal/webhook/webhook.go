// Package webhook tells the operator's own server what happens in the hub, and asks it who may
// enter.
//
// News are POSTs to webhook.url. A delivery is JSON with some events, oldest first, each of which
// has a number:
//
//	{"run":"6KQ...","events":[
//	  {"number":1,"type":"room-opened","at":1767229200000,"room":"tea"},
//	  {"number":2,"type":"peer-joined","at":1767229200000,"room":"tea",
//	   "peer":{"id":"wZ1...","name":"Ada","user":"ada"}},
//	  {"number":3,"type":"peer-left","at":1767229200000,"room":"tea",
//	   "peer":{"id":"wZ1...","name":"Ada","user":"ada"},"reason":"left"},
//	  {"number":4,"type":"room-closed","at":1767229200000,"room":"tea"},
//	  {"number":5,"type":"call-started","at":1767229200000,"from":{...},"to":{...}}]}
//
// Any answer from 200 to 299 confirms it; otherwise the box sends it again, after 1 s, 2 s, 4 s and
// so on up to 5 min, each shortened by up to a half at random. So every event arrives at least
// once, and in order: a receiver skips numbers that it has had. What waits is bounded: when too
// much does, the oldest events are lost, and the numbers have a gap. Numbers begin at 1 in each
// run of the box, which has a name of its own, and what is undelivered at its end, after one more
// attempt, is lost. After a gap, or in a new run, a receiver asks /api/rooms for what is true.
//
// The question whether a client may enter is a POST to webhook.connect_url, while that client alone
// waits:
//
//	{"type":"connect","run":"6KQ...","name":"Ada","user":"ada","token":"jti of its room token",
//	 "attested":true,"source":"203.0.113.7","host":"call.example.org"}
//
// attested says that the token vouches for name and user. The answer is {"admit":true}, or
// {"admit":false,"reason":"words for the client"}.
//
// Every request is signed with webhook.secret: see Sign. Redirects are not followed, and a
// certificate is verified. The hub never waits for any of this; it writes into a signal.Journal.
package webhook

import (
	"context"
	"crypto/rand"
	"log/slog"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"signalbox/internal/post"
	"signalbox/internal/state"
	"signalbox/internal/status"
	"signalbox/signal"
)

// Options say whom to tell, and whom to ask. They may change while the box runs.
type Options struct {
	URL     string        // of news; empty: nobody hears them
	Events  []signal.Kind // which
	Connect string        // the URL that is asked who may enter; empty: nobody is asked
	// Timeout is how long a client waits for that answer. If there is none, AdmitUnasked says
	// whether it may enter.
	Timeout      time.Duration
	AdmitUnasked bool
	Secret       state.Secret // signs
}

// Hooks are the webhooks of a box.
type Hooks struct {
	journal *signal.Journal
	run     string
	log     *slog.Logger
	client  *post.Client
	asking  *places // questions that are under way

	inForce atomic.Pointer[Options]
	changed chan struct{} // has a token after a change

	admitted, refused, unanswered atomic.Uint64

	mu    sync.Mutex
	told  status.Webhook // the part about news
	batch []signal.Happening
}

const (
	maxQueue   = 10_000 // events that wait, besides those that are being sent
	maxBatch   = 100    // events of one delivery
	maxAsking  = 256    // questions at a time
	askingOf   = 8      // part of them that one source may have under way
	tryTimeout = 10 * time.Second
	// flushTimeout is how long the last attempts may take when the box ends.
	flushTimeout = 2 * time.Second
)

// NewJournal makes the journal that a hub is to write.
func NewJournal() *signal.Journal { return signal.NewJournal(maxQueue) }

// New makes hooks that read a journal; see Apply and Run.
func New(journal *signal.Journal, log *slog.Logger) *Hooks {
	h := &Hooks{
		journal: journal, run: rand.Text(), log: log,
		client:  post.NewClient(maxAsking / 8),
		asking:  newPlaces(maxAsking, maxAsking/askingOf),
		changed: make(chan struct{}, 1),
	}
	h.inForce.Store(&Options{})
	return h
}

// Apply puts options into force. What waits goes to the new URL; without one it is dropped.
func (h *Hooks) Apply(o Options) {
	if o.URL == "" {
		h.journal.Note()
	} else {
		h.journal.Note(o.Events...)
	}
	h.inForce.Store(&o) // before the token: Run reads them in the other order
	select {
	case h.changed <- struct{}{}:
	default:
	}
}

// Status tells how it goes.
func (h *Hooks) Status() status.Webhook {
	o := h.inForce.Load()
	waiting, lost := h.journal.Waiting()
	h.mu.Lock()
	defer h.mu.Unlock()
	s := h.told
	s.News, s.Asks = o.URL != "", o.Connect != ""
	s.Waiting, s.Lost = waiting+len(h.batch), s.Lost+lost
	s.Admitted, s.Refused, s.Unanswered = h.admitted.Load(), h.refused.Load(), h.unanswered.Load()
	return s
}

// Run delivers news until ctx is done, and then makes one last attempt.
func (h *Hooks) Run(ctx context.Context) {
	defer h.client.Close()
	// What is being sent when the box ends may still arrive.
	sending, cut := context.WithCancel(context.WithoutCancel(ctx))
	defer cut()
	defer context.AfterFunc(ctx, func() { time.AfterFunc(flushTimeout, cut) })()

	for failures := 0; ; {
		select {
		case <-h.changed:
		default:
		}
		o := h.inForce.Load()
		batch := h.next(o)
		if batch == nil {
			failures = 0
			select {
			case <-ctx.Done():
				if waiting, _ := h.journal.Waiting(); waiting == 0 {
					return
				} // else it has come just before the end
			case <-h.changed:
			case <-h.journal.Ready():
			}
			continue
		}
		if ctx.Err() != nil {
			h.flush(sending, o)
			return
		}
		err := h.deliver(sending, o, batch)
		if h.note(err); err == nil {
			failures = 0
			continue
		}
		failures++
		select {
		case <-ctx.Done():
		case <-h.changed: // perhaps to another URL
		case <-time.After(pause(failures)):
		}
	}
}

// next is what is to be delivered: what could not be, or else what has happened since.
func (h *Hooks) next(o *Options) []signal.Happening {
	h.mu.Lock()
	defer h.mu.Unlock()
	if o.URL == "" {
		h.told.Lost += uint64(len(h.batch))
		h.batch = nil
		return nil
	}
	if h.batch == nil {
		if batch := h.journal.Take(maxBatch); len(batch) > 0 {
			h.batch = batch
		}
	}
	return h.batch
}

// flush delivers what is left, as long as that works, and counts the rest as lost.
func (h *Hooks) flush(ctx context.Context, o *Options) {
	for {
		batch := h.next(o)
		if batch == nil {
			return
		}
		err := h.deliver(ctx, o, batch)
		h.note(err)
		if err != nil {
			n := h.Status().Waiting
			h.log.Warn("webhook events are lost: the box ends", "events", n)
			return
		}
	}
}

// note counts what became of a delivery, and logs it unless the one before ended so, too.
func (h *Hooks) note(err error) {
	switch before := h.count(err); {
	case err == nil && before != "":
		h.log.Info("webhook: deliveries arrive again")
	case err != nil && before == "":
		h.log.Warn("webhook: a delivery failed, and is repeated", "err", err)
	}
}

// count is note without the log. It returns the problem of the delivery before.
func (h *Hooks) count(err error) (before string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	before = h.told.Problem
	if err != nil {
		h.told.Failures++
		h.told.Problem = err.Error()
		return before
	}
	h.told.Delivered += uint64(len(h.batch))
	h.told.LastDelivery, h.told.Problem = time.Now().UnixMilli(), ""
	h.batch = nil
	return before
}

func (h *Hooks) deliver(ctx context.Context, o *Options, batch []signal.Happening) error {
	ctx, cancel := context.WithTimeout(ctx, tryTimeout)
	defer cancel()
	body := newDelivery(h.run, batch)
	return h.client.Deliver(ctx, o.URL, body, signed(o, body))
}

// signed is the header of a request with that body.
func signed(o *Options, body []byte) http.Header {
	return http.Header{Header: {Sign(o.Secret, time.Now(), body)}}
}
