package cert

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"time"

	acmeclient "github.com/mholt/acmez/v3/acme"
)

// What an ACME directory has refused counts against its allowance, whoever restarts the box in
// between: the refusals of the last hour stand in the state directory.

const (
	refusalsFile = "acme-refusals.json"
	// refusalsAtStart are how many a start does not mind. Let's Encrypt allows five failures of a
	// name an hour, and an attempt may have two.
	refusalsAtStart = 2
)

// refusals are when the directory has refused, within the last hour, in Unix milliseconds. What is
// no such list has none.
func (s *acme) refusals(now time.Time) (at []int64, err error) {
	text, err := s.state.Read(refusalsFile)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	if err := json.Unmarshal(text, &at); err != nil {
		s.log.Warn("the noted refusals of the ACME directory are no list: they count as none", "err", err)
		return nil, nil
	}
	// One that lies ahead is of a clock that was wrong.
	return slices.DeleteFunc(at, func(ms int64) bool {
		then := time.UnixMilli(ms)
		return then.After(now) || now.Sub(then) >= time.Hour
	}), nil
}

// noteIfRefused notes a failure that the directory counts: not that it can't be reached.
func (s *acme) noteIfRefused(err error) {
	if errors.As(err, new(acmeclient.Problem)) {
		s.noteRefusal(time.Now())
	}
}

// noteRefusal is called when the directory has refused.
func (s *acme) noteRefusal(now time.Time) {
	at, err := s.refusals(now)
	if err == nil {
		text, _ := json.Marshal(append(at, now.UnixMilli())) // numbers always have JSON
		err = s.state.Write(refusalsFile, text)
	}
	if err != nil {
		s.log.Warn("a refusal of the ACME directory can't be noted: a restart asks it again at once", "err", err)
	}
}

// rest is how long a start has to leave the directory alone.
func (s *acme) rest(now time.Time) (pause time.Duration, err error) {
	at, err := s.refusals(now)
	if err != nil {
		s.log.Warn("the refusals of the ACME directory can't be read", "err", err)
		return 0, nil
	}
	if len(at) < refusalsAtStart {
		return 0, nil
	}
	next := time.UnixMilli(at[len(at)-refusalsAtStart]).Add(time.Hour)
	return next.Sub(now), fmt.Errorf("the ACME directory has refused %d times within an hour: it is asked again at "+
		"%s, "+
		"or at once after a reload", len(at), next.Format(time.TimeOnly))
}
