//go:build linux

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Addresses for measuring, RFC 2544.
const (
	serverIP = "198.18.0.1"
	loadIP   = "198.18.0.2"
)

// rig is two hosts, joined by a veth pair: one core each, if there are two.
type rig struct {
	server, load string // namespaces
	dir          string // for binaries, configurations and logs
}

// raise builds the programs and the namespaces.
func raise() (*rig, error) {
	dir, err := os.MkdirTemp("", "signalbox-bench-")
	if err != nil {
		return nil, err
	}
	tag := fmt.Sprint("sbbench", os.Getpid())
	r := &rig{server: tag + "-srv", load: tag + "-load", dir: dir}
	for binary, from := range map[string]string{"signalbox": "./cmd/signalbox", "pion": "./scripts/bench/pion"} {
		if err := command("go", "build", "-o", filepath.Join(dir, binary), from); err != nil {
			return r, err
		}
	}
	if err := r.certify(); err != nil {
		return r, err
	}
	self, err := os.Executable()
	if err != nil {
		return r, err
	}
	steps := [][]string{
		{"ip", "netns", "add", r.server},
		{"ip", "netns", "add", r.load},
		{"ip", "link", "add", "eth0", "netns", r.server, "type", "veth", "peer", "name", "eth0", "netns", r.load},
	}
	for i, host := range []struct{ in, ip string }{{r.server, serverIP}, {r.load, loadIP}} {
		steps = append(steps,
			[]string{"ip", "-n", host.in, "address", "add", host.ip + "/24", "dev", "eth0"},
			[]string{"ip", "-n", host.in, "link", "set", "lo", "up"},
			[]string{"ip", "-n", host.in, "link", "set", "eth0", "up"},
			// As network cards do, it merges packets for those who want that (UDP_GRO).
			[]string{"ip", "netns", "exec", host.in, self, mergeCommand, "eth0"})
		if runtime.NumCPU() > 1 { // each host's receive work is done by its own core
			steps = append(steps, []string{"ip", "netns", "exec", host.in, "sh", "-c",
				fmt.Sprintf("echo %d > /sys/class/net/eth0/queues/rx-0/rps_cpus", 1<<i)})
		}
	}
	for _, step := range steps {
		if err := command(step[0], step[1:]...); err != nil {
			return r, err
		}
	}
	return r, nil
}

// lower removes everything.
func (r *rig) lower() error {
	return errors.Join(command("ip", "netns", "del", r.server), command("ip", "netns", "del", r.load),
		os.RemoveAll(r.dir))
}

func command(name string, args ...string) error {
	if out, err := exec.Command(name, args...).CombinedOutput(); err != nil {
		return fmt.Errorf("%s %s: %w\n%s", name, strings.Join(args, " "), err, bytes.TrimSpace(out))
	}
	return nil
}

// in is a command on one host, on that host's core.
func (r *rig) in(ctx context.Context, namespace string, args ...string) *exec.Cmd {
	core := "0"
	if namespace == r.load {
		core = strconv.Itoa(runtime.NumCPU() - 1)
	}
	args = append([]string{"netns", "exec", namespace, "taskset", "-c", core}, args...)
	cmd := exec.CommandContext(ctx, "ip", args...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	return cmd
}

// mergeCommand is how this program calls itself within a namespace.
const mergeCommand = "merge-packets"

// mergePackets switches a device's GRO on, as `ethtool -K DEV gro on` does.
func mergePackets(device string) error {
	const setGRO = 0x2c // ETHTOOL_SGRO
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	value := struct{ command, on uint32 }{setGRO, 1}
	request := struct {
		name [unix.IFNAMSIZ]byte
		data unsafe.Pointer
		_    [16]byte
	}{data: unsafe.Pointer(&value)}
	copy(request.name[:unix.IFNAMSIZ-1], device)
	if _, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), unix.SIOCETHTOOL,
		uintptr(unsafe.Pointer(&request))); errno != 0 {
		return fmt.Errorf("switch GRO on: %w", errno)
	}
	return nil
}

// awaitTCP waits until a server listens.
func (r *rig) awaitTCP(port int) error {
	const patience = 10 * time.Second
	var last error
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		if last = r.dial(port); last == nil {
			return nil
		}
	}
	return last
}

// dial connects from the load's host, by a thread that enters its namespace and then ends.
func (r *rig) dial(port int) error {
	result := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends with this goroutine
		ns, err := os.Open("/run/netns/" + r.load)
		if err != nil {
			result <- err
			return
		}
		defer ns.Close()
		if err := unix.Setns(int(ns.Fd()), unix.CLONE_NEWNET); err != nil {
			result <- err
			return
		}
		conn, err := net.DialTimeout("tcp4", net.JoinHostPort(serverIP, strconv.Itoa(port)), time.Second)
		if err == nil {
			conn.Close()
		}
		result <- err
	}()
	return <-result
}
