package webui

import (
	"cmp"
	"encoding/json"
	"fmt"
	"html/template"
	"io/fs"
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
