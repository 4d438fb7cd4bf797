package webui

import (
	"bytes"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"regexp"
	"slices"
	"strings"
)

// join makes one ES module of each entry and of all that it imports, directly or not. In the
// result, each module is below those that it imports, in the order in which browsers would run
// them, without its imports and exports. The exports of the entry come at the end. The comment at
// its head stays. Modules may stand in folders, and what several entries import is in each.
//
// A joined module must mean the same as its parts. So join refuses everything that could make a
// difference: it reads a plain subset of JavaScript, and fails, with the file and the line, on
//
//   - an import or export that isn't {names} of another file, such as defaults and renamings;
//   - a circle of imports, and a file that nobody imports;
//   - one name at the top of two modules;
//   - the name of another module without an import, which would work only when joined (or, if a
//     global variable was meant, only when not);
//   - a # in a string, which pack could not tell from that of a private name;
//   - anything in a line's first column but declarations, imports, exports and closing brackets.
func join(files fs.FS, entries ...string) (map[string][]byte, error) {
	texts, err := readModules(files)
	if err != nil {
		return nil, err
	}
	return joinModules(texts, entries...)
}

// readModules reads the scripts of a tree, by their names within it.
func readModules(files fs.FS) (map[string]string, error) {
	texts := make(map[string]string)
	err := fs.WalkDir(files, ".", func(name string, _ fs.DirEntry, err error) error {
		if err != nil || path.Ext(name) != ".js" {
			return err
		}
		text, err := fs.ReadFile(files, name)
		texts[name] = string(text)
		return err
	})
	return texts, err
}

// joinModules is join for modules that are read already.
func joinModules(texts map[string]string, entries ...string) (map[string][]byte, error) {
	modules := make(map[string]*module)
	for _, name := range slices.Sorted(maps.Keys(texts)) {
		parsed, err := parseModule(name, texts[name], slices.Contains(entries, name))
		if err != nil {
			return nil, err
		}
		modules[name] = parsed
	}
	joined := make(map[string][]byte)
	imported := make(map[*module]bool)
	for _, entry := range entries {
		j := joiner{modules: modules}
		if err := j.visit(entry, nil); err != nil {
			return nil, err
		}
		if err := j.check(); err != nil {
			return nil, err
		}
		for _, m := range j.ordered {
			imported[m] = true
		}
		joined[entry] = j.write(entry)
	}
	for _, name := range slices.Sorted(maps.Keys(modules)) {
		if !imported[modules[name]] {
			return nil, fmt.Errorf("nobody imports %s", name)
		}
	}
	return joined, nil
}

// module is one file of the SDK.
type module struct {
	name     string
	head     string       // the comment that it begins with
	imports  []importLine // and what the entry exports from others
	exported []string     // names that others may import
	declared []string     // names of the module's top level, the exported ones among them
	used     []word       // every name in its code
	body     string       // without imports and the word export
}

// importLine is one line that takes names from another module.
type importLine struct {
	number int
	names  []string
	from   string // its name within the SDK
}

// word is a name where it is used.
type word struct {
	line int
	name string
}

var (
	importOrExport = regexp.MustCompile(`^(import|export) \{ ([\w$]+(?:, [\w$]+)*) \} from '(\.\.?/[\w./-]+\.js)';$`)
	declaration    = regexp.MustCompile(`^(export )?(?:const|let|class|function|async function) ` +
		`([\w$]+)(?: =|;|\(| \{| extends )`)
	identifier = regexp.MustCompile(`[A-Za-z_$][\w$]*`)
)

// parseModule reads a file. The entry consists of exports from others, and others have none.
func parseModule(name, text string, isEntry bool) (*module, error) {
	lines, err := readScript(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	m := &module{name: name}
	m.head, _, _ = strings.Cut(text, "\n\n")
	for i, line := range lines {
		fail := func(what string) error { return fmt.Errorf("%s:%d: %s: %s", name, i+1, what, line.text) }
		taken := importOrExport.FindStringSubmatch(line.text)
		declared := declaration.FindStringSubmatch(line.code)
		switch {
		case strings.Count(line.text, "#") != strings.Count(line.code, "#"):
			return nil, fail("a string can't have a #")
		case taken != nil && taken[1] == keyword(isEntry) && len(m.declared) == 0:
			m.imports = append(m.imports, importLine{
				number: i + 1, names: strings.Split(taken[2], ", "), from: path.Join(path.Dir(name), taken[3]),
			})
			continue
		case taken != nil:
			return nil, fail("modules import from others, and the entry exports from them, before anything else")
		case declared != nil && !isEntry:
			m.declared = append(m.declared, declared[2])
		case line.code != "" && !strings.ContainsAny(line.code[:1], " \t})]"):
			return nil, fail("this can't be joined")
		}
		if declared != nil && declared[1] != "" {
			m.exported = append(m.exported, declared[2])
			line.text, line.code = line.text[len(declared[1]):], line.code[len(declared[1]):]
		}
		for _, used := range namesIn(strings.ReplaceAll(line.code, "import.meta.url", "")) {
			if used == "import" || used == "export" {
				return nil, fail("this can't be joined")
			}
			m.used = append(m.used, word{line: i + 1, name: used})
		}
		if !line.comment {
			m.body += line.text + "\n"
		}
	}
	return m, nil
}

// keyword is what a module takes names from others by.
func keyword(isEntry bool) string {
	if isEntry {
		return "export"
	}
	return "import"
}

// namesIn finds the names in a line of code, except for those of properties.
func namesIn(code string) []string {
	var names []string
	for _, at := range identifier.FindAllStringIndex(code, -1) {
		before, after := code[:at[0]], code[at[1]:]
		member := strings.HasSuffix(before, "#") || strings.HasSuffix(before, ".") && !strings.HasSuffix(before, "...")
		key := strings.HasPrefix(after, ":") && !strings.HasSuffix(before, "case ")
		if !member && !key {
			names = append(names, code[at[0]:at[1]])
		}
	}
	return names
}

// joiner puts the modules of one entry in order.
type joiner struct {
	modules map[string]*module
	ordered []*module
}

// visit appends a module after those that it imports. chain is the imports that lead to it.
func (j *joiner) visit(name string, chain []string) error {
	m := j.modules[name]
	if m == nil {
		return fmt.Errorf("there is no module %s", name)
	}
	chain = append(chain, name)
	if slices.Contains(chain[:len(chain)-1], name) {
		return fmt.Errorf("modules import each other in a circle: %s", strings.Join(chain, " -> "))
	}
	if slices.Contains(j.ordered, m) {
		return nil
	}
	for _, taken := range m.imports {
		if err := j.visit(taken.from, chain); err != nil {
			return fmt.Errorf("%s:%d: %w", name, taken.number, err)
		}
		for _, imported := range taken.names {
			if !slices.Contains(j.modules[taken.from].exported, imported) {
				return fmt.Errorf("%s:%d: %s doesn't export %s", name, taken.number, taken.from, imported)
			}
		}
	}
	j.ordered = append(j.ordered, m)
	return nil
}

// check looks for what would mean something else once joined.
func (j *joiner) check() error {
	owner := make(map[string]string) // name of a top level -> module
	for _, m := range j.ordered {
		for _, name := range m.declared {
			if other, taken := owner[name]; taken {
				return fmt.Errorf("%s and %s both declare %s", other, m.name, name)
			}
			owner[name] = m.name
		}
	}
	for _, m := range j.ordered[:len(j.ordered)-1] { // the entry has no code
		if err := m.checkNames(owner); err != nil {
			return err
		}
	}
	return nil
}

// checkNames compares what a module imports with what it uses.
func (m *module) checkNames(owner map[string]string) error {
	needed := make(map[string]int) // names of imports -> line
	for _, taken := range m.imports {
		for _, name := range taken.names {
			needed[name] = taken.number
		}
	}
	imported := maps.Clone(needed)
	for _, use := range m.used {
		delete(needed, use.name)
		if from, known := owner[use.name]; known && from != m.name && imported[use.name] == 0 {
			return fmt.Errorf("%s:%d: %s is a name of %s: import it, or give one of them another name",
				m.name, use.line, use.name, from)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(needed)) {
		return fmt.Errorf("%s:%d: the import of %s is unused", m.name, needed[name], name)
	}
	return nil
}

// write puts the modules, in order, into one.
func (j *joiner) write(entry string) []byte {
	var out bytes.Buffer
	var exported []string
	for _, taken := range j.modules[entry].imports {
		exported = append(exported, taken.names...)
	}
	slices.Sort(exported)
	fmt.Fprintf(&out, "%s\n\n", j.modules[entry].head)
	for _, m := range j.ordered[:len(j.ordered)-1] {
		fmt.Fprintf(&out, "%s\n\n", strings.TrimSpace(m.body))
	}
	fmt.Fprintf(&out, "export { %s };\n", strings.Join(exported, ", "))
	return out.Bytes()
}
