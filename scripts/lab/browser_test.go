//go:build linux

package lab_test

import (
	"net"
	"net/http"
	"testing"
	"time"

	"signalbox/scripts/lab"
)

// Before a test with browsers is believed, the rig itself has to hold: browsers
// have a camera or not, as they are told, and see no way past their NAT.
func TestBrowserInNamespace(t *testing.T) {
	besideOthers(t)
	l := lab.New(t, lab.Symmetric, lab.UDPBlocked)
	serveWeb(t, l.Server, func(w http.ResponseWriter, r *http.Request) {
		host, _, _ := net.SplitHostPort(r.RemoteAddr)
		w.Write([]byte(`<link rel="icon" href="data:,"><p id="from">` + host + `</p>`))
	})

	for _, tt := range []struct {
		name     string
		in       *lab.Namespace
		noCamera bool
		from     string
	}{
		{"camera", l.A, false, lab.AddrNATA},
		{"no camera", l.B, true, lab.AddrNATB},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := lab.StartBrowser(t, tt.in, lab.BrowserOptions{
				NoCamera: tt.noCamera,
				Flags:    []string{"--unsafely-treat-insecure-origin-as-secure=http://" + lab.AddrServer},
			})
			p := b.Open("http://"+lab.AddrServer, lab.PageOptions{Locale: "zh-CN", Dark: true})
			if got := p.Text("#from"); got != tt.from {
				t.Errorf("the server sees the browser at %s, want %s", got, tt.from)
			}
			want := `["videoinput","audioinput"]`
			if tt.noCamera {
				want = "[]"
			}
			p.Await(5*time.Second, "devices are "+want, `navigator.mediaDevices.enumerateDevices()
				.then(all => all.map(d => d.kind).filter(k => k != "audiooutput"))
				.then(kinds => JSON.stringify([...new Set(kinds)].sort().reverse()) == '`+want+`')`)
			var look struct {
				Language string
				Dark     bool
			}
			p.Eval(`({language: navigator.language, dark: matchMedia("(prefers-color-scheme: dark)").matches})`, &look)
			if look.Language != "zh-CN" || !look.Dark {
				t.Errorf("the reader is %+v", look)
			}
		})
	}
}

// What is waited for may come with a later page, of which there is only a part at first.
func TestAwaitOutlivesPages(t *testing.T) {
	besideOthers(t)
	l := lab.New(t, lab.Symmetric, lab.Symmetric)
	serveWeb(t, l.Server, func(w http.ResponseWriter, r *http.Request) {
		w.Write([]byte(`<link rel="icon" href="data:,"><script>
			const pages = (sessionStorage.pages ?? "") + "I";
			sessionStorage.pages = pages;
			if (pages.length < 4) setTimeout(() => location.reload(), 200);
		</script>`))
		w.(http.Flusher).Flush()
		time.Sleep(100 * time.Millisecond)
		w.Write([]byte(`<p>there<script>
			if (pages.length == 4) setTimeout(() => { document.querySelector("p").id = "late"; }, 500);
		</script>`))
	})
	for _, engine := range []lab.Engine{lab.Chromium, lab.Firefox} {
		b := lab.StartBrowser(t, l.A, lab.BrowserOptions{Engine: engine})
		p := b.Open("http://"+lab.AddrServer, lab.PageOptions{})
		p.Await(30*time.Second, "a later page", `document.body.innerText.includes("there") && pages.length > 1 &&
			new Promise(resolve => setTimeout(resolve, 50, true))`)
		p.Await(30*time.Second, "it is there", `document.querySelector("#late").innerText == "there"`)
	}
}

// serveWeb serves pages on port 80 of a namespace.
func serveWeb(t *testing.T, in *lab.Namespace, page http.HandlerFunc) {
	t.Helper()
	serveHTTP(t, in.ListenTCP(t, lab.AddrServer+":80"), http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		page(w, r)
	}))
}

// serveHTTP serves until the test ends.
func serveHTTP(t *testing.T, l net.Listener, h http.Handler) {
	t.Helper()
	server := &http.Server{Handler: h}
	served := make(chan error, 1)
	go func() { served <- server.Serve(l) }()
	t.Cleanup(func() {
		server.Close()
		<-served
	})
}
