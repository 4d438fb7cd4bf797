package admin

import (
	"cmp"
	"fmt"
	"math"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"signalbox/internal/answer"
)

// query is what a request asks of a list.
type query struct {
	search        string // in lower case
	outside       bool   // only allocations of no session in a room
	sort          string
	offset, limit int
}

// parameters are those of each list.
var parameters = []string{"search", "sort", "offset", "limit"}

// valuesOf returns the values of a query, which has no other parameters than these.
func valuesOf(r *http.Request, names ...string) (url.Values, error) {
	values := r.URL.Query()
	for name := range values {
		if !slices.Contains(names, name) {
			return nil, fmt.Errorf("%q is none of %s", name, strings.Join(names, ", "))
		}
	}
	return values, nil
}

// queryOf reads a query. The first sort is the default.
func queryOf(r *http.Request, names, sorts []string) (q query, err error) {
	values, err := valuesOf(r, names...)
	if err != nil {
		return q, err
	}
	q.search, q.sort = strings.ToLower(values.Get("search")), cmp.Or(values.Get("sort"), sorts[0])
	if !slices.Contains(sorts, q.sort) {
		return q, fmt.Errorf("sort: %q is none of %s", q.sort, strings.Join(sorts, ", "))
	}
	offset, err := number(r, "offset", 0)
	if err != nil {
		return q, err
	}
	limit, err := number(r, "limit", stdPage)
	if err != nil || limit < 1 || limit > MaxPage {
		return q, fmt.Errorf("limit: want a whole number from 1 to %d", MaxPage)
	}
	q.outside = values.Get("outside") == "true"
	q.offset, q.limit = int(offset), int(limit)
	return q, nil
}

// number reads a whole number of at least 0.
func number(r *http.Request, name string, std int64) (int64, error) {
	text := r.URL.Query().Get(name)
	if text == "" {
		return std, nil
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n < 0 || n > math.MaxInt32 && name == "offset" {
		return 0, fmt.Errorf("%s: want a whole number", name)
	}
	return n, nil
}

// goingOn serves what has come after a number, the only parameter, or says what is wrong with it.
func goingOn(w http.ResponseWriter, r *http.Request, answerTo func(after int64) any) {
	_, err := valuesOf(r, "after")
	var after int64
	if err == nil {
		after, err = number(r, "after", 0)
	}
	if err != nil {
		refuse(w, http.StatusBadRequest, BadRequest, err.Error())
		return
	}
	answer.JSON(w, http.StatusOK, answerTo(after))
}

// finds reports whether any of the texts has what is searched for.
func (q *query) finds(texts ...string) bool {
	return q.search == "" ||
		slices.ContainsFunc(texts, func(s string) bool { return strings.Contains(strings.ToLower(s), q.search) })
}

// cut returns a page of a list.
func cut[T any](list []T, q query) ([]T, Page) {
	from := min(q.offset, len(list))
	return append([]T{}, list[from:min(from+q.limit, len(list))]...), Page{len(list), from}
}

// list serves one, or says what is wrong with the query.
func list(w http.ResponseWriter, r *http.Request, answerTo func(query) any, names []string, sorts ...string) {
	q, err := queryOf(r, names, sorts)
	if err != nil {
		refuse(w, http.StatusBadRequest, BadRequest, err.Error())
		return
	}
	answer.JSON(w, http.StatusOK, answerTo(q))
}
