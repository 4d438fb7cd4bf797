package app

import (
	"encoding/json"
	"encoding/xml"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"signalbox/internal/netaddr"

	"rsc.io/qr"
)

func TestTrustPageAndItsQRCode(t *testing.T) {
	t.Parallel()
	app := startApp(t, "public_host=box.example.org", "public_ip=198.51.100.7", "turn.relay_ip=127.0.0.1")
	base := "http://" + app.Addrs().Web
	if code, header, _ := get(t, insecure(), base+"/trust"); code != http.StatusOK ||
		!strings.HasPrefix(header.Get("Content-Type"), "text/html") {
		t.Errorf("/trust: %d %s", code, header.Get("Content-Type"))
	}
	code, header, svg := get(t, insecure(), base+"/trust/qr.svg")
	if code != http.StatusOK || header.Get("Content-Type") != "image/svg+xml" ||
		header.Get("Cache-Control") != "no-store" {
		t.Fatalf("/trust/qr.svg: %d %v", code, header)
	}
	want, err := qr.Encode("http://box.example.org:"+netaddr.Port(app.edge.Web().Addr())+"/trust", qr.M)
	if err != nil {
		t.Fatal(err)
	}
	const quietZone = 4 // ISO/IEC 18004
	drawn := modules(t, svg)
	if len(drawn) != want.Size+2*quietZone {
		t.Fatalf("%d modules wide, want %d and a margin of %d on both sides", len(drawn), want.Size, quietZone)
	}
	for y := range drawn {
		for x := range drawn {
			if dark := want.Black(x-quietZone, y-quietZone); drawn[y][x] != dark {
				t.Fatalf("module %d, %d is dark: %v, want %v", x, y, drawn[y][x], dark)
			}
		}
	}
	if _, _, body := get(t, insecure(), base+"/"); !strings.Contains(body, `href="/trust"`) {
		t.Error("the start page does not lead to it")
	}
}

// modules paints a QR code's path as a browser does: rectangles one module high.
func modules(t *testing.T, svg string) [][]bool {
	t.Helper()
	var picture struct {
		ViewBox string `xml:"viewBox,attr"`
		Paths   []struct {
			Fill string `xml:"fill,attr"`
			D    string `xml:"d,attr"`
		} `xml:"path"`
	}
	if err := xml.Unmarshal([]byte(svg), &picture); err != nil || len(picture.Paths) != 2 {
		t.Fatalf("%v: %s", err, svg)
	}
	side, err := strconv.Atoi(picture.ViewBox[strings.LastIndex(picture.ViewBox, " ")+1:])
	if err != nil {
		t.Fatal(err)
	}
	size := strconv.Itoa(side)
	if ground := picture.Paths[0]; ground.Fill != "#fff" || ground.D != "M0 0h"+size+"v"+size+"H0z" ||
		picture.Paths[1].Fill != "" {
		t.Fatalf("not black on white: %+v", picture.Paths)
	}
	painted := make([][]bool, side)
	for y := range painted {
		painted[y] = make([]bool, side)
	}
	rectangle := regexp.MustCompile(`M(\d+) (\d+)h(\d+)v1h-(\d+)z`)
	if rest := rectangle.ReplaceAllString(picture.Paths[1].D, ""); rest != "" {
		t.Fatalf("the path has more than rectangles: %s", rest)
	}
	for _, m := range rectangle.FindAllStringSubmatch(picture.Paths[1].D, -1) {
		var n [4]int
		for i := range n {
			n[i], _ = strconv.Atoi(m[i+1]) // digits
		}
		if n[2] != n[3] {
			t.Fatalf("%s is no rectangle", m[0])
		}
		for x := n[0]; x < n[0]+n[2]; x++ {
			painted[n[1]][x] = true
		}
	}
	return painted
}

func TestTrustHasNoQRCodeOnLoopback(t *testing.T) {
	t.Parallel()
	app := startApp(t)
	base := "http://" + app.Addrs().Web
	if code, _, body := get(t, insecure(), base+"/trust/qr.svg"); code != http.StatusNotFound ||
		!strings.Contains(body, "public_ip") {
		t.Errorf("/trust/qr.svg: %d %s", code, body)
	}
	var trust struct{ Name string }
	_, _, body := get(t, insecure(), base+"/api/trust")
	if err := json.Unmarshal([]byte(body), &trust); err != nil ||
		!strings.HasPrefix(trust.Name, "signalbox local CA ") || !strings.Contains(body, `"urls":[]`) {
		t.Errorf("/api/trust: %v %s", err, body)
	}
}

func TestOtherModesHaveNoTrustPage(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	writeCertificate(t, dir+"/both.pem", "call.example.org")
	app := startApp(t, "tls.mode=files", "tls.cert="+dir+"/both.pem", "tls.key="+dir+"/both.pem")
	base := "http://" + app.Addrs().Web
	for _, path := range []string{"/trust", "/trust/qr.svg"} {
		if code, _, _ := get(t, insecure(), base+path); code != http.StatusNotFound {
			t.Errorf("%s: %d", path, code)
		}
	}
	if _, _, body := get(t, insecure(), base+"/"); strings.Contains(body, `href="/trust"`) {
		t.Error("the start page leads to it")
	}
}

func TestQRCodeOfTheLongestHost(t *testing.T) {
	t.Parallel()
	host := strings.Repeat("a23456789.", 25) + "org"
	app := startApp(t, "public_host="+host, "public_ip=198.51.100.7", "turn.relay_ip=127.0.0.1")
	code, _, svg := get(t, insecure(), "http://"+app.Addrs().Web+"/trust/qr.svg")
	if code != http.StatusOK {
		t.Fatalf("%d %s", code, svg)
	}
	modules(t, svg)
}
