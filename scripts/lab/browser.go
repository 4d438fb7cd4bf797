//go:build linux

package lab

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"
)

// patience bounds every wait for something that must come, such as an answer of a page. A machine
// of two cores that runs several calls takes its time to open another page.
const patience = 40 * time.Second

// An Engine is a kind of browser.
type Engine string

const (
	Chromium Engine = "chromium"
	// Firefox speaks TURN over TLS to servers that it is given by name only: see
	// [Namespace.Resolve].
	Firefox Engine = "firefox"
)

// An engine is what the lab needs to run a browser.
type engine struct {
	variable string   // of the environment, with the path of the browser
	names    []string // that it may be installed by
	driver   string   // the package of Node's that drives it
}

func (e Engine) needs() engine {
	if e == Firefox {
		return engine{"SIGNALBOX_FIREFOX", []string{"firefox-esr", "firefox"}, "puppeteer-core"}
	}
	return engine{"SIGNALBOX_CHROMIUM", []string{"chromium", "chromium-browser", "google-chrome-stable",
		"google-chrome"}, "playwright-core"}
}

// BrowserOptions say what kind of machine a browser runs on.
type BrowserOptions struct {
	Engine   Engine   // Chromium, unless it is set
	NoCamera bool     // neither camera nor microphone; else both are faked
	Verify   bool     // Chromium only: certificates are looked at; else every one is as good
	Past     bool     // Chromium only: pages open past their certificate's warning; TURN over TLS doesn't
	Home     string   // the home directory, if not one of its own
	Flags    []string // further flags of the browser's command line
}

// A Browser is headless and runs inside a namespace.
type Browser struct {
	t      testing.TB
	engine Engine
	stdin  io.WriteCloser

	pages []*Page // owned by the test's goroutine

	mu      sync.Mutex
	next    int                         // id of the next request; 0 is the start
	waiting map[int]chan<- driverAnswer // by the id of the request; nil once the driver is gone
}

type driverAnswer struct {
	ID    int             `json:"id"`
	Value json.RawMessage `json:"value"`
	Error string          `json:"error"`
}

var driverGone = driverAnswer{Error: "the driver is gone"}

// RequireBrowser does for tests with browsers what [Require] does for labs. It
// returns the path of the browser: what SIGNALBOX_CHROMIUM or SIGNALBOX_FIREFOX
// says, or the first that is found.
func RequireBrowser(t testing.TB, e Engine) string {
	t.Helper()
	needs := e.needs()
	var missing []string
	if _, err := exec.LookPath("node"); err != nil {
		missing = append(missing, "node")
	}
	if _, err := os.Stat(filepath.Join(driverDir(t), "node_modules", needs.driver)); err != nil {
		missing = append(missing, needs.driver+" (npm ci in scripts/lab/browser)")
	}
	path := os.Getenv(needs.variable)
	for _, name := range needs.names {
		if path == "" {
			path, _ = exec.LookPath(name)
		}
	}
	if path == "" {
		missing = append(missing, needs.names[0])
	}
	lack(t, missing)
	return path
}

// StartBrowser starts a browser of its own inside the namespace and closes it
// with the test. The test fails if one of its pages throws an error that nobody
// catches, or logs one.
func StartBrowser(t testing.TB, in *Namespace, options BrowserOptions) *Browser {
	t.Helper()
	if options.Engine == "" {
		options.Engine = Chromium
	}
	if options.Home == "" {
		options.Home = t.TempDir()
	}
	path := RequireBrowser(t, options.Engine)
	args, err := json.Marshal(map[string]any{
		"engine": options.Engine, "executable": path, "camera": !options.NoCamera, "verify": options.Verify,
		"past": options.Past, "flags": options.Flags,
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, kill := context.WithCancel(context.Background())
	cmd := in.Command(ctx, "node", filepath.Join(driverDir(t), "driver.mjs"), string(args))
	cmd.Env = append(os.Environ(), "HOME="+options.Home)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	b := &Browser{t: t, engine: options.Engine, stdin: stdin, waiting: map[int]chan<- driverAnswer{}}
	_, started := b.expect()
	if err := cmd.Start(); err != nil {
		kill()
		t.Fatalf("start node: %v", err)
	}
	read := make(chan struct{})
	go func() {
		defer close(read)
		b.readAnswers(stdout)
	}()
	t.Cleanup(func() {
		for _, page := range b.pages {
			page.checkConsole()
		}
		stdin.Close()
		stuck := time.AfterFunc(10*time.Second, kill)
		<-read // Wait closes the pipe, so that it comes after the last read
		err := cmd.Wait()
		if !stuck.Stop() {
			err = errors.Join(errors.New("it had to be killed"), err)
		}
		kill()
		if err != nil {
			t.Errorf("the browser did not close in good order: %v\n%s", err, &stderr)
		}
	})
	select {
	case answer := <-started:
		if answer.Error != "" {
			t.Fatalf("start %s: %s", options.Engine, answer.Error)
		}
	case <-time.After(30 * time.Second):
		t.Fatalf("%s does not start within 30 s", options.Engine)
	}
	return b
}

// expect registers a request and returns its id and where its answer will come:
// at once, if the driver is gone.
func (b *Browser) expect() (id int, answer <-chan driverAnswer) {
	to := make(chan driverAnswer, 1)
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.waiting == nil {
		to <- driverGone
		return 0, to
	}
	id = b.next
	b.next++
	b.waiting[id] = to
	return id, to
}

func (b *Browser) readAnswers(stdout io.Reader) {
	lines := bufio.NewReader(stdout)
	for {
		line, err := lines.ReadBytes('\n')
		if err != nil {
			break
		}
		var answer driverAnswer
		if err := json.Unmarshal(line, &answer); err != nil {
			answer = driverAnswer{Error: fmt.Sprintf("not JSON: %q", line)}
		}
		b.mu.Lock()
		if to := b.waiting[answer.ID]; to != nil {
			delete(b.waiting, answer.ID)
			to <- answer
		}
		b.mu.Unlock()
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, to := range b.waiting {
		to <- driverGone
	}
	b.waiting = nil
}

// request has the driver do something and decodes what comes of it into value,
// unless that is nil.
func (b *Browser) request(op string, args map[string]any, value any) error {
	id, answer := b.expect()
	line := map[string]any{"id": id, "op": op, "timeout": patience.Milliseconds()}
	for k, v := range args {
		line[k] = v
	}
	encoded, err := json.Marshal(line)
	if err != nil {
		return err
	}
	if _, err := b.stdin.Write(append(encoded, '\n')); err != nil {
		return fmt.Errorf("%s: %w", op, err)
	}
	select {
	case got := <-answer:
		if got.Error != "" {
			return fmt.Errorf("%s: %s", op, got.Error)
		}
		if value == nil || len(got.Value) == 0 {
			return nil
		}
		return json.Unmarshal(got.Value, value)
	case <-time.After(patience + 10*time.Second):
		return fmt.Errorf("%s: no answer from the driver", op)
	}
}

func driverDir(t testing.TB) string {
	t.Helper()
	return filepath.Join(root(t), "scripts", "lab", "browser")
}
