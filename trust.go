package signalbox

import (
	"fmt"
	"io"
	"net/http"
	"strings"

	"rsc.io/qr"
)

// serveTrustQR draws the address of the page /trust, for the camera of a phone that is to trust
// this box. It is one of plain http if others can reach that, so that the phone opens it without a
// warning.
func (a *App) serveTrustQR(w http.ResponseWriter, _ *http.Request) {
	urls := a.sharedURLs()
	if len(urls) == 0 {
		http.Error(w, "no other device can reach this box: see web.listen and public_ip", http.StatusNotFound)
		return
	}
	svg, err := qrSVG(urls[0] + "trust")
	if err != nil {
		http.Error(w, "draw "+urls[0]+"trust: "+err.Error(), http.StatusInternalServerError)
		return
	}
	header := w.Header()
	header.Set("Content-Type", "image/svg+xml")
	header.Set("Content-Security-Policy", "default-src 'none'")
	header.Set("Cache-Control", "no-store") // addresses change
	header.Set("X-Content-Type-Options", "nosniff")
	io.WriteString(w, svg) //nolint:errcheck // the client is gone
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
