package doctor

import (
	"fmt"
	"io/fs"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"

	"signalbox/internal/edge"
	"signalbox/internal/trouble"
)

// What keeps a box from starting has the code whose words help.
func TestStartTrouble(t *testing.T) {
	t.Parallel()
	bind := func(cause error) error {
		return fmt.Errorf("web.listen: %w", &net.OpError{Op: "listen", Err: os.NewSyscallError("bind", cause)})
	}
	for _, c := range []struct {
		err  error
		want trouble.Code
		fix  string
	}{
		{bind(fs.ErrPermission), trouble.PortForbidden, "CAP_NET_BIND_SERVICE"},
		{bind(edge.ErrInUse), trouble.PortTaken, "another port"},
		{&fs.PathError{Op: "open", Path: "key.pem", Err: fs.ErrPermission}, trouble.Unreadable, "chgrp"},
		{&fs.PathError{Op: "write", Path: "state", Err: syscall.ENOSPC}, trouble.DiskFull, "df"},
		{fs.ErrInvalid, trouble.StartFailed, ""},
	} {
		if got := startTrouble(c.err); got != c.want || !strings.Contains(trouble.Fix(got), c.fix) {
			t.Errorf("%v: %s, want %s; %q", c.err, got, c.want, trouble.Fix(got))
		}
	}
}
