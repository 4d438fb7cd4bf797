package admin

import (
	"fmt"
	"net/http"
	"sync"
	"time"

	"signalbox/internal/answer"
)

const (
	maxReaders  = 32 // besides the owner's
	readersEach = 8  // of one token
	// feedPatience is how long a reader may take for an event, before it is gone.
	feedPatience = 10 * time.Second
	// feedLife is after how long a reader has to come again, and show again who it is.
	feedLife = 10 * time.Minute
	// feedAgain is how soon it comes, lest a page that waits takes its place.
	feedAgain = 250 * time.Millisecond
)

// feed hands events to its readers.
type feed struct {
	mu sync.Mutex
	// By whose token each reads. A channel holds the last event that its reader has not taken.
	readers map[chan []byte]string
	over    bool
}

func (f *feed) watched() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.readers) > 0
}

// join returns where events come, or nil and why: there are too many readers, and nobody takes the
// owner's places, nor all of the others'; or the box is about to end.
func (f *feed) join(token string) (chan []byte, Code) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.over {
		return nil, GoingDown
	}
	others, own := 0, 0
	for _, whose := range f.readers {
		if whose == token {
			own++
		}
		if whose != owner {
			others++
		}
	}
	if own >= readersEach || token != owner && others >= maxReaders {
		return nil, TooManyPages
	}
	if f.readers == nil {
		f.readers = map[chan []byte]string{}
	}
	events := make(chan []byte, 1)
	f.readers[events] = token
	return events, ""
}

func (f *feed) leave(events chan []byte) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.readers, events)
}

func (f *feed) publish(text []byte) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for events := range f.readers {
		select {
		case <-events: // not taken yet, and old now
		default:
		}
		events <- text // there is room: nobody else sends
	}
}

func (f *feed) close() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.over = true
	for events := range f.readers {
		close(events)
	}
	f.readers = nil
}

// serveEvents sends Lives as server-sent events.
func (a *API) serveEvents(w http.ResponseWriter, r *http.Request) {
	token, _ := r.Context().Value(visitor{}).(*Token)
	events, no := a.feed.join(token.Name)
	if no != "" {
		why := "the feed has too many readers"
		if no == GoingDown {
			why = "the box is going down"
		}
		w.Header().Set("Retry-After", "5")
		refuse(w, http.StatusServiceUnavailable, no, why)
		return
	}
	defer a.feed.leave(events)
	// The HTTP server's timeouts are for requests and answers that end soon.
	control := http.NewResponseController(w)
	control.SetReadDeadline(time.Time{}) //nolint:errcheck // where there are no deadlines, none ends it
	header := w.Header()
	header.Set("Content-Type", "text/event-stream")
	header.Set("Cache-Control", "no-store, no-transform")
	header.Set("X-Content-Type-Options", "nosniff")
	header.Set("X-Accel-Buffering", "no") // nginx would gather events otherwise
	// It goes with the first event.
	fmt.Fprintf(w, "retry: %d\n\n", feedAgain.Milliseconds()) //nolint:errcheck // that event meets the error, too
	over := time.NewTimer(feedLife)
	defer over.Stop()
	page, paged := a.sessionOf(r)
	paged = paged && answer.Bearer(r) == ""
	for {
		select {
		case <-r.Context().Done():
			return
		case <-over.C:
			return
		case text, open := <-events:
			if !open || a.find(func(t Token) bool { return t == *token }) == nil || // it was taken back
				paged && a.ended.has(page) {
				return
			}
			control.SetWriteDeadline(time.Now().Add(feedPatience)) //nolint:errcheck // as above
			if _, err := w.Write(append(append([]byte("data: "), text...), "\n\n"...)); err != nil {
				return
			}
			if control.Flush() != nil {
				return
			}
		}
	}
}
