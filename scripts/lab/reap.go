//go:build linux

package lab

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

const namePrefix = "sbx-"

// owner names the process with this pid among all since boot: a pid is reused,
// a pid together with its start time is not.
func owner(pid int) (string, error) {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return "", err
	}
	// proc(5): the second field is in parentheses and may itself hold spaces and
	// parentheses; the start time is field 22, the 20th after it.
	fields := bytes.Fields(stat[bytes.LastIndexByte(stat, ')')+1:])
	if len(fields) < 20 {
		return "", fmt.Errorf("/proc/%d/stat: %d fields after the name", pid, len(fields))
	}
	return fmt.Sprintf("%d-%s", pid, fields[19]), nil
}

// orphaned reports whether a namespace is a lab's whose process is gone.
func orphaned(name string) bool {
	rest, ours := strings.CutPrefix(name, namePrefix)
	parts := strings.Split(rest, "-") // pid, start time, lab, role
	if !ours || len(parts) != 4 {
		return false
	}
	pid, err := strconv.Atoi(parts[0])
	if err != nil {
		return false
	}
	now, err := owner(pid)
	if errors.Is(err, fs.ErrNotExist) {
		return true
	}
	return err == nil && now != parts[0]+"-"+parts[1]
}

// reap removes the namespaces that killed processes left behind.
func reap() error {
	entries, err := os.ReadDir(netnsDir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	var errs []error
	for _, entry := range entries {
		if !orphaned(entry.Name()) {
			continue
		}
		err := (&Namespace{Name: entry.Name()}).remove()
		// Another process may be reaping, too.
		if _, gone := os.Stat(netnsDir + "/" + entry.Name()); gone == nil {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// remove ends what still runs in the namespace, then deletes it.
func (n *Namespace) remove() error {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	for {
		pids, err := n.pids(ctx)
		if err != nil {
			return err
		}
		if len(pids) == 0 {
			break
		}
		for _, pid := range pids {
			if err := syscall.Kill(pid, syscall.SIGKILL); err != nil && !errors.Is(err, syscall.ESRCH) {
				return fmt.Errorf("end process %d in %s: %w", pid, n.Name, err)
			}
		}
		// A killed process needs a moment to leave.
		time.Sleep(10 * time.Millisecond)
	}
	if out, err := exec.CommandContext(ctx, "ip", "netns", "delete", n.Name).CombinedOutput(); err != nil {
		return fmt.Errorf("delete namespace %s: %w: %s", n.Name, err, bytes.TrimSpace(out))
	}
	return os.RemoveAll(filepath.Join(netnsEtcDir, n.Name))
}

// pids returns the processes in the namespace.
func (n *Namespace) pids(ctx context.Context) ([]int, error) {
	out, err := exec.CommandContext(ctx, "ip", "netns", "pids", n.Name).Output()
	if err != nil {
		return nil, fmt.Errorf("list processes of %s: %w", n.Name, err)
	}
	var pids []int
	for _, field := range strings.Fields(string(out)) {
		pid, err := strconv.Atoi(field)
		if err != nil {
			return nil, fmt.Errorf("list processes of %s: %w", n.Name, err)
		}
		pids = append(pids, pid)
	}
	return pids, nil
}
