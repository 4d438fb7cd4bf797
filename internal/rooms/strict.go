package rooms

import (
	"bytes"
	"encoding/json"
	"errors"
	"strconv"
	"unicode/utf16"
)

// checkData refuses what some client might not be able to read, or might read otherwise than
// another: clients get it byte for byte.
func checkData(data []byte, limit int) error {
	switch {
	case len(data) == 0:
		return badRequest("data is missing")
	case len(data) > limit:
		return tooLarge("data is longer than signal.max_frame, %d bytes", limit)
	case loneSurrogate(data):
		return badRequest("data has half of a surrogate pair, which is no character")
	}
	if err := walk(data); err != nil {
		return badRequest("data %v", err)
	}
	return nil
}

// walk looks at the structure of valid JSON: how deeply it is nested, and whether an object has one
// name twice.
func walk(data []byte) error {
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.UseNumber()
	var open []map[string]bool // the names of each object around, nil for an array
	name := false              // the next text is one
	for {
		token, err := dec.Token()
		if err != nil {
			return nil // the end: it is valid
		}
		switch token := token.(type) {
		case json.Delim:
			switch token {
			case '{':
				open = append(open, map[string]bool{})
			case '[':
				open = append(open, nil)
			default:
				open = open[:len(open)-1]
			}
			if len(open) > maxDepth {
				return errTooDeep
			}
		case string:
			if name {
				names := open[len(open)-1]
				if names[token] {
					return errTwice
				}
				names[token] = true
				name = false
				continue
			}
		}
		name = len(open) > 0 && open[len(open)-1] != nil
	}
}

var (
	errTooDeep = errors.New("is nested deeper than " + strconv.Itoa(maxDepth))
	errTwice   = errors.New("has an object with the same name twice")
)

// loneSurrogate reports whether an escape in valid JSON is half of a surrogate pair (RFC 8259
// §8.2).
func loneSurrogate(data []byte) bool {
	high := false // the last thing was the first half
	for i := 0; i < len(data); i++ {
		if data[i] != '\\' {
			if high {
				return true
			}
			continue
		}
		i++
		if data[i] != 'u' {
			if high {
				return true
			}
			continue
		}
		n, _ := strconv.ParseUint(string(data[i+1:i+5]), 16, 16) // it is valid
		i += 4
		switch r := rune(n); {
		case high != (utf16.IsSurrogate(r) && r >= 0xdc00):
			return true
		case high:
			high = false
		default:
			high = utf16.IsSurrogate(r)
		}
	}
	return high
}
