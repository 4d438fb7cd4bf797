package usage

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Query asks for a part of what is kept.
type Query struct {
	Period Period
	// At is a day or month. Empty: the current one; or all of them, if there is a User.
	At string
	// User, if not empty, is whom alone to list.
	User string
	// Order is one of Orders. Empty: the first.
	Order string
	// Offset and Limit are of the rows; a Limit of 0 is none.
	Offset, Limit int
}

// Listed is a Row with its day or month.
type Listed struct {
	At string `json:"at"`
	Row
}

// Answer is what a Query has found.
type Answer struct {
	Period Period   `json:"period"`
	Kept   []string `json:"kept"`  // days or months of which there is something, the last one first
	Total  int      `json:"total"` // rows that the query has found
	Rows   []Listed `json:"rows"`  // from its Offset on, as many as its Limit says
}

// Orders are those in which rows can be listed: by what was relayed, by name, by the number of
// allocations, by their time. Numbers come with the largest first.
func Orders() []string { return []string{"bytes", "user", "allocations", "seconds"} }

func byBytes(a, b Row) int {
	return cmp.Or(cmp.Compare(b.bytes(), a.bytes()), byUser(a, b))
}

func byUser(a, b Row) int { return cmp.Or(cmp.Compare(a.User, b.User), cmp.Compare(a.Class, b.Class)) }

var orders = map[string]func(a, b Row) int{
	"bytes": byBytes, "user": byUser,
	"allocations": func(a, b Row) int { return cmp.Or(cmp.Compare(b.Allocations, a.Allocations), byUser(a, b)) },
	"seconds":     func(a, b Row) int { return cmp.Or(cmp.Compare(b.Seconds, a.Seconds), byUser(a, b)) },
}

// Check says what is wrong with a query.
func (q Query) Check() error {
	switch {
	case !slices.Contains(periods, q.Period):
		return fmt.Errorf("period %q: want day or month", q.Period)
	case q.At != "" && !q.Period.is(q.At):
		return fmt.Errorf("at %q: want a %s, written %s", q.At, q.Period, q.Period.written())
	case q.Order != "" && orders[q.Order] == nil:
		return fmt.Errorf("sort %q: want one of %s", q.Order, strings.Join(Orders(), ", "))
	case q.Offset < 0 || q.Limit < 0:
		return fmt.Errorf("offset %d, limit %d: want none below 0", q.Offset, q.Limit)
	}
	return nil
}

// List finds what a query asks for. Days and months come the last one first.
func (l *Ledger) List(q Query) (a Answer, err error) {
	if err := q.Check(); err != nil {
		return a, err
	}
	i := slices.Index(periods, q.Period)
	order := orders[cmp.Or(q.Order, Orders()[0])]
	l.collect()
	l.mu.Lock()
	current := l.pages[i].at
	l.mu.Unlock()
	a = Answer{Period: q.Period, Kept: l.kept(q.Period), Rows: []Listed{}}
	if !slices.Contains(a.Kept, current) {
		a.Kept = append([]string{current}, a.Kept...)
	}
	ats := []string{cmp.Or(q.At, current)}
	if q.At == "" && q.User != "" {
		ats = a.Kept
	}
	for _, at := range ats {
		rows := l.rowsOf(i, at)
		if q.User != "" {
			rows = slices.DeleteFunc(rows, func(r Row) bool { return r.User != q.User })
		}
		slices.SortFunc(rows, order)
		a.Total += len(rows)
		for _, r := range rows {
			if q.Offset > 0 {
				q.Offset--
			} else if q.Limit == 0 || len(a.Rows) < q.Limit {
				a.Rows = append(a.Rows, Listed{at, r})
			}
		}
	}
	return a, nil
}

// rowsOf returns those of a day or month.
func (l *Ledger) rowsOf(period int, at string) []Row {
	l.mu.Lock()
	p := l.pages[period]
	if p.at == at {
		defer l.mu.Unlock()
		return p.list()
	}
	l.mu.Unlock()
	rows, _ := l.read(periods[period], at)
	return rows
}
