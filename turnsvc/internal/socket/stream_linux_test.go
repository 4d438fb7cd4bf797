//go:build linux && (amd64 || arm64 || riscv64 || loong64)

package socket

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"testing"
	"time"
)

// streams returns both ends of a TCP connection, the first as NewStream has it.
func streams(t *testing.T) (net.Conn, *net.TCPConn) {
	t.Helper()
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	far, err := net.Dial("tcp4", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	near, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		near.Close()
		far.Close()
	})
	return NewStream(near.(*net.TCPConn)), far.(*net.TCPConn)
}

// What is written comes whole, more than the kernel holds at a time, in both directions; the end is
// io.EOF; deadlines and closing end what waits, as of a connection of package net.
func TestStream(t *testing.T) {
	t.Parallel()
	near, far := streams(t)
	all := make([]byte, 8<<20)
	for i := range all {
		all[i] = byte(rand.Uint32())
	}
	written := make(chan error, 2)
	go func() {
		n, err := near.Write(all)
		if n != len(all) && err == nil {
			err = io.ErrShortWrite
		}
		written <- err
	}()
	go func() {
		_, err := far.Write(all)
		written <- errors.Join(err, far.CloseWrite())
	}()
	back := make(chan []byte)
	go func() {
		got := make([]byte, len(all))
		io.ReadFull(far, got) //nolint:errcheck // what is missing differs
		back <- got
	}()
	got, err := io.ReadAll(near)
	if err != nil || !bytes.Equal(got, all) {
		t.Errorf("read %d bytes of %d: %v", len(got), len(all), err)
	}
	if !bytes.Equal(<-back, all) {
		t.Error("something else was written")
	}
	for range 2 {
		if err := <-written; err != nil {
			t.Error(err)
		}
	}

	near, far = streams(t)
	near.SetReadDeadline(time.Now().Add(-time.Second)) //nolint:errcheck // the reading tells
	if n, err := near.Read(all); n != 0 || !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("after the deadline: %d, %v", n, err)
	}
	result := make(chan error)
	go func() {
		n, err := near.Write(bytes.Repeat(all, 4))
		if n == 0 {
			err = errors.Join(err, io.ErrShortWrite)
		}
		result <- err
	}()
	if _, err := far.Read(make([]byte, 1)); err != nil { // it has begun
		t.Fatal(err)
	}
	near.SetWriteDeadline(time.Now().Add(-time.Second)) //nolint:errcheck // the writing tells
	if err := <-result; !errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(err, io.ErrShortWrite) {
		t.Errorf("nobody reads: %v", err)
	}
	near.SetReadDeadline(time.Time{}) //nolint:errcheck // the reading tells
	ended := make(chan error)
	go func() {
		_, err := near.Read(all)
		ended <- err
	}()
	near.Close()
	if err := <-ended; !errors.Is(err, net.ErrClosed) {
		t.Errorf("closed: %v", err)
	}
	if _, err := near.Write(all); !errors.Is(err, net.ErrClosed) {
		t.Errorf("after it was closed: %v", err)
	}
	near, far = streams(t)
	far.SetLinger(0) //nolint:errcheck // the reading tells
	far.Close()
	if _, err := near.Read(all); err == nil || errors.Is(err, io.EOF) {
		t.Errorf("a reset: %v", err)
	}
}
