//go:build linux

package lab_test

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/pion/stun/v3"

	"signalbox/scripts/lab"
)

const adminToken = "a-token-of-the-lab"

// TestAbuse23SpoofedFloodCostsNoMemory floods the real binary with first packets, each from
// another spoofed source: 100k Binding requests, then 100k unauthenticated Allocates.
func TestAbuse23SpoofedFloodCostsNoMemory(t *testing.T) {
	l := lab.New(t, lab.FullCone, lab.FullCone)
	flooder := l.AddHost(t, "flood", 64)
	// What the flood's sources are sent comes back to the flooder, which has no such address and
	// throws it away.
	l.Server.Exec(t, "ip", "route", "add", "198.18.0.0/15", "via", flooder.Public)
	server := lab.StartServer(t, l.Server, lab.Config+"\n[admin]\ntoken = \""+adminToken+"\"\n")
	pid := server.PID(t)

	binding := stun.MustBuild(stun.TransactionID, stun.BindingRequest).Raw
	allocate := stun.MustBuild(stun.TransactionID, stun.NewType(stun.MethodAllocate, stun.ClassRequest),
		stun.RawAttribute{Type: stun.AttrRequestedTransport, Value: []byte{17, 0, 0, 0}}).Raw
	const packets = 100_000
	flood(t, flooder, server.Host(), 5000, binding, allocate) // everything has been used once
	before := rss(t, pid)
	goroutines := threads(t, pid)
	flood(t, flooder, server.Host(), packets, binding)
	flood(t, flooder, server.Host(), packets, allocate)
	after := rss(t, pid)

	status := adminStatus(t, l.Server)
	t.Logf("RSS %d KiB before, %d KiB after; %d Binding requests answered, %d Allocates challenged", before, after,
		status.TURN.Bindings, status.TURN.Refusals["401"])
	if after > before+5<<10 {
		t.Errorf("RSS grew by %d KiB", after-before)
	}
	if n := threads(t, pid); n > goroutines+4 {
		t.Errorf("%d threads, before %d", n, goroutines)
	}
	if got := status.TURN.Bindings; got < packets*9/10 {
		t.Errorf("%d of %d Binding requests were answered: the flood did not get through", got, packets)
	}
	if got := status.TURN.Refusals["401"]; got < packets*9/10 {
		t.Errorf("%d of %d Allocates were challenged: the flood did not get through", got, packets)
	}
	if n := len(status.TURN.Allocations); n != 0 {
		t.Errorf("%d allocations", n)
	}
	stillServes(t, l)
}

// stillServes shows that the server still serves.
func stillServes(t *testing.T, l *lab.Lab) {
	t.Helper()
	conn, err := l.A.DialContext(t.Context(), "udp", lab.AddrServer+":3478")
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Write(stun.MustBuild(stun.TransactionID, stun.BindingRequest).Raw); err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Read(make([]byte, 100)); err != nil {
		t.Errorf("after the flood, no answer: %v", err)
	}
}

// TestAnswersComeFromTheAddressAsked: a server with two addresses on one wire answers from the one
// that was asked, over UDP and TCP, and relays for clients of both.
func TestAnswersComeFromTheAddressAsked(t *testing.T) {
	l := lab.New(t, lab.Symmetric, lab.FullCone)
	lab.StartServer(t, l.Server, lab.Config)
	for _, addr := range []string{lab.AddrServer, lab.AddrServer2} {
		for _, network := range []string{"udp", "tcp"} {
			// A connected socket takes packets of that address only, and so does the symmetric NAT.
			conn, err := l.A.DialContext(t.Context(), network, addr+":3478")
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
				t.Fatal(err)
			}
			request := stun.MustBuild(stun.TransactionID, stun.BindingRequest)
			if _, err := conn.Write(request.Raw); err != nil {
				t.Fatal(err)
			}
			answer := &stun.Message{Raw: make([]byte, 0, 200)}
			if _, err := answer.ReadFrom(conn); err != nil || answer.TransactionID != request.TransactionID {
				t.Errorf("%s %s: %v, %v", network, addr, answer, err)
			}
		}
	}
}

// flood sends n packets with each payload from sources of their own, at a pace that the server can
// follow.
func flood(t *testing.T, from *lab.Namespace, to string, n int, payloads ...[]byte) {
	t.Helper()
	var dst [4]byte
	if _, err := fmt.Sscanf(to, "%d.%d.%d.%d", &dst[0], &dst[1], &dst[2], &dst[3]); err != nil {
		t.Fatal(err)
	}
	err := from.Do(func() error {
		fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_RAW|syscall.SOCK_CLOEXEC, syscall.IPPROTO_RAW)
		if err != nil {
			return err
		}
		defer syscall.Close(fd)
		for i := range n {
			for _, payload := range payloads {
				// the kernel fills in length and checksum of the IP header; UDP needs none
				packet := make([]byte, 28, 28+len(payload))
				packet[0], packet[8], packet[9] = 0x45, 64, syscall.IPPROTO_UDP
				binary.BigEndian.PutUint32(packet[12:], 198<<24|18<<16|uint32(i%(1<<17)))
				copy(packet[16:], dst[:])
				binary.BigEndian.PutUint16(packet[20:], uint16(1024+i%60000))
				binary.BigEndian.PutUint16(packet[22:], 3478)
				binary.BigEndian.PutUint16(packet[24:], uint16(8+len(payload)))
				err := syscall.Sendto(fd, append(packet, payload...), 0, &syscall.SockaddrInet4{Addr: dst})
				if err != nil && !errors.Is(err, syscall.ENOBUFS) {
					return err
				}
			}
			if i%50 == 49 {
				time.Sleep(time.Millisecond)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatalf("flood: %v", err)
	}
}

// rss is a process's resident memory, in KiB.
func rss(t *testing.T, pid int) int { return procStatus(t, pid, "VmRSS:") }

func threads(t *testing.T, pid int) int { return procStatus(t, pid, "Threads:") }

func procStatus(t *testing.T, pid int, key string) int {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "status"))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if fields := strings.Fields(line); len(fields) > 1 && fields[0] == key {
			n, err := strconv.Atoi(fields[1])
			if err != nil {
				t.Fatal(err)
			}
			return n
		}
	}
	t.Fatalf("no %s in the status of process %d", key, pid)
	return 0
}

type turnStatus struct {
	TURN struct {
		Allocations []json.RawMessage `json:"allocations"`
		Bindings    int               `json:"bindings"`
		Refusals    map[string]int    `json:"refusals"`
	} `json:"turn"`
}

func adminStatus(t *testing.T, in *lab.Namespace) (status turnStatus) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://127.0.0.1:8080/api/admin/status", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+adminToken)
	resp, err := in.Client().Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if err := json.NewDecoder(resp.Body).Decode(&status); err != nil {
		t.Fatalf("/api/admin/status: %s: %v", resp.Status, err)
	}
	return status
}
