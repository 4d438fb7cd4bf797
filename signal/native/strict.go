package native

import (
	"bytes"
	"hash/maphash"
	"slices"
	"strconv"
	"unicode/utf16"
	"unicode/utf8"
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
		shallow [16]container
		open    = shallow[:0]
		few     [32]name
		names   = names{text: text, seed: maphash.MakeSeed(), open: few[:0]}
		first   error
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
			if bytes.Contains(text[i:end], unicodeEscape) && !paired(text[i:end]) {
				note(errSurrogate)
			}
			if open[len(open)-1].object && text[skipSpace(text, end)] == ':' {
				names.add(i, end)
			}
			i = end - 1
		case '{', '[':
			if len(open) == maxDepth {
				return errDeep
			}
			open = append(open, container{object: text[i] == '{', names: len(names.open)})
		case '}', ']':
			if names.close(open[len(open)-1].names) {
				note(errTwice)
			}
			open = open[:len(open)-1]
		}
	}
	return first
}

// unicodeEscape begins each escape of a surrogate.
var unicodeEscape = []byte(`\u`)

// container is an array, or an object.
type container struct {
	object bool
	names  int // how many there were when it began
}

// name is where a name begins, and above that a hash of it. So it takes 8 bytes, however many an
// object has: it may have a name for each 5 bytes of a frame, and frames are checked at once.
type name uint64

// names are those of the objects that have begun.
type names struct {
	text []byte
	seed maphash.Seed // a secret: nobody can make two names that look the same
	open []name
}

func (n *names) add(begin, end int) {
	quoted := n.text[begin:end]
	plain := quoted[1 : len(quoted)-1]
	var hash uint64
	if bytes.IndexByte(plain, '\\') < 0 && utf8.Valid(plain) {
		hash = maphash.Bytes(n.seed, plain)
	} else {
		decoded, _ := jsonString(quoted)
		hash = maphash.String(n.seed, decoded)
	}
	n.open = append(n.open, name(hash<<32|uint64(begin)))
}

// close forgets an object's names, which begin there, and reports whether two are the same.
func (n *names) close(begin int) (twice bool) {
	of := n.open[begin:]
	n.open = n.open[:begin]
	slices.Sort(of)
	for i, a := range of {
		for _, b := range of[i+1:] {
			if a>>32 != b>>32 {
				break
			}
			if n.decoded(a) == n.decoded(b) {
				return true
			}
		}
	}
	return false
}

func (n *names) decoded(a name) string {
	begin := int(uint32(a))
	decoded, _ := jsonString(n.text[begin:stringEnd(n.text, begin)])
	return decoded
}

// paired reports whether each surrogate that a string escapes is one of a pair.
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
