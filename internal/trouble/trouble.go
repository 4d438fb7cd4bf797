// Package trouble is the one table of what can be wrong with a box: a code for each fault, and in
// English and Chinese what it is and what to do. doctor, the self-test and its notices name faults
// by these codes; the table also says by which keys the page /check and by which words the log name
// the same fault. TROUBLES.md is the table as a document, with an anchor for each code.
package trouble

import "strings"

// Code names a fault. Codes are fixed: programs read them.
type Code string

// Words are a fault's in one language, each a sentence.
type Words struct {
	What string // what is wrong
	Fix  string // what to do
}

// Trouble is a row of the table.
type Trouble struct {
	Code    Code
	EN, ZH  Words
	Page    []string // keys of the language files of /check that say it, without ".fix"
	Log     []string // what the log says of it, whole or the beginning
	Clients []int    // STUN error codes that tell clients of it
}

// Of returns the row of a code. A code that has none is a mistake in the program.
func Of(code Code) (t Trouble, known bool) {
	for _, t := range table() {
		if t.Code == code {
			return t, true
		}
	}
	return Trouble{Code: code}, false
}

// Fix is what to do about a fault, in English.
func Fix(code Code) string {
	t, _ := Of(code)
	return t.EN.Fix
}

// OfAnswer returns what a STUN error code tells of.
func OfAnswer(code int) Trouble {
	other := Trouble{}
	for _, t := range table() {
		for _, c := range t.Clients {
			if c == code {
				return t
			}
		}
		if t.Code == Refused {
			other = t
		}
	}
	return other
}

// All returns the table.
func All() []Trouble { return table() }

// Document is the table as Markdown, with an anchor for each code.
func Document() string {
	var b strings.Builder
	b.WriteString("# What can be wrong with a box\n\n" +
		"Generated from [table.go](table.go). `signalbox doctor`, the self-test and its notices name these codes; " +
		"the page `/check` and the log say the same.\n")
	for _, t := range table() {
		b.WriteString("\n## " + string(t.Code) + "\n\n")
		b.WriteString(t.EN.What + "\n" + t.EN.Fix + "\n\n")
		b.WriteString(t.ZH.What + t.ZH.Fix + "\n")
		if len(t.Log) > 0 {
			b.WriteString("\nIn the log: `" + strings.Join(t.Log, "`, `") + "`.\n")
		}
	}
	return b.String()
}
