package cert

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"sync"
	"time"

	"signalbox/internal/fault"
	"signalbox/internal/state"
)

// Mode "files": a certificate that another program renews. The source checks the files often,
// serves a renewed pair without a restart, and keeps the old one if it can't use the new one.

// filesInterval is how often the files are looked at.
const filesInterval = 10 * time.Second

// files is the source of mode "files".
type files struct {
	current
	every time.Duration
	log   *slog.Logger

	mu    sync.Mutex // one look at a time
	paths [2]string  // of certificate and key
	seen  [2]fs.FileInfo
}

// openFiles takes the files as they are. It serves an expired certificate all the same: TURN does
// not need a valid one, and an operator who ignores the warning can get in to renew it.
func openFiles(paths [2]string, log *slog.Logger) (*files, error) {
	f := &files{every: filesInterval, log: log, paths: paths}
	// Stat before reading, so that a change during the reading is read again. If stat fails,
	// reading fails, too.
	seen, _ := stat(f.paths)
	cert, err := Read(f.paths)
	if err != nil {
		return nil, err
	}
	f.install(cert, seen)
	if f.report(cert.outOfTime(f.paths[0], time.Now())) {
		log.Error("serving this certificate all the same: clients refuse it, and the box hands out no turns: URL",
			"problem", f.problem())
	}
	return f, nil
}

// Read reads the files that tls.cert and tls.key name.
func Read(paths [2]string) (*Certificate, error) {
	pair, err := tls.LoadX509KeyPair(paths[0], paths[1])
	switch {
	case errors.Is(err, fs.ErrPermission):
		return nil, fault.New("tls.cert, tls.key", "%w: let this program's user read them (chgrp signalbox FILE; "+
			"chmod g+r FILE)", err)
	case err != nil:
		return nil, fault.New("tls.cert, tls.key", "%w: want PEM files, the certificate with its chain and its "+
			"private key", err)
	}
	return &Certificate{Pair: &pair, Signed: true}, nil
}

// ReadUsable is Read where a certificate outside of its time won't do.
func ReadUsable(paths [2]string, now time.Time) (*Certificate, error) {
	cert, err := Read(paths)
	if err == nil {
		err = cert.outOfTime(paths[0], now)
	}
	return cert, err
}

// outOfTime is an error if now is not within the life of the certificate in that file.
func (c *Certificate) outOfTime(path string, now time.Time) error {
	leaf := c.Pair.Leaf
	switch {
	case now.After(leaf.NotAfter):
		return fault.New("tls.cert", "%s expired on %s: renew it", path, leaf.NotAfter.Format(time.DateOnly))
	case now.Before(leaf.NotBefore):
		return fault.New("tls.cert", "%s is not valid before %s, and it is %s: check the clock",
			path, leaf.NotBefore.Format(time.RFC3339), now.Format(time.RFC3339))
	}
	return nil
}

// OpenToAll is an error if everybody on this machine may read a key.
func OpenToAll(key string) error {
	if !state.OpenToAll(key) {
		return nil
	}
	return fault.New("tls.key", "everybody on this machine can read %s: chmod o-r it", key)
}

// stat follows links: certbot and others switch one.
func stat(paths [2]string) (seen [2]fs.FileInfo, err error) {
	for i, path := range paths {
		if seen[i], err = os.Stat(path); err != nil {
			return seen, err
		}
	}
	return seen, nil
}

// prepare reads the files even if their names are unchanged. In that case it only reports that they
// can't be used: the rest of the configuration, a new turn.secret for example, must still come into
// force.
func (f *files) prepare(paths [2]string) (commit func(), err error) {
	if paths == f.paths { // only commit changes them
		return func() {
			f.mu.Lock()
			defer f.mu.Unlock()
			seen, _ := stat(paths)
			f.read(seen, time.Now())
		}, nil
	}
	seen, _ := stat(paths)
	cert, err := ReadUsable(paths, time.Now())
	if err != nil {
		return nil, err
	}
	return func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.paths = paths
		f.install(cert, seen)
	}, nil
}

// install puts a certificate into force. f.mu is held.
func (f *files) install(cert *Certificate, seen [2]fs.FileInfo) {
	f.seen = seen
	f.report(nil)
	old := f.cert.Swap(cert)
	if old != nil && bytes.Equal(old.Pair.Leaf.Raw, cert.Pair.Leaf.Raw) {
		return
	}
	if err := OpenToAll(f.paths[1]); err != nil {
		f.log.Warn(err.Error())
	}
	if old != nil {
		logNew(f.log, cert)
	}
}

func (*files) bound() {}

func (f *files) keep(ctx context.Context) { every(ctx, f.every, f.look) }

// look reads the files again if they have changed, or if they were unusable the last time: a mere
// chmod, or time, may have fixed them.
func (f *files) look(now time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	seen, err := stat(f.paths)
	if err == nil && f.problem() == "" && same(seen[0], f.seen[0]) && same(seen[1], f.seen[1]) {
		return
	}
	f.read(seen, now)
}

// read puts the files' certificate into force, or says why not. f.mu is held.
func (f *files) read(seen [2]fs.FileInfo, now time.Time) {
	cert, err := ReadUsable(f.paths, now)
	if err == nil {
		f.install(cert, seen)
		return
	}
	if f.report(err) {
		f.log.Warn("the new certificate can't be used: the old one stays in force", "err", err)
	}
}

func same(a, b fs.FileInfo) bool {
	return a != nil && b != nil && os.SameFile(a, b) && a.Size() == b.Size() && a.ModTime().Equal(b.ModTime())
}
