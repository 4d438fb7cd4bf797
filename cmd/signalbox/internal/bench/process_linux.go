package bench

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"
)

// usage is what a process has taken so far.
type usage struct {
	user, system time.Duration
	resident     int64 // bytes in RAM now
}

// tick is the unit of times in /proc (proc(5), USER_HZ).
const tick = 10 * time.Millisecond

// usageOf reads the usage of a process.
func usageOf(pid int) (u usage, err error) {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return u, err
	}
	fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
	const utime, stime, rss = 11, 12, 21 // counted from the state, behind the name
	if len(fields) <= rss {
		return u, fmt.Errorf("/proc/%d/stat has only %d fields", pid, len(fields))
	}
	var n [3]int64
	for i, field := range []int{utime, stime, rss} {
		if n[i], err = strconv.ParseInt(fields[field], 10, 64); err != nil {
			return u, err
		}
	}
	return usage{user: time.Duration(n[0]) * tick, system: time.Duration(n[1]) * tick,
		resident: n[2] * int64(os.Getpagesize())}, nil
}

// nameOf returns the name of a process.
func nameOf(pid int) string {
	name, err := os.ReadFile(fmt.Sprintf("/proc/%d/comm", pid))
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(name))
}
