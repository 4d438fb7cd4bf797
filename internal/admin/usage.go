package admin

import (
	"cmp"
	"fmt"
	"net/http"
	"net/url"
	"strconv"

	"signalbox/internal/answer"
	"signalbox/internal/usage"
)

// Rows of an answer: as many as a request gets that names no limit, and at most.
const (
	usageRows    = 100
	maxUsageRows = 1000
)

// usageValues are the parameters of a query.
func usageValues(q usage.Query) url.Values {
	v := url.Values{"period": {string(q.Period)}, "limit": {strconv.Itoa(q.Limit)}, "offset": {strconv.Itoa(q.Offset)}}
	for name, value := range map[string]string{"at": q.At, "user": q.User, "sort": q.Order} {
		if value != "" {
			v.Set(name, value)
		}
	}
	return v
}

// usageQuery reads them.
func usageQuery(v url.Values) (q usage.Query, err error) {
	q = usage.Query{
		Period: usage.Period(cmp.Or(v.Get("period"), string(usage.Month))), At: v.Get("at"), User: v.Get("user"),
		Order: v.Get("sort"), Limit: usageRows,
	}
	for name, to := range map[string]*int{"offset": &q.Offset, "limit": &q.Limit} {
		text := v.Get(name)
		if text == "" {
			continue
		}
		if *to, err = strconv.Atoi(text); err != nil || *to < 0 {
			return q, fmt.Errorf("%s=%q: want a number", name, text)
		}
	}
	if q.Limit < 1 || q.Limit > maxUsageRows {
		return q, fmt.Errorf("limit=%d: want 1 to %d", q.Limit, maxUsageRows)
	}
	return q, nil
}

func (a *API) serveUsage(w http.ResponseWriter, r *http.Request) {
	if a.o.Usage == nil {
		refuse(w, http.StatusNotFound, NotFound, "what users use is not counted: turn.usage is off")
		return
	}
	values, err := valuesOf(r, "period", "at", "user", "sort", "offset", "limit")
	var (
		q     usage.Query
		found usage.Answer
	)
	if err == nil {
		q, err = usageQuery(values)
	}
	if err == nil {
		found, err = a.o.Usage.List(q)
	}
	if err != nil {
		refuse(w, http.StatusBadRequest, BadRequest, err.Error())
		return
	}
	answer.JSON(w, http.StatusOK, found)
}
