package site

import (
	"fmt"
	"net/http"
	"strings"

	"signalbox/internal/answer"

	"rsc.io/qr"
)

// trustRoutes are what the page /trust needs, which helps devices to trust the box's own authority.
func (s *Site) trustRoutes() map[string]http.Handler {
	return map[string]http.Handler{
		"GET /ca.crt":       http.HandlerFunc(s.serveDER),
		"GET /ca.pem":       http.HandlerFunc(s.servePEM),
		"GET /api/trust":    http.HandlerFunc(s.serveTrust),
		"GET /trust/qr.svg": http.HandlerFunc(s.serveTrustQR),
	}
}

func (s *Site) serveDER(w http.ResponseWriter, _ *http.Request) {
	serveFile(w, "application/x-x509-ca-cert", s.o.Certs.Authority().Certificate().Raw)
}

func (s *Site) servePEM(w http.ResponseWriter, _ *http.Request) {
	serveFile(w, "application/x-pem-file", s.o.Certs.Authority().PEM())
}

// serveFile serves what may change with the next start.
func serveFile(w http.ResponseWriter, contentType string, data []byte) {
	w.Header().Set("Content-Type", contentType)
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.Write(data) //nolint:errcheck // the client is gone
}

// serveTrust says what a page needs that helps to trust the authority.
func (s *Site) serveTrust(w http.ResponseWriter, _ *http.Request) {
	ca := s.o.Certs.Authority()
	answer.JSON(w, http.StatusOK, struct {
		Name        string   `json:"name"` // under which devices list it
		Fingerprint string   `json:"fingerprint"`
		NotAfter    int64    `json:"notAfter"`
		URLs        []string `json:"urls"` // of this box, for other devices; http first, which needs no trust yet
	}{
		ca.Certificate().Subject.CommonName, ca.Fingerprint(), ca.Certificate().NotAfter.UnixMilli(),
		append([]string{}, s.o.URLs.Shared()...),
	})
}

// serveTrustQR draws the URL of the page /trust for a phone's camera. It is a plain http URL if
// others can reach that, so that the phone opens it without a warning.
func (s *Site) serveTrustQR(w http.ResponseWriter, _ *http.Request) {
	urls := s.o.URLs.Shared()
	if len(urls) == 0 {
		http.Error(w, "no other device can reach this box: see web.listen and public_ip", http.StatusNotFound)
		return
	}
	svg, err := qrSVG(urls[0] + "trust")
	if err != nil {
		http.Error(w, "draw "+urls[0]+"trust: "+err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Security-Policy", "default-src 'none'")
	serveFile(w, "image/svg+xml", []byte(svg))
}

// quietZone is the white margin around a QR code, in modules (ISO/IEC 18004).
const quietZone = 4

// qrSVG draws a QR code, dark on white whatever the colors of the page around it: not every reader
// takes light on dark.
func qrSVG(text string) (string, error) {
	code, err := qr.Encode(text, qr.M)
	if err != nil {
		return "", err
	}
	side := code.Size + 2*quietZone
	var svg strings.Builder
	fmt.Fprintf(&svg, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" `+
		`shape-rendering="crispEdges"><path fill="#fff" d="M0 0h%dv%dH0z"/><path d="`,
		side, side, side, side)
	for y := range code.Size {
		for x := 0; x < code.Size; x++ {
			from := x
			for code.Black(x, y) {
				x++
			}
			if run := x - from; run > 0 {
				fmt.Fprintf(&svg, "M%d %dh%dv1h-%dz", from+quietZone, y+quietZone, run, run)
			}
		}
	}
	svg.WriteString(`"/></svg>`)
	return svg.String(), nil
}
