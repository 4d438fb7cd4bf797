package doctor

import (
	"bufio"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// clockSynced asks the kernel whether something keeps its clock right.
func clockSynced() (synced, known bool) {
	var t unix.Timex
	if _, err := unix.Adjtimex(&t); err != nil {
		return false, false
	}
	return t.Status&unix.STA_UNSYNC == 0, true
}

// fileLimitOf returns how many files another process may open, unless this user may not know.
func fileLimitOf(pid int) (limit uint64, known bool) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/limits", pid))
	if err != nil {
		return 0, false
	}
	_, rest, _ := strings.Cut(string(text), "\nMax open files ")
	soft, _, _ := strings.Cut(strings.TrimSpace(rest), " ")
	limit, err = strconv.ParseUint(soft, 10, 64) // it is never unlimited
	return limit, err == nil
}

// receiveBuffer returns the largest receive buffer that a socket may have, in bytes, and how many
// UDP datagrams the system dropped because a buffer was full.
func receiveBuffer() (largest int, lost uint64, known bool) {
	text, err := os.ReadFile("/proc/sys/net/core/rmem_max")
	if err != nil {
		return 0, 0, false
	}
	if largest, err = strconv.Atoi(strings.TrimSpace(string(text))); err != nil {
		return 0, 0, false
	}
	snmp, err := os.ReadFile("/proc/net/snmp")
	if err != nil {
		return largest, 0, true
	}
	var names []string // a line of names, then one of values
	for line := range strings.Lines(string(snmp)) {
		fields := strings.Fields(line)
		if len(fields) == 0 || fields[0] != "Udp:" {
			continue
		}
		if names == nil {
			names = fields
			continue
		}
		if i := slices.Index(names, "RcvbufErrors"); i >= 0 && i < len(fields) {
			lost, _ = strconv.ParseUint(fields[i], 10, 64) // 0 if it is no number
		}
		break
	}
	return largest, lost, true
}

// holders returns the programs that listen on these ports, as far as this user may know.
func holders(ports map[uint16]bool) (out []holder) {
	inodes := map[string]string{} // of a socket: its port
	for _, table := range []struct{ file, state, network string }{
		{"tcp", "0A", "tcp"}, {"tcp6", "0A", "tcp"}, {"udp", "07", "udp"}, {"udp6", "07", "udp"},
	} {
		f, err := os.Open("/proc/net/" + table.file)
		if err != nil {
			continue
		}
		for lines := bufio.NewScanner(f); lines.Scan(); {
			fields := strings.Fields(lines.Text())
			if len(fields) < 10 || fields[3] != table.state {
				continue
			}
			_, hex, _ := strings.Cut(fields[1], ":")
			if port, err := strconv.ParseUint(hex, 16, 16); err == nil && ports[uint16(port)] {
				inodes["socket:["+fields[9]+"]"] = fmt.Sprintf("%d/%s", port, table.network)
			}
		}
		f.Close()
	}
	if len(inodes) == 0 {
		return nil
	}
	files, _ := filepath.Glob("/proc/[0-9]*/fd/*") // the pattern is good
	for _, file := range files {
		link, err := os.Readlink(file)
		port := inodes[link]
		if err != nil || port == "" {
			continue
		}
		pid := strings.Split(file, "/")[2]
		name, _ := os.ReadFile("/proc/" + pid + "/comm") // a program without a name has a number
		out = append(out, holder{strings.TrimSpace(string(name)), pid, port})
	}
	slices.SortFunc(out, func(a, b holder) int { return strings.Compare(a.String(), b.String()) })
	return slices.Compact(out)
}
