package webui

import (
	"bytes"
	"cmp"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// anyName finds names, and private ones with the # before them.
var anyName = regexp.MustCompile(`#?[A-Za-z_$][\w$]*`)

// aroundMarks finds marks with the spaces around them, and operators between two spaces; and what
// spaces stay in: strings, templates, divisions and patterns, which begin with no space. Beside
// another plus or minus, the space of one counts.
var aroundMarks = regexp.MustCompile("'(?:[^'\\\\]|\\\\.)*'|\"(?:[^\"\\\\]|\\\\.)*\"|`[^`]*`" +
	`| / |/(?:\[(?:[^]\\]|\\.)*]|[^/\\[]|\\.)+/[a-z]*| [-+*%] [\w$(#]| *[][=!<>?:{}(),;&|]+ *`)

// anyInternal finds names that begin with an underscore, by which the classes of a script know each
// other's members; nobody else is to use them.
var anyInternal = regexp.MustCompile(`\b_[A-Za-z]\w*`)

// numberIs finds the declaration of a number at the top of a script.
var numberIs = regexp.MustCompile(`^const ([A-Z]\w*) = ([\d_]+);\s*$`)

// pack makes a joined script smaller for the wire, where the browser needs no help to read it:
// without comments, but for the one at its head, empty lines, indentation, and spaces, line ends
// and semicolons that part nothing; and with short names for what is private to its classes or
// internal, and for its own classes and constants; a constant that is a number stands where it is
// used.
func pack(script string) ([]byte, error) {
	lines, err := readScript(script)
	if err != nil {
		return nil, fmt.Errorf("pack a script: %w", err)
	}
	short := shortNames(lines)
	private := privateNames(lines)
	var out bytes.Buffer
	head, _, _ := strings.Cut(script, "\n\n")
	fmt.Fprintf(&out, "%s\n\n", head)
	for i, line := range lines {
		text := line.text
		if !line.inside {
			text = strings.TrimLeft(text, " \t")
			if text == "" {
				continue
			}
			if number := numberIs.FindStringSubmatch(line.code); number != nil && short[number[1]] != "" {
				continue
			}
		}
		text = rename(rename(text, private[i]), short)
		endsInTemplate := i+1 < len(lines) && lines[i+1].inside
		// The text of a template stays as it is. So does what may have another one within.
		if !line.inside && !endsInTemplate && strings.Count(line.text, "`") <= 2 {
			text = aroundMarks.ReplaceAllStringFunc(text, func(found string) string {
				if strings.ContainsAny(found[:1], "'\"`/") || found == " / " {
					return found
				}
				return strings.ReplaceAll(found, " ", "")
			})
		}
		if !line.inside && text[0] == '}' {
			// Here, no statement is empty: the last one of a block needs no end of its own.
			out.Truncate(len(bytes.TrimRight(out.Bytes(), ";\n")))
		}
		out.WriteString(text)
		// Nor is one without its end, so that a brace at the end of a line ends a block.
		if endsInTemplate || !strings.ContainsAny(text[max(0, len(text)-1):], ";,{}([") {
			out.WriteByte('\n')
		}
	}
	return out.Bytes(), nil
}

// privateNames has, for each line, short names for those that are private to the class that the
// line is part of: the shortest for those that occur most. Each class has its own, so that all have
// the same, which compresses well.
func privateNames(lines []scriptLine) []map[string]string {
	of := make([]map[string]string, len(lines))
	var short map[string]string
	var often map[string]int
	end := func() {
		for n, name := range byCount(often) {
			short[name] = shortName("#", n)
		}
	}
	for i, line := range lines {
		if declaration.MatchString(line.code) || i == 0 {
			end()
			short, often = make(map[string]string), make(map[string]int)
		}
		of[i] = short
		for _, name := range anyName.FindAllString(line.text, -1) {
			if name[0] == '#' {
				often[name]++
			}
		}
	}
	end()
	return of
}

// shortNames has a short name for each internal one: the shortest for those that occur most; and
// for each class and constant at the top of a joined script. Those that it exports stay, and those
// that are also names of properties or stand in strings. Functions and variables stay, too:
// { name } may make properties of them.
func shortNames(lines []scriptLine) map[string]string {
	var exports string
	internal := make(map[string]int) // how often each occurs
	count := make(map[string]int)    // in strings, and as names of properties
	numbers := make(map[string]string)
	var names []string
	for _, line := range lines {
		if strings.HasPrefix(line.code, "export {") {
			exports = line.code
		}
		if number := numberIs.FindStringSubmatch(line.code); number != nil {
			numbers[number[1]] = strings.ReplaceAll(number[2], "_", "")
		}
		if declared := declaration.FindStringSubmatch(line.code); declared != nil && declared[2][0] <= 'Z' {
			names = append(names, declared[2])
		}
		for _, name := range anyName.FindAllString(line.text, -1) {
			count[name]++
		}
		for _, name := range namesIn(line.code) {
			count[name]--
		}
		for _, name := range anyInternal.FindAllString(line.code, -1) {
			internal[name]++
		}
	}
	short := make(map[string]string)
	for n, name := range byCount(internal) {
		short[name] = shortName("_", n)
	}
	n := 0
	for _, name := range names {
		if count[name] == 0 && !strings.Contains(exports, name) {
			if short[name] = numbers[name]; short[name] == "" {
				short[name] = shortName("$", n)
				n++
			}
		}
	}
	return short
}

// byCount has the names that occur, the most frequent first.
func byCount(often map[string]int) []string {
	return slices.SortedFunc(maps.Keys(often), func(a, b string) int {
		return cmp.Or(often[b]-often[a], strings.Compare(a, b))
	})
}

// shortName is the nth: of one letter at first, then with a number behind it.
func shortName(sign string, n int) string {
	const letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
	short := sign + letters[n%len(letters):][:1]
	if more := n / len(letters); more > 0 {
		short += strconv.Itoa(more)
	}
	return short
}

// rename puts short names in the place of others.
func rename(text string, short map[string]string) string {
	return anyName.ReplaceAllStringFunc(text, func(name string) string { return cmp.Or(short[name], name) })
}
