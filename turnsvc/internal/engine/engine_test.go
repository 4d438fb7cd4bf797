package engine

import (
	"encoding/binary"
	"io"
	"log/slog"
	"net/netip"
	"runtime"
	"testing"
	"time"

	"github.com/pion/stun/v3"

	"signalbox/turnsvc/internal/wire"
)

// The codec itself must stay at a version that has the fix, since the engine decodes with it.
func TestPionFactStunFloor(t *testing.T) {
	m := stun.MustBuild(stun.TransactionID, stun.BindingRequest)
	m.Add(stun.AttrXORPeerAddress, nil)
	var addr stun.XORMappedAddress
	if err := addr.GetFromAs(m, stun.AttrXORPeerAddress); err == nil {
		t.Error("an empty XOR-PEER-ADDRESS decodes")
	}
}

// The engine takes what the gate can emit, at its extremes.
func TestEngine(t *testing.T) {
	now := time.Now()
	e, err := New([]byte("key"), time.Minute, func() time.Time { return now },
		slog.New(slog.NewTextHandler(io.Discard, nil)))
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	if err := e.Refresh(7); err == nil {
		t.Error("refreshed what is not there")
	}
	if err := e.Allocate(7, netip.MustParseAddrPort("192.0.2.1:1")); err != nil {
		t.Fatal(err)
	}
	var many []netip.Addr
	for i := range wire.MaxAttributes {
		var b [16]byte
		b[0] = 0x20
		binary.BigEndian.PutUint32(b[12:], uint32(i))
		many = append(many, netip.AddrFrom16(b))
	}
	now = now.Add(2 * nonceAge) // another nonce
	for _, err := range []error{
		e.Permit(7, many), e.Permit(7, []netip.Addr{netip.MustParseAddr("255.255.255.255"), netip.IPv4Unspecified()}),
		e.Bind(7, wire.FirstChannel, netip.MustParseAddrPort("192.0.2.9:0")),
		e.Bind(7, wire.LastChannel, netip.MustParseAddrPort("[2001:db8::1]:65535")),
		e.Refresh(7), e.Remove(7), e.Remove(7), e.Allocate(7, netip.MustParseAddrPort("192.0.2.1:1")),
	} {
		if err != nil {
			t.Error(err)
		}
	}
	if err := e.Bind(7, wire.FirstChannel, netip.MustParseAddrPort("192.0.2.9:1")); err != nil {
		t.Error(err)
	}
	if err := e.Bind(7, wire.FirstChannel, netip.MustParseAddrPort("192.0.2.9:2")); err == nil {
		t.Error("a channel was bound twice")
	}
}

// An allocation of pion's is born with room for 64 permissions.
func TestPionFactRoomForPermissions(t *testing.T) {
	e, err := New([]byte("key"), time.Minute, time.Now, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	alive := func() int64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return int64(m.HeapAlloc)
	}
	const allocations, most = 500, 1200 // bytes each; 4.8 KB as pion makes them
	before := alive()
	for i := range uint64(allocations) {
		if err := e.Allocate(1+i, netip.MustParseAddrPort("192.0.2.1:1")); err != nil {
			t.Fatal(err)
		}
	}
	each := (alive() - before) / allocations
	for range 1000 { // pion's goroutines, which end at once, may have buffers still
		if each <= most {
			break
		}
		time.Sleep(10 * time.Millisecond)
		each = (alive() - before) / allocations
	}
	if each > most {
		t.Errorf("an allocation takes %d bytes, want %d at most", each, most)
	}
	peer := netip.MustParseAddrPort("192.0.2.9:1")
	if err := e.Bind(allocations, wire.FirstChannel, peer); err != nil {
		t.Error(err)
	}
	if err := e.Remove(allocations); err != nil {
		t.Error(err)
	}
}
