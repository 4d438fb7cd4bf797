package admission

import "strings"

// Matches reports whether a room's name, or every name that another pattern matches, fits a
// pattern, in which * stands for any run of characters, also an empty one.
func Matches(pattern, name string) bool {
	first, rest, star := strings.Cut(pattern, "*")
	if !star {
		return pattern == name
	}
	name, ok := strings.CutPrefix(name, first)
	if !ok {
		return false
	}
	for {
		part, next, more := strings.Cut(rest, "*")
		if !more {
			return strings.HasSuffix(name, part)
		}
		// Taking the first match is enough: it leaves the most room for the rest.
		_, name, ok = strings.Cut(name, part)
		if !ok {
			return false
		}
		rest = next
	}
}
