package webui

import (
	"bytes"
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// aroundMarks finds marks with the spaces around them, and strings, in which they stay. A plus or a
// minus isn't among the marks: beside another one, its space counts.
var aroundMarks = regexp.MustCompile(`'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*"| *[=!<>?:{}(),;&|]+ *`)

// pack makes a joined script smaller for the wire, where the browser needs no help to read it:
// without comments, but for the one at its head, empty lines, indentation, and spaces and line ends
// that part nothing; and with short names for its own classes and constants.
func pack(script string) ([]byte, error) {
	lines, err := readScript(script)
	if err != nil {
		return nil, fmt.Errorf("pack a script: %w", err)
	}
	short := shortNames(lines)
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
		}
		text = rename(text, short)
		// The text of a template stays as it is, and so does a slash, which may begin a pattern.
		if !line.inside && !strings.ContainsAny(line.code, "`/") {
			text = aroundMarks.ReplaceAllStringFunc(text, func(found string) string {
				if found[0] == '\'' || found[0] == '"' {
					return found
				}
				return strings.Trim(found, " ")
			})
		}
		out.WriteString(text)
		endsInTemplate := i+1 < len(lines) && lines[i+1].inside
		if endsInTemplate || !strings.ContainsAny(text[max(0, len(text)-1):], ";,{([") {
			out.WriteByte('\n')
		}
	}
	return out.Bytes(), nil
}

// shortNames has a short name for each class and constant at the top of a joined script. Those that
// it exports stay, and those that are also names of properties or stand in strings. Functions and
// variables stay, too: { name } may make properties of them.
func shortNames(lines []scriptLine) map[string]string {
	const letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
	var exports string
	count := make(map[string]int) // in strings, and as names of properties
	var names []string
	for _, line := range lines {
		if strings.HasPrefix(line.code, "export {") {
			exports = line.code
		}
		if declared := declaration.FindStringSubmatch(line.code); declared != nil && declared[2][0] <= 'Z' {
			names = append(names, declared[2])
		}
		for _, name := range identifier.FindAllString(line.text, -1) {
			count[name]++
		}
		for _, name := range namesIn(line.code) {
			count[name]--
		}
	}
	short := make(map[string]string)
	for _, name := range names {
		if count[name] > 0 || strings.Contains(exports, name) {
			continue
		}
		n := len(short)
		short[name] = "$" + letters[n%len(letters):][:1]
		if more := n / len(letters); more > 0 {
			short[name] += strconv.Itoa(more)
		}
	}
	return short
}

// rename puts short names in the place of others.
func rename(text string, short map[string]string) string {
	var out strings.Builder
	end := 0
	for _, at := range identifier.FindAllStringIndex(text, -1) {
		if name := short[text[at[0]:at[1]]]; name != "" {
			out.WriteString(text[end:at[0]])
			out.WriteString(name)
			end = at[1]
		}
	}
	out.WriteString(text[end:])
	return out.String()
}
