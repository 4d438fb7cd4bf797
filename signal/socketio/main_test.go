package socketio

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"testing"
	"time"

	"signalbox/internal/garbage"
	"signalbox/internal/nonblock"
	"signalbox/internal/testkit"
	"signalbox/signal"
)

// patience bounds every wait for something that must come. It is never waited for unless something
// is broken.
const patience = time.Minute

// TestMain serves Socket.IO instead, if a test of the load asks for that.
func TestMain(m *testing.M) {
	if os.Getenv("SOCKETIO_SERVE") == "" {
		testkit.Main(m, 10*time.Second, "signalbox/signal")
	}
	defer garbage.Bound()()
	hub, err := signal.New(signal.Options{RoomsPerSession: 16})
	if err != nil {
		panic(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	_, port, _ := net.SplitHostPort(l.Addr().String())
	fmt.Println(port)
	go http.Serve(nonblock.Listener(l), New(hub, Options{})) //nolint:errcheck // until the end
	io.Copy(io.Discard, os.Stdin)                            //nolint:errcheck // the end
}
