package notify

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"signalbox/internal/state"
	"signalbox/internal/status"
	"signalbox/internal/testkit"
	"signalbox/internal/trouble"
)

const patience = 30 * time.Second

func TestMain(m *testing.M) { testkit.Main(m, patience, "signalbox/internal/notify") }

var faults = []status.Fault{{Code: trouble.ACMEFailed, Detail: "the directory says \x1b no", Since: 1}}

// receiver is a server that hears notices, and answers with codes in turn; the last one from then
// on.
func receiver(t *testing.T, answers ...int) (url string, heard chan notice) {
	t.Helper()
	heard = make(chan notice, 100)
	var mu sync.Mutex
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		code := answers[0]
		if len(answers) > 1 {
			answers = answers[1:]
		}
		mu.Unlock()
		var n notice
		body, _ := io.ReadAll(r.Body)
		if err := json.Unmarshal(body, &n); err != nil || r.Method != http.MethodPost ||
			r.Header.Get("Content-Type") != "application/json" {
			t.Errorf("%s %s: %v", r.Method, body, err)
		}
		w.Header().Set("Location", "/elsewhere")
		w.WriteHeader(code)
		heard <- n
	}))
	t.Cleanup(srv.Close)
	return srv.URL, heard
}

func newNotifier(t *testing.T, dir string) *Notifier {
	t.Helper()
	kept, err := state.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	return New(kept, slog.New(slog.DiscardHandler))
}

func runs(t *testing.T, n *Notifier) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { n.Run(ctx); close(done) }()
	stop = func() { cancel(); <-done }
	t.Cleanup(stop)
	return stop
}

// A change is told, and its end; the same again is not.
func TestEachChangeIsToldOnce(t *testing.T) {
	t.Parallel()
	url, heard := receiver(t, http.StatusNoContent)
	n := newNotifier(t, t.TempDir())
	n.Apply(Options{Webhook: url, Box: "call.example.org"})
	runs(t, n)
	n.Tell(nil) // nothing is wrong, and was not
	n.Tell(faults)
	got := next(t, heard)
	if got.State != Failing || got.Box != "call.example.org" || len(got.Faults) != 1 ||
		got.Faults[0].Code != trouble.ACMEFailed || got.Faults[0].Fix == "" || got.At == 0 {
		t.Errorf("%+v", got)
	}
	if !strings.HasPrefix(got.Text, "signalbox call.example.org: 1 fault\n") || strings.Contains(got.Text, "\x1b") ||
		!strings.Contains(got.Text, trouble.Fix(trouble.ACMEFailed)) {
		t.Errorf("%q", got.Text)
	}
	n.Tell(faults)
	n.Tell(nil)
	if got := next(t, heard); got.State != Recovered || len(got.Faults) != 0 || !strings.Contains(got.Text, "well "+
		"again") {
		t.Errorf("%+v", got)
	}
	n.Tell(faults)
	next(t, heard)
	if s := n.Status(); s.Sent < 2 || s.Failures != 0 || !s.On {
		t.Errorf("%+v", s)
	}
}

func next(t *testing.T, heard chan notice) notice {
	t.Helper()
	select {
	case n := <-heard:
		return n
	case <-time.After(patience):
		t.Fatal("nothing is told")
		return notice{}
	}
}

// A restart forgets nothing: what was told is not told again within a day, and its end is told
// once.
func TestRestarts(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		var heard []string
		life := func(faults []status.Fault) []string { // of a process
			heard = nil
			n := newNotifier(t, dir)
			n.ways[0].send = func(_ context.Context, _ *Options, told *notice) error {
				heard = append(heard, told.State)
				return nil
			}
			n.Apply(Options{Webhook: "https://app.example.org/"})
			stop := runs(t, n)
			time.Sleep(time.Minute) // it knows nothing yet
			n.Tell(faults)
			time.Sleep(time.Minute)
			n.Tell(faults)
			time.Sleep(time.Minute)
			stop()
			return heard
		}
		for _, step := range []struct {
			what   string
			pause  time.Duration
			faults []status.Fault
			want   []string
		}{
			{"the first start", 0, faults, []string{Failing}},
			{"still failing", time.Hour, faults, nil},
			{"still failing a day later", remind, faults, []string{Failing}},
			{"mended", 0, nil, []string{Recovered}},
			{"still well", 2 * remind, nil, nil},
			{"failing anew", 0, faults, []string{Failing}},
			{"another fault", 0, []status.Fault{{Code: trouble.DiskFull}}, []string{Failing}},
		} {
			time.Sleep(step.pause)
			if got := life(step.faults); !slices.Equal(got, step.want) {
				t.Errorf("%s: %q is told, want %q", step.what, got, step.want)
			}
		}
		for _, damaged := range []string{`{"webhook":`, "null", `{"webhook":{"codes":["disk-full"],"at":9e15}}`} {
			if err := os.WriteFile(filepath.Join(dir, bookFile), []byte(damaged), 0o600); err != nil {
				t.Fatal(err)
			}
			if got := life(faults); !slices.Equal(got, []string{Failing}) {
				t.Errorf("%s: %q is told", damaged, got)
			}
			if got := life(faults); len(got) > 0 {
				t.Errorf("after %s: %q is told again", damaged, got)
			}
		}
	})
}

// What stays wrong is told once a day, and what can't be told is tried again, ever more rarely.
func TestRemindersAndRetries(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n := newNotifier(t, t.TempDir())
		var tells atomic.Int32
		var fail atomic.Bool
		fail.Store(true)
		n.ways[0].send = func(context.Context, *Options, *notice) error {
			if tells.Add(1); fail.Load() {
				return io.ErrUnexpectedEOF
			}
			return nil
		}
		n.Apply(Options{Webhook: "https://app.example.org/"})
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { n.Run(ctx); close(done) }()
		look := func(d time.Duration) { // as the self-test tells each minute
			for end := time.Now().Add(d); time.Now().Before(end); time.Sleep(time.Minute) {
				n.Tell(faults)
			}
			synctest.Wait()
		}
		look(3*time.Hour + 30*time.Second)
		if tells := tells.Load(); tells < 7 || tells > 9 { // after 0, 1, 3, 7, 15, 31, 63, 123 minutes ...
			t.Errorf("in three hours %d attempts", tells)
		}
		if s := n.Status(); s.Problem == "" || s.Failures != uint64(tells.Load()) {
			t.Errorf("%+v", s)
		}
		fail.Store(false)
		look(2 * time.Hour)
		tells.Store(0)
		look(3*24*time.Hour - time.Hour)
		if tells := tells.Load(); tells != 2 && tells != 3 {
			t.Errorf("in three days %d reminders", tells)
		}
		if s := n.Status(); s.Problem != "" {
			t.Errorf("%+v", s)
		}
		stop()
		<-done
	})
}

// A way that fails is tried again without the other one.
func TestEachWayIsTriedByItself(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n := newNotifier(t, t.TempDir())
		var posts, mails atomic.Int32
		n.ways[0].send = func(context.Context, *Options, *notice) error { posts.Add(1); return nil }
		n.ways[1].send = func(context.Context, *Options, *notice) error { mails.Add(1); return io.ErrUnexpectedEOF }
		n.Apply(Options{Webhook: "https://app.example.org/", Command: []string{"/usr/bin/mail"}})
		n.Tell(faults)
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { n.Run(ctx); close(done) }()
		time.Sleep(time.Hour)
		stop()
		<-done
		if posts.Load() != 1 || mails.Load() < 5 {
			t.Errorf("%d posts, %d mails", posts.Load(), mails.Load())
		}
		if s := n.Status(); s.Problem == "" || s.Sent != 1 {
			t.Errorf("%+v", s)
		}
	})
}

// A reload that mends where to tell is not to wait for the next attempt at the old place, and one
// that changes something else, or nothing, makes no attempt.
func TestAMendedWayIsTriedAtOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n := newNotifier(t, t.TempDir())
		var tried []string
		n.ways[0].send = func(_ context.Context, o *Options, _ *notice) error {
			if tried = append(tried, o.Webhook); o.Webhook == "https://typo.example.org/" {
				return io.ErrUnexpectedEOF
			}
			return nil
		}
		n.ways[1].send = func(context.Context, *Options, *notice) error { return nil }
		n.Apply(Options{Webhook: "https://typo.example.org/"})
		n.Tell(faults)
		stop := runs(t, n)
		time.Sleep(10*time.Minute + time.Second)
		synctest.Wait()
		before := len(tried)
		n.Apply(Options{Webhook: "https://typo.example.org/", Command: []string{"/usr/bin/true"}})
		synctest.Wait()
		if len(tried) != before {
			t.Errorf("the same is tried %d times at once", len(tried)-before)
		}
		n.Apply(Options{Webhook: "https://app.example.org/"})
		synctest.Wait()
		stop()
		if len(tried) != before+1 || tried[before] != "https://app.example.org/" {
			t.Errorf("what is mended is not tried: %q", tried[before:])
		}
	})
}

// Where notices lead to from now on, what is wrong is told at once, also if that changes between
// two starts; and the end of it is told there, even if it was told elsewhere only.
func TestAnotherTargetIsToldWhatIsWrong(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		var heard []string
		life := func(faults []status.Fault, targets ...string) []string { // of a process
			heard = nil
			n := newNotifier(t, dir)
			n.ways[0].send = func(_ context.Context, o *Options, told *notice) error {
				heard = append(heard, o.Webhook+" "+told.State)
				return nil
			}
			stop := runs(t, n)
			for _, to := range targets {
				n.Apply(Options{Webhook: to})
				n.Tell(faults)
				time.Sleep(time.Minute)
			}
			stop()
			return heard
		}
		for _, step := range []struct {
			faults  []status.Fault
			targets []string
			want    []string
		}{
			{faults, []string{"old", "old"}, []string{"old failing"}},
			{faults, []string{"old", "new", "", "new"}, []string{"new failing"}},
			{faults, []string{"next"}, []string{"next failing"}},
			{nil, []string{"last", "other"}, []string{"last recovered"}},
		} {
			if got := life(step.faults, step.targets...); !slices.Equal(got, step.want) {
				t.Errorf("%q: %q is told, want %q", step.targets, got, step.want)
			}
		}
		text, err := os.ReadFile(filepath.Join(dir, bookFile))
		if err != nil || strings.Contains(string(text), "last") {
			t.Errorf("%s, %v", text, err)
		}
	})
}

// A redirect is an answer like any other that does not confirm it: it is not followed.
func TestRedirectsAreNotFollowed(t *testing.T) {
	t.Parallel()
	for _, code := range []int{http.StatusTemporaryRedirect, http.StatusFound, http.StatusInternalServerError} {
		url, heard := receiver(t, code, http.StatusOK)
		err := SendTest(t.Context(), Options{Webhook: url + "/secret", Box: "box"})
		if err == nil || !strings.Contains(err.Error(), "answers") || strings.Contains(err.Error(), "secret") {
			t.Errorf("%d: %v", code, err)
		}
		if got := next(t, heard); got.State != Test || len(heard) != 0 {
			t.Errorf("%d: %+v and %d more", code, got, len(heard))
		}
	}
	if err := SendTest(t.Context(), Options{Webhook: "http://127.0.0.1:1/secret"}); err == nil ||
		strings.Contains(err.Error(), "secret") {
		t.Errorf("nobody there: %v", err)
	}
	if err := SendTest(t.Context(), Options{}); err == nil || !strings.Contains(err.Error(), "notify.webhook") {
		t.Errorf("nobody is to be told: %v", err)
	}
}

// A command gets a mail, and its own words are in the error.
func TestCommand(t *testing.T) {
	t.Parallel()
	if runtime.GOOS == "windows" {
		t.Skip("it has no sh")
	}
	file := filepath.Join(t.TempDir(), "mail")
	o := Options{Command: []string{"/bin/sh", "-c", `cat >"$1"`, "sh", file}, Box: "box\nBcc: you@example.org"}
	if err := SendTest(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	head, body, _ := strings.Cut(string(text), "\n\n")
	if !strings.HasPrefix(head, "Subject: signalbox box") || strings.Contains(head, "\nBcc") || body == "" {
		t.Errorf("%q", text)
	}
	o.Command = []string{"/bin/sh", "-c", "echo no mail today >&2; exit 3"}
	if err := SendTest(t.Context(), o); err == nil || !strings.Contains(err.Error(), "exit status 3: no mail today") {
		t.Errorf("%v", err)
	}
	o.Command = []string{"/nonexistent/mail"}
	if err := SendTest(t.Context(), o); err == nil {
		t.Error("a program that is not there")
	}
}

// A command that hangs is killed, though its children hold its output.
func TestACommandThatHangs(t *testing.T) {
	t.Parallel()
	if runtime.GOOS == "windows" {
		t.Skip("it has no sh")
	}
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	began := time.Now()
	err := command(ctx, []string{"/bin/sh", "-c", "sleep 20; true"}, "text")
	if err == nil || time.Since(began) > 15*time.Second {
		t.Errorf("after %v: %v", time.Since(began), err)
	}
}

// Every fault that is told has words.
func TestTextHasAllFaults(t *testing.T) {
	t.Parallel()
	n := newNotice(&Options{Box: "box"}, Failing, []status.Fault{{Code: trouble.DiskFull}, {Code: trouble.DNSWrong}})
	for _, code := range []trouble.Code{trouble.DiskFull, trouble.DNSWrong} {
		if !strings.Contains(n.Text, trouble.Fix(code)) {
			t.Errorf("%s is not in %q", code, n.Text)
		}
	}
	if !strings.HasPrefix(n.Text, "signalbox box: 2 faults") || !slices.ContainsFunc(n.Faults,
		func(f fault) bool { return f.Code == trouble.DiskFull && f.What != "" }) {
		t.Errorf("%+v", n)
	}
}
