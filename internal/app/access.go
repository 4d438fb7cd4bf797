package app

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"signalbox/internal/access"
	"signalbox/internal/admission"
	"signalbox/internal/config"
	"signalbox/internal/trouble"
)

// ServiceUser is as whom a box with this state directory runs: its owner. If it is not there yet,
// that is the user of this name if there is one, else whoever asks.
func ServiceUser(state, name string) access.User { return access.OwnerOf(state, name) }

// CheckAccess returns what keeps a box from starting, or from telling its operator of a fault:
// files, directories and a program in the configuration, and the state directory, that are not
// there, are closed to the user that it runs as, or have no room left. It changes nothing.
func CheckAccess(c *config.Config, state string, as access.User) (out []config.Warning) {
	for _, f := range filesOf(c) {
		if err := as.Read(f.path); err != nil {
			out = append(out, unreadable(f.key, f.path, as, err))
		}
	}
	if command := c.Notify.Command; len(command) > 0 {
		if err := as.Run(command[0]); err != nil {
			out = append(out, unusable("notify.command", command[0], as, err))
		}
	}
	return append(out, checkState(state, as)...)
}

// unusable says what to do about a program that can't be run.
func unusable(key, program string, as access.User, err error) config.Warning {
	w := config.Warning{Code: trouble.Configuration, Key: key, Text: err.Error(),
		Fix: "name a program that this machine has, by its whole path"}
	if errors.Is(err, fs.ErrPermission) {
		w.Text = fmt.Sprintf("the user %s, as whom the box runs, may not run %s", as.Name, program)
		w.Fix = "chmod o+x " + program + ", or let that user into its directory"
	}
	return w
}

// named is a file that a key names.
type named struct{ key, path string }

// filesOf are the files and directories that a start reads.
func filesOf(c *config.Config) (out []named) {
	add := func(key, path string) {
		if path != "" {
			out = append(out, named{key, path})
		}
	}
	add("-c", c.File)
	add("web.root", c.Web.Root)
	switch c.TLS.Mode {
	case "files":
		add("tls.cert", c.TLS.Cert)
		add("tls.key", c.TLS.Key)
	case "acme":
		add("tls.acme_ca_file", c.TLS.ACMECAFile)
	}
	if c.Auth.Mode == "jwt" {
		add("auth.jwt_key", admission.FileOf(c.Auth.JWTKey))
		for _, key := range c.Auth.OldKeys {
			add("auth.old_jwt_keys", admission.FileOf(key))
		}
	}
	return out
}

// unreadable says what to do about a file that can't be read.
func unreadable(key, path string, as access.User, err error) config.Warning {
	w := config.Warning{Code: trouble.Unreadable, Key: key, Text: err.Error()}
	if !errors.Is(err, fs.ErrPermission) {
		return w
	}
	closed := as.Closed(path)
	if closed != "" {
		w.Text = fmt.Sprintf("%s: the directory %s is closed to the user %s, as whom the box runs", path, closed,
			as.Name)
		w.Fix = "copy it: install -m 0640 -g " + as.Group() + " " + path + " /etc/signalbox/"
		return w
	}
	w.Text = fmt.Sprintf("the user %s, as whom the box runs, may not read %s", as.Name, path)
	w.Fix = fmt.Sprintf("chgrp %s %s; chmod g+r %s", as.Group(), path, path)
	return w
}

// enoughRoom is what a state directory needs at least, in bytes and in files: a box keeps some
// kilobytes, and certificates.
const (
	enoughRoom  = 1 << 20
	enoughFiles = 16
)

// checkState judges the state directory, or where it is to be.
func checkState(state string, as access.User) []config.Warning {
	fatal := func(fix, format string, args ...any) []config.Warning {
		return []config.Warning{{Code: trouble.StateUnwritable, Key: "--state", Text: fmt.Sprintf(format, args...),
			Fix: fix}}
	}
	at, err := filepath.Abs(state)
	if err != nil {
		return fatal("name a directory with --state DIR", "%v", err)
	}
	info, err := os.Stat(at)
	there := err == nil
	switch {
	case there && !info.IsDir():
		return fatal("name a directory with --state DIR", "%s is not a directory", at)
	case !there && errors.Is(err, fs.ErrPermission):
		return nil // whose answer counts can't be found out: only its owner and root may look
	}
	for !there && at != filepath.Dir(at) { // the first start makes it
		at = filepath.Dir(at)
		_, err = os.Stat(at)
		there = err == nil
	}
	if info != nil { // under systemd, root makes it
		if err := as.Write(at); err != nil && (as.Self() || !errors.Is(err, fs.ErrPermission)) {
			return fatal("make it writable, or name another with --state DIR", "%v", err)
		} else if err != nil {
			return fatal("chown -R "+as.Name+" "+at, "the user %s, as whom the box runs, may not write to %s",
				as.Name, at)
		}
	}
	if bytes, files, ok := access.Free(at); ok && (bytes < enoughRoom || files < enoughFiles) {
		return []config.Warning{{Code: trouble.DiskFull, Key: "--state",
			Text: fmt.Sprintf("%s has room for %d bytes and %d files only", at, bytes, files),
			Fix:  "make room there: df -h " + at + "; df -i " + at}}
	}
	return keptFiles(state, as)
}

// keptFiles finds files of the state directory that its owner can't read.
func keptFiles(state string, as access.User) (out []config.Warning) {
	entries, err := os.ReadDir(state)
	if err != nil {
		return nil // it is not there yet, or only its owner and root may look
	}
	for _, e := range entries {
		if !e.Type().IsRegular() {
			continue // a device or a pipe may not like to be opened
		}
		path := filepath.Join(state, e.Name())
		if err := as.Read(path); errors.Is(err, fs.ErrPermission) {
			out = append(out, config.Warning{Code: trouble.Unreadable, Key: "--state", Fix: "chown " + as.Name + " " +
				path,
				Text: fmt.Sprintf("the user %s, as whom the box runs, may not read %s", as.Name, path)})
		}
	}
	return out
}
