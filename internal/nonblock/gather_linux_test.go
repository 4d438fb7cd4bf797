//go:build linux && (amd64 || arm64 || riscv64 || loong64)

package nonblock

import (
	"bytes"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"os"
	"slices"
	"testing"
	"time"
)

// What is gathered comes when it is flushed, and what is written then comes behind it.
func TestGather(t *testing.T) {
	t.Parallel()
	near, far := pair(t, true)
	g := GathererOf(tls.Server(near, &tls.Config{}))
	if g == nil || GathererOf(far) != nil {
		t.Fatal("it is not found below TLS, or where there is none")
	}
	g.Gather()
	all := noise()
	for chunk := range slices.Chunk(all[:1<<20], 1200) {
		if n, err := near.Write(chunk); n != len(chunk) || err != nil {
			t.Fatalf("%d bytes: %v", n, err)
		}
	}
	far.SetReadDeadline(time.Now().Add(20 * time.Millisecond)) //nolint:errcheck // the reading tells
	if n, err := far.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("%d bytes come before they are flushed: %v", n, err)
	}
	far.SetReadDeadline(time.Time{}) //nolint:errcheck // the reading tells
	result := make(chan error)
	go func() {
		flushed := g.Flush()
		_, written := near.Write(all[1<<20:])
		again := g.Flush() // nothing waits
		result <- errors.Join(flushed, written, again, near.Close())
	}()
	got, err := io.ReadAll(far)
	if err := errors.Join(err, <-result); err != nil || !bytes.Equal(got, all) {
		t.Errorf("%d bytes of %d come, or others: %v", len(got), len(all), err)
	}
}

// To flush fails as to write does.
func TestFlushFails(t *testing.T) {
	t.Parallel()
	near, _ := pair(t, true)
	g := GathererOf(near)
	g.Gather()
	if _, err := near.Write([]byte("x")); err != nil {
		t.Fatal(err)
	}
	near.Close()
	if err := g.Flush(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("it ends with %v", err)
	}
}
