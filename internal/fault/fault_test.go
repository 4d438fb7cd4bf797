package fault

import (
	"errors"
	"fmt"
	"io/fs"
	"testing"
)

func TestFault(t *testing.T) {
	t.Parallel()
	err := New("tls.cert", "read it: %w", fs.ErrNotExist)
	if err.Error() != "tls.cert: read it: file does not exist" || !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%v", err)
	}
	for _, c := range []struct {
		err       error
		key, text string
	}{
		{err, "tls.cert", "read it: file does not exist"},
		{fmt.Errorf("start: %w", err), "tls.cert", "read it: file does not exist"},
		{errors.New("no key in it"), "web.root", "no key in it"},
	} {
		if key, text := Split(c.err, "web.root"); key != c.key || text != c.text {
			t.Errorf("%v is %q, %q", c.err, key, text)
		}
	}
}
