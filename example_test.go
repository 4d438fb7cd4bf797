package signalbox_test

import (
	"context"
	"fmt"
	"net/http"
	"os"

	"signalbox"
)

// An appliance inside another program.
func Example() {
	dir, err := os.MkdirTemp("", "signalbox")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)

	cfg, err := signalbox.Load(signalbox.LoadOptions{Dev: true, Set: []string{
		"web.listen=127.0.0.1:0", "web.tls_listen=", "turn.listen=127.0.0.1:0",
	}})
	if err != nil {
		panic(err)
	}
	state, err := signalbox.OpenState(dir)
	if err != nil {
		panic(err)
	}
	app, err := signalbox.New(cfg, state, nil)
	if err != nil {
		panic(err)
	}
	if err := app.Listen(); err != nil {
		panic(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- app.Run(ctx) }()

	resp, err := http.Get("http://" + app.Addrs().Web + "/healthz")
	if err != nil {
		panic(err)
	}
	resp.Body.Close()
	fmt.Println(resp.Status)

	stop()
	fmt.Println(<-done)
	// Output:
	// 200 OK
	// <nil>
}
