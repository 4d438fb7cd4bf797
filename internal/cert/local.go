package cert

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"slices"
	"sync/atomic"
	"time"

	"signalbox/internal/state"
)

// Mode "self-signed": the box's own small certificate authority, which devices on a LAN can trust,
// signs a certificate for every name and address of the box. Both are kept in the state directory,
// so that trust persists.
//
// The box hands out no turns: URL in this mode. A browser that does not trust the authority fails
// on it silently, and nothing tells us which browsers do.

const (
	selfSignedFile  = "self-signed.pem"
	selfSignedRenew = 30 * 24 * time.Hour
)

// local is the source of mode "self-signed", and what mode "acme" serves at first.
type local struct {
	current
	authority atomic.Pointer[Authority]
	dir       *state.Dir
	host      string          // the name by which the box is known to others, if it has one
	wants     func() []string // the names and addresses of the box
	log       *slog.Logger

	// unread is why the kept authority can't be used. Another one, for this process only, then
	// signs in its place: calls matter more, and the kept one is what devices trust.
	unread  error
	unsaved map[string][]byte // files of state that are in force and not stored yet
}

func (s *local) ca() *Authority { return s.authority.Load() }

// openLocal takes the authority and the certificate kept in state, and replaces those that are
// unfit. It stores nothing except the very first authority, so that two processes that start at
// once share it.
func openLocal(o *Options, now time.Time) (*local, error) {
	s := &local{dir: o.State, host: o.Host, wants: o.Names, log: o.Log, unsaved: map[string][]byte{}}
	ca, err := readAuthority(s.dir)
	if errors.Is(err, fs.ErrNotExist) {
		ca, err = createAuthority(s.dir, now, s.wants())
	}
	if err != nil {
		s.unread = fmt.Errorf("%w: until then this process has an authority of its own, which no device trusts", err)
		s.report(s.unread)
		s.log.Error("the box's own certificate authority can't be used", "err", s.unread)
		if ca, err = newAuthority(now, s.wants()); err != nil {
			return nil, fmt.Errorf("make a certificate authority: %w", err)
		}
	}
	s.authority.Store(ca)
	text, err := s.dir.Read(selfSignedFile)
	if err == nil {
		if pair, err := tls.X509KeyPair(text, text); err == nil {
			s.cert.Store(&Certificate{Pair: &pair})
		}
	} else if !errors.Is(err, fs.ErrNotExist) {
		s.log.Warn("can't read the kept certificate: making another", "err", err)
	}
	return s, s.renew(now)
}

// names returns the names of the box that its authority can sign for. This machine's own name may
// change by itself, in a container at every start. That is no reason for another authority, which
// every device would have to trust anew.
func (s *local) names() []string {
	return slices.DeleteFunc(slices.Clone(s.wants()), func(name string) bool { return !s.ca().permits(name) })
}

// willDo reports whether a certificate is from the authority, is valid and does not expire soon,
// and has every name that the box wants.
func (s *local) willDo(c *Certificate, now time.Time) bool {
	if c == nil || !c.Lives(now) || !c.Lives(now.Add(selfSignedRenew)) ||
		c.Pair.Leaf.CheckSignatureFrom(s.ca().cert) != nil {
		return false
	}
	has := c.names()
	return !slices.ContainsFunc(s.names(), func(name string) bool { return !slices.Contains(has, name) })
}

// renew replaces what will not do any more: the certificate, and the authority if it must.
func (s *local) renew(now time.Time) error {
	if why := s.ca().unfit(now, s.host); why != "" {
		ca, err := newAuthority(now, s.wants())
		if err != nil {
			return fmt.Errorf("make a certificate authority: %w", err)
		}
		s.log.Warn("the certificate authority is replaced: devices must trust the new one anew", "reason", why,
			"notAfter", s.ca().cert.NotAfter)
		s.authority.Store(ca)
		s.unsaved[authorityFile] = ca.pem()
	}
	if s.willDo(s.inForce(), now) {
		return nil
	}
	text, err := s.ca().sign(now, s.names())
	if err != nil {
		return fmt.Errorf("make a self-signed certificate: %w", err)
	}
	pair, err := tls.X509KeyPair(text, text)
	if err != nil {
		return fmt.Errorf("make a self-signed certificate: %w", err)
	}
	s.unsaved[selfSignedFile] = text
	if out := slices.DeleteFunc(slices.Clone(s.wants()), s.ca().permits); len(out) > 0 {
		s.log.Info("leaving names out of the certificate that its authority can't sign for: delete its file and "+
			"restart for another authority",
			"names", out, "file", s.dir.Path(authorityFile))
	}
	if s.cert.Swap(&Certificate{Pair: &pair}) != nil {
		logNew(s.log, s.inForce())
	}
	return nil
}

// save stores what is not stored yet.
func (s *local) save() error {
	if s.unread != nil {
		return s.unread
	}
	for _, name := range []string{authorityFile, selfSignedFile} {
		if text, ok := s.unsaved[name]; ok {
			if err := s.dir.Write(name, text); err != nil {
				return err
			}
			delete(s.unsaved, name)
		}
	}
	return nil
}

// bound makes the certificate again if Listen has found new addresses, which the welcome and the QR
// code show.
func (s *local) bound() { s.look(time.Now()) }

// localInterval is how often the certificate is looked at: as often as the addresses that it names.
const localInterval = time.Minute

func (s *local) keep(ctx context.Context) { every(ctx, localInterval, s.look) }

// look renews what will not do any more.
func (s *local) look(now time.Time) {
	err := s.renew(now)
	if err == nil {
		err = s.save()
	}
	if s.report(err) {
		s.log.Warn("can't renew or keep the self-signed certificate", "err", err)
	}
}

func (*local) prepare([2]string) (func(), error) { return func() {}, nil }
