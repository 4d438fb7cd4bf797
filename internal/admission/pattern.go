package admission

// Matches reports whether a room's name, or every name that another pattern matches, fits a
// pattern, in which * stands for any run of characters, also an empty one.
func Matches(pattern, name string) bool { return matches(pattern, name) }
