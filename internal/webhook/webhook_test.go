package webhook

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"signalbox/internal/post"
	"signalbox/internal/state"
	"signalbox/internal/testkit"
	"signalbox/signal"
)

const (
	patience = 30 * time.Second
	secret   = state.Secret("a secret of the tests")
)

func TestMain(m *testing.M) { testkit.Main(m, patience, "signalbox/internal/webhook") }

// rig is a hub without clients, whose rooms come and go, and hooks.
type rig struct {
	*Hooks
	hub  *signal.Hub
	stop func()
}

func start(t *testing.T, o Options, change func(*Hooks)) *rig {
	t.Helper()
	journal := NewJournal()
	hub, err := signal.New(signal.Options{Journal: journal})
	if err != nil {
		t.Fatal(err)
	}
	h := New(journal, slog.New(slog.DiscardHandler))
	if change != nil {
		change(h)
	}
	if o.Secret = secret; o.Events == nil {
		o.Events = signal.Kinds()
	}
	h.Apply(o)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		h.Run(ctx)
	}()
	r := &rig{Hooks: h, hub: hub, stop: sync.OnceFunc(func() {
		if err := hub.Close(context.Background()); err != nil {
			t.Error(err)
		}
		cancel()
		<-done
	})}
	t.Cleanup(r.stop)
	return r
}

// open opens rooms, each of which is an event.
func (r *rig) open(t *testing.T, names ...string) {
	t.Helper()
	for _, name := range names {
		if _, err := r.hub.Keep(signal.Plan{Room: name, Expires: time.Now().Add(24 * time.Hour)}); err != nil {
			t.Fatal(err)
		}
	}
}

// server is the operator's: it notes what it hears, if the signature is right.
type server struct {
	t      *testing.T
	answer func(w http.ResponseWriter, n int) // of the request with that number, from 1

	mu       sync.Mutex
	requests int
	at       []time.Time
	got      []delivery
}

func (s *server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		s.t.Error(err)
	}
	verify(s.t, r.Header.Get(Header), body)
	var d delivery
	if err := json.Unmarshal(body, &d); err != nil {
		s.t.Error(err)
	}
	s.mu.Lock()
	s.requests++
	n := s.requests
	s.at = append(s.at, time.Now())
	s.got = append(s.got, d)
	s.mu.Unlock()
	if s.answer != nil {
		s.answer(w, n)
	}
}

// rooms are those of all events of all deliveries.
func (s *server) rooms() (out []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, d := range s.got {
		for _, e := range d.Events {
			out = append(out, fmt.Sprint(e.Number, " ", e.Type, " ", e.Room))
		}
	}
	return out
}

// verify is what Sign tells a receiver to do.
func verify(t *testing.T, header string, body []byte) {
	t.Helper()
	stamp, _, ok := strings.Cut(strings.TrimPrefix(header, "t="), ",v1=")
	var unix int64
	if _, err := fmt.Sscan(stamp, &unix); !ok || err != nil || time.Since(time.Unix(unix, 0)).Abs() > 5*time.Minute {
		t.Errorf("the header is %q", header)
	}
	if want := Sign(secret, time.Unix(unix, 0), body); header != want {
		t.Errorf("the header is %q, want %q", header, want)
	}
}

// News arrive signed, in order and numbered, and what the end of the box causes arrives, too.
func TestHub13WebhookDelivers(t *testing.T) {
	t.Parallel()
	s := &server{t: t}
	web := httptest.NewServer(s)
	defer web.Close()
	r := start(t, Options{URL: web.URL}, nil)
	r.open(t, "tea", "milk")
	testkit.Eventually(t, patience, "both rooms are told", func() bool { return len(s.rooms()) == 2 })
	testkit.Eventually(t, patience, "the delivery is counted", func() bool { return r.Status().Delivered == 2 })
	if st := r.Status(); !st.News || st.Asks || st.Waiting != 0 || st.LastDelivery == 0 || st.Problem != "" {
		t.Errorf("status %+v", st)
	}
	r.stop()
	got := s.rooms()
	if len(got) != 4 || got[0] != "1 room-opened tea" || got[1] != "2 room-opened milk" ||
		!strings.HasPrefix(got[2], "3 room-closed ") || !strings.HasPrefix(got[3], "4 room-closed ") {
		t.Errorf("got %q", got)
	}
	if run := s.got[0].Run; run == "" || s.got[len(s.got)-1].Run != run {
		t.Errorf("the run is %q", run)
	}
}

// roundTrips plays the network.
type roundTrips func(*http.Request) (*http.Response, error)

func (f roundTrips) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// handled has a handler answer without a network.
func handled(h http.Handler) func(*Hooks) {
	return func(hooks *Hooks) {
		hooks.client.Transport = roundTrips(func(r *http.Request) (*http.Response, error) {
			w := httptest.NewRecorder()
			h.ServeHTTP(w, r)
			return w.Result(), nil
		})
	}
}

// A server that fails hears everything later, again and again after longer pauses, and the hub
// does not notice. What is too much is lost, and the numbers tell.
func TestHub13WebhookRepeatsUntilItIsHeard(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const failures = 12
		s := &server{t: t, answer: func(w http.ResponseWriter, n int) {
			if n <= failures {
				w.WriteHeader(http.StatusBadGateway)
			}
		}}
		r := start(t, Options{URL: "http://app.test/"}, handled(s))
		r.open(t, "tea")
		synctest.Wait()
		for i := range maxQueue + 5 {
			r.open(t, fmt.Sprint("room ", i))
		}
		if st := r.Status(); st.Waiting != maxQueue+1 || st.Lost != 5 || st.Failures != 1 ||
			st.Problem != "the server answers 502" {
			t.Errorf("status %+v", st)
		}
		time.Sleep(time.Hour)
		synctest.Wait()
		if st := r.Status(); st.Waiting != 0 || st.Delivered != maxQueue+1 || st.Failures != failures ||
			st.Problem != "" {
			t.Errorf("status %+v", st)
		}
		for i := 1; i <= failures; i++ {
			most := min(firstPause<<(i-1), maxPause)
			if waited := s.at[i].Sub(s.at[i-1]); waited < most/2 || waited > most {
				t.Errorf("after failure %d it has waited %v, want %v at most", i, waited, most)
			}
			if len(s.got[i].Events) != 1 || s.got[i].Events[0].Number != 1 {
				t.Errorf("attempt %d is another delivery: %+v", i+1, s.got[i])
			}
		}
		next := uint64(7) // 2 to 6 are lost
		for _, d := range s.got[failures+1:] {
			for _, e := range d.Events {
				if e.Number != next || len(d.Events) > maxBatch {
					t.Fatalf("got %d in a delivery of %d, want %d", e.Number, len(d.Events), next)
				}
				next++
			}
		}
		r.stop()
	})
}

// Nothing is sent where the operator has not said, nor to who can't prove to be the server there.
func TestHub13WebhookGoesNowhereElse(t *testing.T) {
	t.Parallel()
	elsewhere := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		t.Error("a redirect was followed")
	}))
	defer elsewhere.Close()
	redirects := httptest.NewServer(http.RedirectHandler(elsewhere.URL, http.StatusTemporaryRedirect))
	defer redirects.Close()
	unknown := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		t.Error("a server with an unknown certificate was told")
	}))
	unknown.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	unknown.StartTLS()
	defer unknown.Close()
	for url, problem := range map[string]string{
		redirects.URL: "answers 307", unknown.URL: "certificate", "http://user:hunter2@127.0.0.1:1/": "refused",
	} {
		r := start(t, Options{URL: url, Connect: url, Timeout: patience}, nil)
		r.open(t, "tea")
		testkit.Eventually(t, patience, "the failure is seen", func() bool { return r.Status().Problem != "" })
		if got := r.Status().Problem; !strings.Contains(got, problem) || strings.Contains(got, "hunter2") {
			t.Errorf("%s: the problem is %q, want %q", url, got, problem)
		}
		if err := r.Enter(t.Context(), signal.Visitor{}); signal.RefusalOf(err).Code != signal.CodeInternal {
			t.Errorf("%s: %v", url, err)
		}
		r.stop()
	}
}

// Another URL gets at once what waits; without one nothing waits.
func TestHub13WebhookFollowsAReload(t *testing.T) {
	t.Parallel()
	s := &server{t: t}
	web := httptest.NewServer(s)
	defer web.Close()
	r := start(t, Options{URL: "http://127.0.0.1:1/"}, nil)
	r.open(t, "tea")
	testkit.Eventually(t, patience, "the failure is seen", func() bool { return r.Status().Failures > 0 })
	r.Apply(Options{URL: web.URL, Secret: secret, Events: []signal.Kind{signal.KindRoomClosed}})
	testkit.Eventually(t, patience, "the room is told", func() bool { return len(s.rooms()) == 1 })
	r.open(t, "milk")
	if err := r.hub.CloseRoom("milk"); err != nil {
		t.Fatal(err)
	}
	testkit.Eventually(t, patience, "only the end is told", func() bool {
		got := s.rooms()
		return len(got) == 2 && got[1] == "2 room-closed milk"
	})
	r.Apply(Options{})
	r.open(t, "cocoa")
	testkit.Eventually(t, patience, "nothing is told, and nothing waits", func() bool {
		st := r.Status()
		return !st.News && st.Waiting == 0
	})
}

// The connect hook admits, refuses, or leaves it to the configuration.
func TestHub13ConnectHook(t *testing.T) {
	t.Parallel()
	answers := map[string]struct {
		text  string
		code  int
		close signal.Code // of the refusal; empty: admitted
	}{
		"yes":     {text: `{"admit":true}`},
		"no":      {text: `{"admit":false,"reason":"not today"}`, close: signal.CodeUnauthorized},
		"nothing": {text: ``, close: signal.CodeInternal},
		"unclear": {text: `{}`, close: signal.CodeInternal},
		"fails":   {text: `{"admit":true}`, code: 500, close: signal.CodeInternal},
		"long": {text: `{"admit":true,"x":"` + strings.Repeat("x", post.MaxAnswer) + `"}`,
			close: signal.CodeInternal},
	}
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		verify(t, r.Header.Get(Header), body)
		var q question
		if err := json.Unmarshal(body, &q); err != nil || q.Type != "connect" || q.Source != "192.0.2.1" ||
			q.Token != "key" || !q.Attested || q.Host != "box" || q.Run == "" {
			t.Errorf("asked %s: %v", body, err)
		}
		a := answers[q.User]
		if a.code != 0 {
			w.WriteHeader(a.code)
		}
		_, _ = io.Copy(w, bytes.NewReader([]byte(a.text)))
	}))
	defer web.Close()
	o := Options{Connect: web.URL, Timeout: patience}
	for _, admit := range []bool{false, true} {
		o.AdmitUnasked = admit
		r := start(t, o, nil)
		for user, a := range answers {
			want := a.close
			if want == signal.CodeInternal && admit {
				want = ""
			}
			if got := enter(t, r, user); got != want {
				t.Errorf("%s, admit %v: %q, want %q", user, admit, got, want)
			}
		}
		if st := r.Status(); !st.Asks || st.Admitted != 1 || st.Refused != 1 || st.Unanswered != 4 {
			t.Errorf("status %+v", st)
		}
		r.stop()
	}
}

// enter is the code with which a user is refused; empty: it is admitted.
func enter(t *testing.T, r *rig, user string) signal.Code {
	t.Helper()
	err := r.Enter(t.Context(), signal.Visitor{
		Client: signal.Client{Source: netip.MustParseAddr("192.0.2.1"), Host: "box"}, User: user, Key: "key",
		Attested: true,
	})
	if user == "no" && !strings.HasSuffix(fmt.Sprint(err), ": not today") {
		t.Errorf("told %v", err)
	}
	if err == nil {
		return ""
	}
	return signal.RefusalOf(err).Code
}

func visitor(last byte) signal.Visitor {
	return signal.Visitor{Client: signal.Client{Source: netip.AddrFrom4([4]byte{192, 0, 2, last})}}
}

// Who comes in numbers from one address waits behind itself, and nobody else does.
func TestHub13ConnectHookIsFair(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		hangs := func(h *Hooks) {
			h.client.Transport = roundTrips(func(r *http.Request) (*http.Response, error) {
				var q question
				if err := json.NewDecoder(r.Body).Decode(&q); err != nil || q.Source != "192.0.2.2" {
					<-r.Context().Done()
					return nil, r.Context().Err()
				}
				return &http.Response{StatusCode: 200, Body: io.NopCloser(strings.NewReader(`{"admit":true}`))}, nil
			})
		}
		r := start(t, Options{Connect: "http://app.test/", Timeout: 3 * time.Second}, hangs)
		var crowd sync.WaitGroup
		for range 2 * maxAsking {
			crowd.Go(func() {
				if err := r.Enter(t.Context(), visitor(1)); err == nil {
					t.Error("one is admitted by nobody")
				}
			})
		}
		synctest.Wait()
		began := time.Now()
		if err := r.Enter(t.Context(), visitor(2)); err != nil || time.Since(began) > 0 {
			t.Errorf("somebody else waits for %v: %v", time.Since(began), err)
		}
		crowd.Wait()
		if n := len(r.asking.lines); n != 0 {
			t.Errorf("%d sources are remembered", n)
		}
	})
}

// Nobody waits for the operator's server for longer than was configured, however many there are.
func TestHub13ConnectHookIsBounded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		open, most := 0, 0
		hangs := func(h *Hooks) {
			h.client.Transport = roundTrips(func(r *http.Request) (*http.Response, error) {
				mu.Lock()
				open++
				most = max(most, open)
				mu.Unlock()
				<-r.Context().Done()
				mu.Lock()
				open--
				mu.Unlock()
				return nil, r.Context().Err()
			})
		}
		r := start(t, Options{Connect: "http://app.test/", Timeout: 3 * time.Second}, hangs)
		var waiting sync.WaitGroup
		began := time.Now()
		for i := range 2 * maxAsking {
			waiting.Go(func() {
				if err := r.Enter(t.Context(), visitor(byte(i))); signal.RefusalOf(err).Code != signal.CodeInternal {
					t.Error(err)
				}
			})
		}
		waiting.Wait()
		if waited := time.Since(began); waited > 3*time.Second || most > maxAsking {
			t.Errorf("waited for %v, %d at a time", waited, most)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := r.Enter(ctx, signal.Visitor{}); err == nil || time.Since(began) > 3*time.Second {
			t.Errorf("the end of the hub: %v after %v", err, time.Since(began))
		}
		r.stop()
	})
}

// A signature can be computed by hand.
func TestHub13SignatureIsStandard(t *testing.T) {
	t.Parallel()
	// printf '1767229200.{}' | openssl dgst -sha256 -hmac 'a secret of the tests'
	const want = "t=1767229200,v1=dc453d37b2df18d595f9b16f81d2b10168fd732c9632fd9de0888a762f10e862"
	if got := Sign(secret, time.Unix(1767229200, 0), []byte("{}")); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// openapi.json has each field of what is sent and answered, and none other.
func TestHub13OpenAPIHasTheWebhooks(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../rooms/openapi.json")
	if err != nil {
		t.Fatal(err)
	}
	var d struct {
		Webhooks   map[string]any
		Components struct {
			Schemas map[string]struct {
				Required   []string
				Properties map[string]struct{ Enum []string }
			}
		}
	}
	if err := json.Unmarshal(text, &d); err != nil || len(d.Webhooks) != 2 {
		t.Fatalf("%d webhooks: %v", len(d.Webhooks), err)
	}
	for name, value := range map[string]any{
		"Delivery": delivery{}, "Event": event{}, "Peer": peer{}, "Question": question{}, "Verdict": verdict{},
	} {
		var fields, required, documented []string
		for i := range reflect.TypeOf(value).NumField() {
			field, options, _ := strings.Cut(reflect.TypeOf(value).Field(i).Tag.Get("json"), ",")
			fields = append(fields, field)
			if options == "" {
				required = append(required, field)
			}
		}
		for field := range d.Components.Schemas[name].Properties {
			documented = append(documented, field)
		}
		slices.Sort(fields)
		slices.Sort(documented)
		if !slices.Equal(fields, documented) || !slices.Equal(required, d.Components.Schemas[name].Required) {
			t.Errorf("%s has %v, of which %v are required; openapi.json: %v, %v", name, fields, required, documented,
				d.Components.Schemas[name].Required)
		}
	}
	var kinds []string
	for _, kind := range signal.Kinds() {
		kinds = append(kinds, string(kind))
	}
	if got := d.Components.Schemas["Event"].Properties["type"].Enum; !slices.Equal(got, kinds) {
		t.Errorf("the types of events are %v, want %v", got, kinds)
	}
	reasons := []string{string(signal.ReasonLeft), string(signal.ReasonLost), string(signal.ReasonKicked)}
	if got := d.Components.Schemas["Event"].Properties["reason"].Enum; !slices.Equal(got, reasons) {
		t.Errorf("the reasons of events are %v, want %v", got, reasons)
	}
}
