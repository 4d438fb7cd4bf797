// Package object reads and writes JSON objects whose fields keep their order and, unless they are
// changed, every byte: what dialects pass on is the client's own.
package object

import (
	"bytes"
	"encoding/json"
	"errors"
	"slices"
	"unicode/utf8"
)

// Object is a JSON object. Names are case-sensitive. The zero value is an empty one.
type Object []field

type field struct {
	name  string
	value json.RawMessage
}

// maxFields is how many fields Parse reads.
const maxFields = 256

// ErrNoObject is what Parse returns for anything but an object within its limits.
var ErrNoObject = errors.New("not a JSON object in UTF-8")

// Parse reads an object. Of a name that comes twice, the last value counts, as in JavaScript.
func Parse(text []byte) (Object, error) {
	if !Valid(text) {
		return nil, ErrNoObject
	}
	d := json.NewDecoder(bytes.NewReader(text))
	if begin, err := d.Token(); err != nil || begin != json.Delim('{') {
		return nil, ErrNoObject
	}
	var o Object
	for d.More() {
		name, err := d.Token()
		if err != nil {
			return nil, ErrNoObject
		}
		var value json.RawMessage
		if err := d.Decode(&value); err != nil || len(o) == maxFields {
			return nil, ErrNoObject
		}
		o.Set(name.(string), value)
	}
	return o, nil
}

// Get returns a field's value as JSON; nil: there is none.
func (o Object) Get(name string) json.RawMessage {
	for _, f := range o {
		if f.name == name {
			return f.value
		}
	}
	return nil
}

// Text returns a field that is a string.
func (o Object) Text(name string) (text string, ok bool) { return Text(o.Get(name)) }

// Text reads a JSON value that is a string. The value is valid, or empty.
func Text(value json.RawMessage) (text string, ok bool) {
	if len(value) < 2 || value[0] != '"' {
		return "", false
	}
	if bytes.IndexByte(value, '\\') < 0 {
		return string(value[1 : len(value)-1]), true
	}
	err := json.Unmarshal(value, &text)
	return text, err == nil
}

// Set changes a field in its place, or adds one at the end.
func (o *Object) Set(name string, value json.RawMessage) {
	for i := range *o {
		if (*o)[i].name == name {
			(*o)[i].value = value
			return
		}
	}
	*o = append(*o, field{name, value})
}

// SetText is Set for a string.
func (o *Object) SetText(name, text string) { o.Set(name, Quote(text)) }

// Delete takes a field out.
func (o *Object) Delete(name string) {
	*o = slices.DeleteFunc(*o, func(f field) bool { return f.name == name })
}

// JSON is the object's text.
func (o Object) JSON() []byte {
	out := []byte{'{'}
	for i, f := range o {
		if i > 0 {
			out = append(out, ',')
		}
		out = append(append(out, Quote(f.name)...), ':')
		out = append(out, f.value...)
	}
	return append(out, '}')
}

// Quote is text as a JSON string.
func Quote(text string) json.RawMessage {
	return AppendQuote(make([]byte, 0, len(text)+2), text)
}

// AppendQuote appends text as a JSON string.
func AppendQuote(dst []byte, text string) []byte {
	for i := range len(text) {
		if stops[text[i]] != 0 || text[i] >= utf8.RuneSelf {
			return append(dst, escaped(text)...)
		}
	}
	dst = append(append(dst, '"'), text...)
	return append(dst, '"')
}

func escaped(text string) []byte {
	var out bytes.Buffer
	e := json.NewEncoder(&out)
	e.SetEscapeHTML(false)
	e.Encode(text) //nolint:errcheck // a string always has a form
	return bytes.TrimSuffix(out.Bytes(), []byte("\n"))
}
