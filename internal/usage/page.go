package usage

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"
	"time"

	"signalbox/internal/state"
)

// Period is what is added up: a day or a month.
type Period string

// The periods.
const (
	Day   Period = "day"
	Month Period = "month"
)

var periods = []Period{Day, Month}

// layout is how a day or month of the period is written.
func (p Period) layout() string {
	if p == Month {
		return "2006-01"
	}
	return time.DateOnly
}

// written is the layout for people.
func (p Period) written() string {
	if p == Month {
		return "YYYY-MM"
	}
	return "YYYY-MM-DD"
}

// keeps is of how many days or months there is a file at most, of those that have one.
func (p Period) keeps() int {
	if p == Month {
		return 24
	}
	return 62
}

func (p Period) of(t time.Time) string { return t.UTC().Format(p.layout()) }

// is reports whether at is written as one of the period's.
func (p Period) is(at string) bool {
	_, err := time.Parse(p.layout(), at)
	return err == nil
}

// static is the class of users that stand in the configuration. They are not dropped.
const static = "static"

// maxUsers is of how many users a page tells, besides static ones. Other programs may mint
// credentials for any number of names.
const maxUsers = 10_000

// page is what users have used in a day or month. All but what New and open set is guarded by the
// ledger's mu.
type page struct {
	period Period
	at     string
	unread bool // its file may hold more, but can't be read at the moment: nothing may replace it

	rows    map[who]*Row
	changed bool // since it was written
}

type who struct{ class, user string }

func (p *page) add(rows []Row) {
	for i := range rows {
		p.addRow(&rows[i])
	}
	if extra := len(p.rows) - maxUsers; extra > 0 {
		p.drop(extra)
	}
	p.changed = p.changed || len(rows) > 0
}

func (p *page) addRow(r *Row) {
	key := who{r.Class, r.User}
	if p.rows[key] == nil {
		p.rows[key] = &Row{User: r.User, Class: r.Class}
	}
	p.rows[key].add(r)
}

// drop adds those users together who have relayed least.
func (p *page) drop(n int) {
	var named []*Row
	for key, r := range p.rows {
		if key.user != "" && key.class != static {
			named = append(named, r)
		}
	}
	slices.SortFunc(named, func(a, b *Row) int {
		return cmp.Or(cmp.Compare(a.bytes(), b.bytes()), cmp.Compare(a.User, b.User))
	})
	for _, r := range named[:min(n, len(named))] {
		delete(p.rows, who{r.Class, r.User})
		p.addRow(&Row{Allocations: r.Allocations, Seconds: r.Seconds, FromClientBytes: r.FromClientBytes,
			ToClientBytes: r.ToClientBytes})
	}
}

func (p *page) list() []Row {
	rows := make([]Row, 0, len(p.rows))
	for _, r := range p.rows {
		rows = append(rows, *r)
	}
	return rows
}

func (p *page) sum() Sum {
	var all Row
	s := Sum{At: p.at}
	for key, r := range p.rows {
		all.add(r)
		if key.user != "" {
			s.Users++
		}
	}
	s.Allocations, s.Seconds, s.FromClientBytes, s.ToClientBytes = all.Allocations, all.Seconds, all.FromClientBytes,
		all.ToClientBytes
	return s
}

// file is what a page's file holds.
type file struct {
	Users []Row `json:"users"`
}

const extension, broken = ".json", ".broken"

// open returns the page of a day or month, with what earlier processes have written.
func (l *Ledger) open(period Period, at string) *page {
	p := &page{period: period, at: at, rows: map[who]*Row{}}
	var rows []Row
	rows, p.unread = l.read(period, at)
	p.add(rows)
	p.changed = false
	return p
}

// read returns what a page's file holds. A damaged one is set aside. unread tells that it can't be
// read at the moment, for example since too many files are open.
func (l *Ledger) read(period Period, at string) (rows []Row, unread bool) {
	dir := state.Existing(l.dir.Path(directory))
	text, err := dir.Read(at + extension)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, false
	case err != nil:
		l.log.Warn("can't read what users have used: until that works, the file stays as it is", string(period), at,
			"err", err)
		return nil, true
	}
	var f file
	if err := json.Unmarshal(text, &f); err != nil {
		aside := dir.Path(at + extension + broken)
		l.log.Warn("what users have used is damaged: the file is set aside, and the count starts at 0", string(period),
			at, "file", aside, "err", errors.Join(err, os.Rename(dir.Path(at+extension), aside)))
		return nil, false
	}
	return f.Users, false
}

// put writes a page's file.
func (l *Ledger) put(at string, rows []Row) error {
	slices.SortFunc(rows, byBytes)
	text, err := json.Marshal(file{rows})
	if err != nil {
		return fmt.Errorf("usage of %s: %w", at, err)
	}
	dir, err := l.dir.Within(directory)
	if err != nil {
		return err
	}
	return dir.Write(at+extension, append(text, '\n'))
}

// kept lists the days or months that have a file, the last one first.
func (l *Ledger) kept(period Period) (list []string) {
	entries, _ := os.ReadDir(l.dir.Path(directory)) // none, if it can't be read: then there is nothing to show
	for _, e := range entries {
		if at, ok := strings.CutSuffix(e.Name(), extension); ok && period.is(at) {
			list = append(list, at)
		}
	}
	slices.Reverse(list)
	return list
}

// prune removes the files of days and months that are over for long. It counts days that have a
// file: a clock that is wrong for a moment must not remove all.
func (l *Ledger) prune() {
	for i, period := range periods {
		list := l.kept(period)
		for _, at := range list[min(period.keeps(), len(list)):] {
			if at == l.pages[i].at {
				continue
			}
			if err := os.Remove(l.dir.Path(directory, at+extension)); err != nil {
				l.log.Warn("can't remove what users have used long ago", "err", err)
			}
		}
	}
}
