package usage

import (
	"context"
	"fmt"
	"os"
	"reflect"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"signalbox/internal/state"
	"signalbox/internal/testkit"
)

func TestMain(m *testing.M) { testkit.Main(m, 30*time.Second, "signalbox/internal/usage") }

// box is a relay that uses what a test says, and what keeps it.
type box struct {
	t   *testing.T
	dir *state.Dir
	log testkit.Log

	mu   sync.Mutex
	used []Row
}

func newBox(t *testing.T) *box {
	dir, err := state.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	return &box{t: t, dir: dir}
}

func (b *box) ledger() *Ledger { return New(b.dir, b.take, b.log.Logger()) }

func (b *box) use(rows ...Row) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.used = append(b.used, rows...)
}

func (b *box) take() []Row {
	b.mu.Lock()
	defer b.mu.Unlock()
	rows := b.used
	b.used = nil
	return rows
}

// run keeps a ledger until the returned func is called.
func (b *box) run() (end func()) {
	ctx, cancel := context.WithCancel(b.t.Context())
	var running sync.WaitGroup
	l := b.ledger()
	running.Go(func() { l.Keep(ctx) })
	return func() {
		cancel()
		running.Wait()
	}
}

// kept is what a new process finds of a user.
func (b *box) kept(period Period, user string) (list []Listed) {
	b.t.Helper()
	a, err := b.ledger().List(Query{Period: period, User: user})
	if err != nil {
		b.t.Fatal(err)
	}
	return a.Rows
}

func (b *box) want(what string, got, want any) {
	b.t.Helper()
	if !reflect.DeepEqual(got, want) {
		b.t.Errorf("%s: %+v, want %+v", what, got, want)
	}
}

var ada = Row{User: "ada", Class: "shared", Allocations: 1, Seconds: 20, FromClientBytes: 300, ToClientBytes: 4000}

func times(n uint64, r Row) Row {
	r.Allocations, r.Seconds, r.FromClientBytes, r.ToClientBytes = n*r.Allocations, n*r.Seconds, n*r.FromClientBytes,
		n*r.ToClientBytes
	return r
}

// What users have used outlives the process: all if it ends, all but the last minute if it is
// killed. Days and months end by UTC.
func TestIssue16UsageOutlivesTheProcess(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) { // it is midnight, the first of January 2000
		b := newBox(t)
		end := b.run()
		time.Sleep(20 * time.Second)
		b.use(ada)
		time.Sleep(interval)
		b.want("a minute later", b.kept(Day, "ada"), []Listed{{"2000-01-01", ada}})
		b.use(ada)
		end()
		b.want("after the end", b.kept(Day, "ada"), []Listed{{"2000-01-01", times(2, ada)}})

		end = b.run()
		b.use(ada)
		time.Sleep(23 * time.Hour)
		// A second before midnight is of that day, also if nobody has looked since.
		time.Sleep(time.Until(time.Date(2000, 1, 1, 23, 59, 59, 0, time.UTC)))
		b.use(ada)
		time.Sleep(2 * time.Second)
		b.use(ada)
		time.Sleep(interval)
		b.want("days", b.kept(Day, "ada"), []Listed{{"2000-01-02", ada}, {"2000-01-01", times(4, ada)}})

		time.Sleep(time.Until(time.Date(2000, 1, 31, 23, 59, 59, 0, time.UTC)))
		b.use(ada)
		time.Sleep(2 * time.Second)
		b.use(times(7, ada))
		end()
		b.want("months", b.kept(Month, "ada"), []Listed{{"2000-02", times(7, ada)}, {"2000-01", times(6, ada)}})
		b.want("the month's last day", b.kept(Day, "ada")[1], Listed{"2000-01-31", ada})
		sums := b.ledger().Sums()
		b.want("sum of the month", sums.Month, Sum{At: "2000-02", Users: 1, Allocations: 7, Seconds: 140,
			FromClientBytes: 2100, ToClientBytes: 28000})
		b.want("sum of the day", sums.Day.At, "2000-02-01")
	})
}

// A clock that is set back goes on with the day that it shows then.
func TestIssue16UsageOfAClockThatIsSetBack(t *testing.T) {
	t.Parallel()
	b := newBox(t)
	l := b.ledger()
	at := func(day int) { l.turn(time.Date(2026, 11, day, 12, 0, 0, 0, time.UTC)) }
	for _, day := range []int{28, 29, 28} {
		at(day)
		b.use(ada)
		l.collect()
		l.write()
	}
	list, err := l.List(Query{Period: Day, User: "ada"})
	if err != nil {
		t.Fatal(err)
	}
	b.want("days", list.Rows, []Listed{{"2026-11-29", ada}, {"2026-11-28", times(2, ada)}})
}

// However many names there are, a day has 10,000 of them: those that have relayed most, and all
// static users. What the others have used is not lost.
func TestIssue16AFloodOfNamesStaysWithinBounds(t *testing.T) {
	t.Parallel()
	b := newBox(t)
	l := b.ledger()
	phone := Row{User: "phone", Class: static, Allocations: 1}
	b.use(ada, phone)
	l.collect()
	const names, rounds = 20_000, 3
	for round := range rounds {
		for i := range names {
			b.use(Row{User: fmt.Sprint(round, ":", i, strings.Repeat("\x00", 60)), Class: "shared", Allocations: 1,
				Seconds: 2, FromClientBytes: 3})
		}
		l.collect()
		l.write()
	}
	info, err := os.Stat(b.dir.Path(directory, l.pages[0].at+extension))
	if err != nil || info.Size() > 8<<20 {
		t.Errorf("the file has %d bytes: %v", info.Size(), err)
	}
	for _, l := range []*Ledger{l, b.ledger()} {
		a, err := l.List(Query{Period: Day})
		if err != nil || a.Total > maxUsers+2 {
			t.Fatalf("%d rows: %v", a.Total, err)
		}
		b.want("who used most", a.Rows[1], Listed{l.pages[0].at, ada})
		var sum Row
		static := 0
		for _, r := range a.Rows {
			sum.add(&r.Row)
			if r.Row == phone {
				static++
			}
		}
		b.want("the static user", static, 1)
		b.want("the sum", sum, Row{Allocations: names*rounds + 2, Seconds: 2*names*rounds + 20,
			FromClientBytes: 3*names*rounds + 300, ToClientBytes: 4000})
	}
}

// A damaged file is set aside and said, and keeps nothing from starting or from being counted.
func TestIssue16DamagedUsageIsSetAside(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"", "{", `{"users":7}`, `{"users":[{"user":"ada","allocations":-1}]}`, "\x00\x00"} {
		b := newBox(t)
		l := b.ledger()
		at := l.pages[0].at
		if err := l.put(at, nil); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(b.dir.Path(directory, at+extension), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		l = b.ledger()
		if b.log.Count("damaged") != 1 {
			t.Errorf("%q: %s", text, b.log.String())
		}
		b.use(ada)
		l.collect()
		l.write()
		b.want(text, b.kept(Day, "ada"), []Listed{{at, ada}})
		if aside, err := os.ReadFile(b.dir.Path(directory, at+extension+broken)); string(aside) != text {
			t.Errorf("%q: set aside is %q: %v", text, aside, err)
		}
	}
}

// A file that can't be read for a while is not replaced; once it can be, both are added.
func TestIssue16UnreadUsageIsNotLost(t *testing.T) {
	t.Parallel()
	b := newBox(t)
	at := Day.of(time.Now())
	// A directory can't be read, for root neither.
	if err := os.MkdirAll(b.dir.Path(directory, at+extension), 0o700); err != nil {
		t.Fatal(err)
	}
	l := b.ledger()
	b.use(ada)
	l.collect()
	l.write()
	if b.log.Count("stays as it is") != 2 || b.log.Count("can't keep") != 0 {
		t.Error(b.log.String())
	}
	if err := os.Remove(b.dir.Path(directory, at+extension)); err != nil {
		t.Fatal(err)
	}
	if err := l.put(at, []Row{times(9, ada)}); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		l.write()
		b.want("both", b.kept(Day, "ada"), []Listed{{at, times(10, ada)}})
	}
}

// What can't be written is said, and written once that works again.
func TestIssue16UsageThatCannotBeWritten(t *testing.T) {
	t.Parallel()
	b := newBox(t)
	l := b.ledger()
	if err := b.dir.Write(directory, nil); err != nil { // a file where the directory belongs
		t.Fatal(err)
	}
	b.use(ada)
	l.collect()
	l.write()
	if b.log.Count("can't keep") != 2 {
		t.Error(b.log.String())
	}
	if err := b.dir.Remove(directory); err != nil {
		t.Fatal(err)
	}
	l.write()
	b.want("later", b.kept(Month, "ada")[0].Row, ada)
	for _, name := range []string{directory, directory + "/" + l.pages[0].at + extension} {
		if info, err := os.Stat(b.dir.Path(name)); err != nil || info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s: %v, %v", name, info.Mode(), err)
		}
	}
}

// Days and months are kept for long, but not for ever. One wrong look at the clock removes none.
func TestIssue16UsageIsKeptForMonths(t *testing.T) {
	t.Parallel()
	b := newBox(t)
	l := b.ledger()
	first := time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)
	for day := range 100 {
		l.turn(first.AddDate(0, 0, day))
		b.use(ada)
		l.collect()
		l.write()
	}
	l.turn(first.AddDate(900, 0, 0))
	kept := l.kept(Day)
	if len(kept) != 62 || kept[0] != "2026-04-10" || len(l.kept(Month)) != 4 {
		t.Errorf("%d days, the last one %v; months %v", len(kept), kept, l.kept(Month))
	}
}

func TestIssue16UsageIsListed(t *testing.T) {
	t.Parallel()
	b := newBox(t)
	l := b.ledger()
	bob := Row{User: "bob", Class: "hub", Allocations: 9, Seconds: 1}
	guests := Row{Class: "hub", Allocations: 3, Seconds: 100, ToClientBytes: 1}
	l.turn(time.Date(2026, 11, 28, 0, 0, 0, 0, time.UTC))
	b.use(ada, bob)
	l.collect()
	l.write()
	l.turn(time.Date(2026, 11, 29, 0, 0, 0, 0, time.UTC))
	b.use(ada, bob, guests)
	row := func(r Row) Listed { return Listed{"2026-11-29", r} }
	earlier := func(r Row) Listed { return Listed{"2026-11-28", r} }
	month := func(r Row) Listed { return Listed{"2026-11", r} }
	for name, tc := range map[string]struct {
		query Query
		total int
		rows  []Listed
	}{
		"today":          {Query{Period: Day}, 3, []Listed{row(ada), row(guests), row(bob)}},
		"by name":        {Query{Period: Day, Order: "user"}, 3, []Listed{row(guests), row(ada), row(bob)}},
		"by allocations": {Query{Period: Day, Order: "allocations"}, 3, []Listed{row(bob), row(guests), row(ada)}},
		"by time":        {Query{Period: Day, Order: "seconds"}, 3, []Listed{row(guests), row(ada), row(bob)}},
		"a page":         {Query{Period: Day, Offset: 1, Limit: 1}, 3, []Listed{row(guests)}},
		"past the end":   {Query{Period: Day, Offset: 5}, 3, []Listed{}},
		"another day":    {Query{Period: Day, At: "2026-11-28"}, 2, []Listed{earlier(ada), earlier(bob)}},
		"no such day":    {Query{Period: Day, At: "2026-11-27"}, 0, []Listed{}},
		"a user":         {Query{Period: Day, User: "bob"}, 2, []Listed{row(bob), earlier(bob)}},
		"a user's day":   {Query{Period: Day, User: "bob", At: "2026-11-28"}, 1, []Listed{earlier(bob)}},
		"the month": {Query{Period: Month}, 3,
			[]Listed{month(times(2, ada)), month(guests), month(times(2, bob))}},
		"nobody": {Query{Period: Month, User: "eve"}, 0, []Listed{}},
	} {
		a, err := l.List(tc.query)
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		b.want(name, a.Rows, tc.rows)
		b.want(name+", total", a.Total, tc.total)
	}
	a, err := l.List(Query{Period: Day})
	if err != nil {
		t.Error(err)
	}
	b.want("days", a.Kept, []string{"2026-11-29", "2026-11-28"})
	for _, q := range []Query{{}, {Period: "year"}, {Period: Day, At: "2026-11"}, {Period: Day, Order: "size"},
		{Period: Month, At: "../../etc/passwd"}, {Period: Day, Offset: -1}, {Period: Day, Limit: -1}} {
		if _, err := l.List(q); err == nil {
			t.Errorf("%+v is answered", q)
		}
	}
}

// Everybody may ask at any time.
func TestIssue16UsageIsAskedForAtOnce(t *testing.T) {
	t.Parallel()
	b := newBox(t)
	l := b.ledger()
	var asking sync.WaitGroup
	for range 4 {
		asking.Go(func() {
			for range 50 {
				b.use(ada)
				l.Sums()
				l.Static()
				if _, err := l.List(Query{Period: Month}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	for day := range 20 {
		l.collect()
		l.write()
		l.turn(time.Now().AddDate(0, 0, day%2))
	}
	asking.Wait()
}
