package native

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"strings"
)

const (
	// maxPost bounds the body of a POST, and maxPostFrames what it may hold. One frame of the
	// largest size always fits.
	maxPost       = 256 << 10
	maxPostFrames = 64
)

// post is the body of a POST.
type post struct {
	key      string
	received uint64
	frames   []json.RawMessage
}

var (
	errTooManyFrames = errors.New("more than 64 frames")
	errNoPost        = errors.New(`want {"key":"...","received":0,"frames":[{...}]}`)
	errKeyFirst      = errors.New(`"key" must come first in a body of more than 4 KiB`)
	errTooLong       = errors.New("the body is longer than 256 KiB, or came too slowly")
)

// parse reads no more frames than a POST may have: what comes behind costs nothing.
func parse(body []byte) (p post, err error) {
	d := json.NewDecoder(bytes.NewReader(body))
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		return p, errNoPost
	}
	for d.More() {
		name, err := d.Token()
		if err != nil {
			return p, errNoPost
		}
		switch name {
		case "key":
			err = d.Decode(&p.key)
		case "received":
			err = d.Decode(&p.received)
		case "frames":
			p.frames, err = parseFrames(d)
		default: // of a client that is newer than the hub
			err = d.Decode(new(json.RawMessage))
		}
		switch {
		case errors.Is(err, errTooManyFrames):
			return p, err
		case err != nil:
			return p, errNoPost
		}
	}
	if _, err := d.Token(); err != nil {
		return p, errNoPost
	}
	if _, err := d.Token(); err != io.EOF {
		return p, errNoPost
	}
	return p, nil
}

func parseFrames(d *json.Decoder) (frames []json.RawMessage, err error) {
	switch t, err := d.Token(); {
	case err != nil:
		return nil, err
	case t == nil:
		return nil, nil
	case t != json.Delim('['):
		return nil, errNoPost
	}
	for d.More() {
		if len(frames) == maxPostFrames {
			return nil, errTooManyFrames
		}
		var frame json.RawMessage
		if err := d.Decode(&frame); err != nil {
			return nil, err
		}
		frames = append(frames, frame)
	}
	_, err = d.Token()
	return frames, err
}

const (
	// headSize is as much of a body as is read of somebody who has not shown a key; smallPost is
	// for one that does not begin with it.
	headSize  = 512
	smallPost = 4 << 10
)

// head reads the beginning of a body up to its key, and returns what it has read. Without an error,
// an empty key means that the body does not begin with one.
func head(body io.Reader) (read []byte, key string, err error) {
	read = make([]byte, 0, headSize)
	for {
		key, more := firstKey(read)
		if !more || len(read) == headSize {
			return read, key, nil
		}
		n, err := body.Read(read[len(read):headSize])
		read = read[:len(read)+n]
		switch {
		case err == io.EOF && n == 0:
			return read, "", nil
		case err != nil && err != io.EOF:
			return read, "", err
		}
	}
}

// firstKey is the value of the member "key" if the object begins with it; more tells that it may
// yet, with more text.
func firstKey(text []byte) (key string, more bool) {
	for _, want := range []string{"{", `"key"`, ":", `"`} {
		text = bytes.TrimLeft(text, " \t\r\n")
		if len(text) < len(want) {
			return "", strings.HasPrefix(want, string(text))
		}
		if !bytes.HasPrefix(text, []byte(want)) {
			return "", false
		}
		text = text[len(want):]
	}
	end := bytes.IndexAny(text, `"\`)
	switch {
	case end < 0:
		return "", true
	case text[end] == '\\': // none of ours has it
		return "", false
	}
	return string(text[:end]), false
}

// smallBody reads a body that does not begin with its key, and finds that.
func smallBody(begun []byte, body io.Reader) (all []byte, key string, err error) {
	rest, err := io.ReadAll(io.LimitReader(body, smallPost+1-int64(len(begun))))
	if err != nil {
		return nil, "", err
	}
	all = append(begun, rest...)
	if len(all) > smallPost {
		return nil, "", errKeyFirst
	}
	p, err := parse(all)
	return all, p.key, err
}

// readBody reads the rest of a body of so many bytes, for which it takes as much memory once may
// lets it. Of one that does not say how long it is (-1), that grows with what has come. A body that
// is too long makes reading fail.
func readBody(begun []byte, body io.Reader, length int, may func(bytes int) error) ([]byte, error) {
	size, taken := max(length, len(begun)), 0
	if length < 0 {
		size = smallPost
	}
	for ; ; size = min(2*size, maxPost+1) {
		if err := may(size - taken); err != nil {
			return nil, err
		}
		taken = size
		all := make([]byte, size)
		n := copy(all, begun)
		more, err := io.ReadFull(body, all[n:])
		begun = all[:n+more]
		switch {
		case err == io.EOF, err == io.ErrUnexpectedEOF, err == nil && length >= 0:
			return begun, nil
		case err != nil:
			return nil, err
		}
	}
}
