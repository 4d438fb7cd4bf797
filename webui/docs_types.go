package webui

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

var (
	docTop    = regexp.MustCompile(`^(export )?(interface|class|type|function|const) (\w+)`)
	docMember = regexp.MustCompile(`^(?:readonly )?'?([\w-]+)`)
	docCase   = regexp.MustCompile(`^\| '([\w-]+)'`)
	docBase   = regexp.MustCompile(`[A-Z]\w*`)
)

// typesReader reads the subset of TypeScript in which the SDK's types are written: what is
// declared begins at the start of a line, its members two spaces in, each under its comment. It
// fails on anything else.
type typesReader struct {
	lines []string
	n     int // of the next line
}

func readTypes(source string) ([]*docEntry, error) {
	r := &typesReader{lines: strings.Split(source, "\n")}
	var entries []*docEntry
	byName := make(map[string]*docEntry)
	for r.n < len(r.lines) {
		text := r.comment("")
		line := r.lines[r.n]
		if line == "" || strings.HasPrefix(line, "//") || strings.HasPrefix(line, "import ") {
			r.n++
			continue
		}
		found := docTop.FindStringSubmatch(line)
		if found == nil {
			return nil, fmt.Errorf("line %d: this is none of what can be documented: %s", r.n+1, line)
		}
		entry := &docEntry{Name: found[3], text: text, exported: found[1] != ""}
		if err := r.declaration(entry, found[2]); err != nil {
			return nil, err
		}
		if other := byName[entry.Name]; other != nil { // a class and what it extends
			other.text = cmp.Or(other.text, entry.text)
			other.extends = append(other.extends, entry.extends...)
			other.Signature += "\n" + entry.Signature
			other.Members = append(other.Members, entry.Members...)
			continue
		}
		byName[entry.Name] = entry
		entries = append(entries, entry)
	}
	return inherit(entries, byName), nil
}

// inherit gives to each what it has from names that are not exported, and leaves those out.
func inherit(entries []*docEntry, byName map[string]*docEntry) []*docEntry {
	var exported []*docEntry
	for _, entry := range entries {
		if !entry.exported {
			continue
		}
		for _, name := range entry.extends {
			if base := byName[name]; base != nil && !base.exported {
				for _, member := range base.Members {
					copied := *member
					entry.Members = append(entry.Members, &copied)
				}
			}
		}
		exported = append(exported, entry)
	}
	return exported
}

// declaration reads from the line of a declaration to its end.
func (r *typesReader) declaration(entry *docEntry, kind string) error {
	line := r.lines[r.n]
	entry.Signature = strings.TrimPrefix(line, "export ")
	if _, bases, found := strings.Cut(strings.TrimSuffix(line, "{"), "> extends "); found {
		entry.extends = docBase.FindAllString(bases, -1)
	} else if _, bases, found := strings.Cut(line, entry.Name+" extends "); found {
		entry.extends = docBase.FindAllString(bases, -1)
	}
	switch {
	case kind == "interface" || kind == "class":
		r.n++
		entry.Signature = strings.TrimRight(strings.TrimSuffix(strings.TrimSuffix(entry.Signature, "{}"), "{"), " ")
		if strings.HasSuffix(line, "}") {
			return nil
		}
		return r.members(entry, docMember)
	case kind == "type" && strings.HasSuffix(line, "=") && strings.HasPrefix(strings.TrimSpace(r.lines[r.n+1]), "/**"):
		r.n++
		entry.Signature = strings.TrimSuffix(entry.Signature, " =")
		return r.members(entry, docCase)
	}
	entry.Signature = strings.TrimPrefix(r.statement(), "export ")
	return nil
}

func (r *typesReader) members(entry *docEntry, name *regexp.Regexp) error {
	for r.n < len(r.lines) {
		text := r.comment("  ")
		line := strings.TrimSpace(r.lines[r.n])
		switch {
		case r.lines[r.n] == "}":
			r.n++
			return nil
		case line == "":
			if r.n++; name == docCase {
				return nil
			}
			continue
		case strings.HasPrefix(line, "private "):
			r.n++
			continue
		}
		found := name.FindStringSubmatch(line)
		if found == nil {
			return fmt.Errorf("line %d: this is no member: %s", r.n+1, line)
		}
		member := &docEntry{Name: found[1], text: text}
		if name == docCase {
			member.Signature = strings.TrimSuffix(strings.TrimPrefix(line, "| "), ";")
			r.n++
		} else {
			member.Signature = r.statement()
		}
		entry.Members = append(entry.Members, member)
	}
	return fmt.Errorf("%s has no end", entry.Name)
}

// statement reads to the semicolon that ends it, without the indentation of its first line.
func (r *typesReader) statement() string {
	first := r.lines[r.n]
	indent := first[:len(first)-len(strings.TrimLeft(first, " "))]
	var all []string
	depth := 0
	for r.n < len(r.lines) {
		line := strings.TrimPrefix(r.lines[r.n], indent)
		r.n++
		all = append(all, line)
		for _, sign := range line {
			switch sign {
			case '{', '(':
				depth++
			case '}', ')':
				depth--
			}
		}
		if depth == 0 && strings.HasSuffix(line, ";") {
			break
		}
	}
	return strings.TrimSuffix(strings.Join(all, "\n"), ";")
}

// docIndent begins a line of code in a comment, and after that in its text.
const docIndent = "    "

// comment reads the comments that come next. Its lines are joined to paragraphs and to points of a
// list, one a line; lines of code stay as they are.
func (r *typesReader) comment(indent string) string {
	var text []string
	for r.n < len(r.lines) && strings.HasPrefix(r.lines[r.n], indent+"/**") {
		for {
			line := r.lines[r.n]
			r.n++
			end := strings.HasSuffix(line, "*/")
			line = strings.TrimSuffix(strings.TrimPrefix(strings.TrimSpace(line), "/**"), "*/")
			line = strings.TrimRight(strings.TrimPrefix(strings.TrimSpace(line), "*"), " ")
			code := strings.HasPrefix(line, " "+docIndent)
			if line = strings.TrimPrefix(line, " "); !code {
				line = strings.TrimSpace(line)
			}
			last := len(text) - 1
			switch {
			case last >= 0 && line != "" && text[last] != "" && !code && !strings.HasPrefix(line, "- "):
				text[last] += " " + line
			default:
				text = append(text, line)
			}
			if end || r.n == len(r.lines) {
				break
			}
		}
	}
	return strings.Join(slices.DeleteFunc(text, func(line string) bool { return line == "" }), "\n")
}
