package webui

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"html"
	"html/template"
	"io/fs"
	"regexp"
	"slices"
	"strings"
)

// docs is what /docs/sdk shows: it comes from the SDK's types, whose comments are its text, and
// from the files of docs/:
//
//	zh.json       the comments in Chinese, by the name of the entry
//	errors.json   what each error code means and what to do next
//	compare.json  what other libraries do, and what this one does
//
// Both languages are in the document; its style shows the one that the page is in.
type docs struct {
	Modules  []docModule
	Errors   []docRow
	Compare  []docComparison
	Examples []docExample
}

// docModule is one module of the SDK.
type docModule struct {
	ID, File string
	Intro    string // an example of its use
	Entries  []*docEntry
}

// docEntry is an exported name, or a member of one.
type docEntry struct {
	ID        string // of its anchor: stable, since others link to it
	Name      string
	Signature string
	text      string // the comment
	English   template.HTML
	Chinese   template.HTML
	Members   []*docEntry
	extends   []string
	exported  bool
}

// docRow is a text by a key, in both languages.
type docRow struct {
	Key     string
	English template.HTML
	Chinese template.HTML
}

// docComparison is a row of the table that compares. Proof names a test of this repository; where
// there is none, Ours says why.
type docComparison struct {
	What, Theirs, Ours       template.HTML
	WhatZh, TheirsZh, OursZh template.HTML
	Proof                    string
}

// docExample is a script that is shown, and the same file is what runs.
type docExample struct {
	Name    string
	Source  string
	English template.HTML
	Chinese template.HTML
}

// docModules are the files of types, in the order of the page.
func docModules() []string {
	return []string{"signalbox", "signalbox-data", "signalbox-media", "signalbox-stats"}
}

// docExamples are the examples in the order of the page, each static/js/sdk/NAME.js.
func docExamples() []string {
	return []string{"connect", "text", "ask", "presence", "file", "stats", "error"}
}

var (
	docTop    = regexp.MustCompile(`^(export )?(interface|class|type|function|const) (\w+)`)
	docMember = regexp.MustCompile(`^(?:readonly )?'?([\w-]+)`)
	docCase   = regexp.MustCompile(`^\| '([\w-]+)'`)
	docBase   = regexp.MustCompile(`[A-Z]\w*`)
	docCode   = regexp.MustCompile("`([^`]+)`")
)

// loadDocs reads all that the page shows.
func loadDocs(files fs.FS) (*docs, error) {
	chinese, err := readTexts[[2]string](files, "docs/zh.json")
	if err != nil {
		return nil, err
	}
	d := &docs{}
	if d.Modules, err = loadTypes(files); err != nil {
		return nil, err
	}
	for _, entry := range d.all() {
		entry.English = prose(entry.text)
		entry.Chinese = prose(cmp.Or(chinese[entry.ID][1], entry.text))
	}
	errors, err := readTexts[[2]string](files, "docs/errors.json")
	if err != nil {
		return nil, err
	}
	for code, text := range errors {
		d.Errors = append(d.Errors, docRow{Key: code, English: prose(text[0]), Chinese: prose(text[1])})
	}
	slices.SortFunc(d.Errors, func(a, b docRow) int { return strings.Compare(a.Key, b.Key) })
	if d.Compare, err = loadComparison(files); err != nil {
		return nil, err
	}
	for _, name := range docExamples() {
		source, err := fs.ReadFile(files, "static/js/sdk/"+name+".js")
		if err != nil {
			return nil, fmt.Errorf("example: %w", err)
		}
		text := chinese["example-"+name]
		d.Examples = append(d.Examples, docExample{
			Name: name, Source: string(source), English: prose(text[0]), Chinese: prose(text[1]),
		})
	}
	return d, nil
}

// all returns every entry and every member.
func (d *docs) all() (all []*docEntry) {
	for _, module := range d.Modules {
		for _, entry := range module.Entries {
			all = append(append(all, entry), entry.Members...)
		}
	}
	return all
}

func readTexts[Text any](files fs.FS, name string) (texts map[string]Text, err error) {
	body, err := fs.ReadFile(files, name)
	if err != nil {
		return nil, err
	}
	if err := json.Unmarshal(body, &texts); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return texts, nil
}

func loadComparison(files fs.FS) ([]docComparison, error) {
	body, err := fs.ReadFile(files, "docs/compare.json")
	if err != nil {
		return nil, err
	}
	var rows []struct {
		What, They, We [2]string
		Proof          string
	}
	if err := json.Unmarshal(body, &rows); err != nil {
		return nil, fmt.Errorf("docs/compare.json: %w", err)
	}
	var all []docComparison
	for _, row := range rows {
		all = append(all, docComparison{
			What: prose(row.What[0]), Theirs: prose(row.They[0]), Ours: prose(row.We[0]),
			WhatZh: prose(row.What[1]), TheirsZh: prose(row.They[1]), OursZh: prose(row.We[1]),
			Proof: row.Proof,
		})
	}
	return all, nil
}

func loadTypes(files fs.FS) ([]docModule, error) {
	taken := make(map[string]bool)
	var modules []docModule
	for _, name := range docModules() {
		source, err := fs.ReadFile(files, "static/"+name+".d.ts")
		if err != nil {
			return nil, err
		}
		entries, err := readTypes(string(source))
		if err != nil {
			return nil, fmt.Errorf("%s.d.ts: %w", name, err)
		}
		module := docModule{ID: name, File: name + ".js", Intro: intro(string(source)), Entries: entries}
		short := strings.TrimPrefix(name, "signalbox-")
		for _, entry := range entries {
			// Two modules may have a name in common; the first one has the short anchor.
			entry.ID = strings.ToLower(entry.Name)
			if taken[entry.ID] {
				entry.ID = short + "-" + entry.ID
			}
			taken[entry.ID] = true
			for _, member := range entry.Members {
				member.ID = entry.ID + "-" + strings.ToLower(member.Name)
			}
		}
		modules = append(modules, module)
	}
	return modules, nil
}

// intro is the example at the head of a file of types.
func intro(source string) string {
	head, _, _ := strings.Cut(source, "\n\n")
	var code []string
	for line := range strings.Lines(head) {
		if example, found := strings.CutPrefix(line, "//   "); found {
			code = append(code, example)
		}
	}
	return strings.Join(code, "")
}

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

// seen is what a translation keeps of the text that it was made of.
func seen(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:4])
}

// proseBlock is what lines of a comment that follow each other are in together.
type proseBlock struct{ begin, end string }

// prose turns a comment into paragraphs, lists and code.
func prose(text string) template.HTML {
	var (
		out        strings.Builder
		block      proseBlock
		paragraphs = proseBlock{}
		list       = proseBlock{"<ul>", "</ul>"}
		code       = proseBlock{`<pre class="code" tabindex="0"><code>`, "</code></pre>"}
	)
	in := func(next proseBlock) {
		if next != block {
			out.WriteString(block.end + next.begin)
			block = next
		}
	}
	for line := range strings.Lines(text) {
		if source, isCode := strings.CutPrefix(line, docIndent); isCode {
			in(code)
			out.WriteString(html.EscapeString(source))
			continue
		}
		line = html.EscapeString(strings.TrimSpace(line))
		line = docCode.ReplaceAllString(line, "<code>$1</code>")
		if point, isPoint := strings.CutPrefix(line, "- "); isPoint {
			in(list)
			out.WriteString("<li>" + point + "</li>")
		} else {
			in(paragraphs)
			out.WriteString("<p>" + line + "</p>")
		}
	}
	in(paragraphs)
	return template.HTML(out.String()) // what isn't ours in it is escaped
}
