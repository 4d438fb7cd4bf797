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
	var listener net.Listener
	if err := l.Server.Do(func() (err error) {
		listener, err = net.Listen("tcp4", lab.AddrServer+":80")
		return err
	}); err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		host, _, _ := net.SplitHostPort(r.RemoteAddr)
		w.Write([]byte(`<link rel="icon" href="data:,"><p id="from">` + host + `</p>`))
	})}
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	t.Cleanup(func() {
		server.Close()
		<-served
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
