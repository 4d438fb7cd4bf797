package native

import (
	"slices"
	"strconv"
	"unicode/utf16"
)

var (
	errDeep      = broken("it is nested too deeply")
	errTwice     = broken("a field occurs twice")
	errSurrogate = broken("it has half of a surrogate pair (\\ud800 to \\udfff)")
)

// strict refuses valid JSON that parsers read differently, or not at all: what is relayed reaches
// clients with all kinds of them. That is an object in which a name occurs twice, half of a
// surrogate pair, which is no text in UTF-8 (RFC 8259 §8.2), and what is nested deeply.
func strict(text []byte) error {
	var (
		open  []container
		first error
	)
	note := func(err error) {
		if first == nil {
			first = err
		}
	}
	for i := 0; i < len(text); i++ {
		switch text[i] {
		case '"':
			end := stringEnd(text, i)
			if !paired(text[i:end]) {
				note(errSurrogate)
			}
			if in := &open[len(open)-1]; in.isName(text, end) {
				name, _ := jsonString(text[i:end])
				if !in.add(name) {
					note(errTwice)
				}
			}
			i = end - 1
		case '{', '[':
			if len(open) == maxDepth {
				return errDeep
			}
			open = append(open, container{object: text[i] == '{'})
		case '}', ']':
			open = open[:len(open)-1]
		}
	}
	return first
}

// container is an array, or an object with the names in it.
type container struct {
	object bool
	few    []string
	many   map[string]bool // instead, when they are no longer few
}

// isName tells whether the string before end is a name in the container, and not a value.
func (c *container) isName(text []byte, end int) bool {
	return c.object && text[skipSpace(text, end)] == ':'
}

// few is up to how many names are compared one by one.
const few = 16

// add notes a name, and reports whether it is the first of its kind.
func (c *container) add(name string) bool {
	if c.many == nil && len(c.few) < few {
		if slices.Contains(c.few, name) {
			return false
		}
		c.few = append(c.few, name)
		return true
	}
	if c.many == nil {
		c.many = make(map[string]bool, 2*few)
		for _, name := range c.few {
			c.many[name] = true
		}
	}
	was := c.many[name]
	c.many[name] = true
	return !was
}

// paired tells whether each surrogate that a string escapes is one of a pair.
func paired(s []byte) bool {
	high := false // the last character was the first half of a pair
	for i := 1; i < len(s)-1; i++ {
		if s[i] != '\\' {
			if high {
				return false
			}
			continue
		}
		i++
		if s[i] != 'u' {
			if high {
				return false
			}
			continue
		}
		n, _ := strconv.ParseUint(string(s[i+1:i+5]), 16, 16)
		i += 4
		low := n >= 0xDC00 && n < 0xE000
		if low != high {
			return false
		}
		high = !low && utf16.IsSurrogate(rune(n))
	}
	return !high
}

// CheckData refuses, as signal.CodeBadFrame, valid JSON that may not be the data of a frame.
func CheckData(data []byte) error {
	return strict(slices.Concat([]byte(`{"data":`), data, []byte(`}`)))
}
