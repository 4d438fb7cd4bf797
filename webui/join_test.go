package webui

import (
	"strings"
	"testing"
	"testing/fstest"
)

func modulesOf(files map[string]string) fstest.MapFS {
	modules := make(fstest.MapFS)
	for name, text := range files {
		modules[name] = &fstest.MapFile{Data: []byte(text)}
	}
	return modules
}

// What is joined holds no comments but the one at its head, and its strings are as they were.
func TestSDKIsServedWithoutItsComments(t *testing.T) {
	t.Parallel()
	joined, err := join(modulesOf(map[string]string{
		"main.js": "// What it is.\n// More.\n\nexport { a } from './a.js';\nexport { f } from './f.js';\n",
		"a.js": "// Unsaid.\n\n// why\nexport const a = 1; // a second\n\t  // indented\n" +
			"const b = `//\n  // text`;\n\nlet c;\n",
		"f.js": "// Unsaid.\nimport { a } from './a.js';\n\nconst D = 'http://d'; // \"it's\"\n" +
			"export function f() {\n" +
			"  return `${[a].map((g) => { return `<${g}>`; })} // ${D}`;\n}\n",
	}), "main.js")
	if err != nil {
		t.Fatal(err)
	}
	got := joined["main.js"]
	if want := "// What it is.\n// More.\n\n" +
		"const a = 1;\nconst b = `//\n  // text`;\n\nlet c;\n\n" +
		"const D = 'http://d';\nfunction f() {\n  return `${[a].map((g) => { return `<${g}>`; })} // ${D}`;\n}\n\n" +
		"export { a, f };\n"; string(got) != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

// A module stands below those that it imports, in the order in which browsers would run them.
func TestJoinKeepsTheOrderOfImports(t *testing.T) {
	t.Parallel()
	joined, err := join(modulesOf(map[string]string{
		"a.js": "export class A {\n}\n",
		"b.js": "import { C } from './c.js';\nimport { A } from './a.js';\n\n" +
			"export class B extends A {\n  c = C;\n}\n",
		"c.js":    "import { A } from './a.js';\n\nexport const C = A;\n",
		"main.js": "// Head.\n\nexport { B } from './b.js';\n",
	}), "main.js")
	if err != nil {
		t.Fatal(err)
	}
	got := joined["main.js"]
	at := func(text string) int { return strings.Index(string(got), text) }
	a, b, c := at("class A"), at("class B"), at("const C")
	if a < 0 || c < a || b < c {
		t.Errorf("A, C and B are at %d, %d and %d of\n%s", a, c, b, got)
	}
}

// What several entries import, also from a folder above, is in each of them; what is another's is
// not.
func TestJoinMakesOneModuleOfEachEntry(t *testing.T) {
	t.Parallel()
	joined, err := join(modulesOf(map[string]string{
		"a.js":        "export const a = 1;\n",
		"b.js":        "import { a } from './a.js';\n\nexport const b = a;\n",
		"folder/b.js": "import { a } from '../a.js';\nimport { c } from './c.js';\n\nexport const b = a + c;\n",
		"folder/c.js": "export const c = 2;\n",
		"main.js":     "// Head.\n\nexport { b } from './b.js';\n",
		"other.js":    "// Another.\n\nexport { b } from './folder/b.js';\n",
	}), "main.js", "other.js")
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		"main.js":  "// Head.\n\nconst a = 1;\n\nconst b = a;\n\nexport { b };\n",
		"other.js": "// Another.\n\nconst a = 1;\n\nconst c = 2;\n\nconst b = a + c;\n\nexport { b };\n",
	} {
		if got := string(joined[name]); got != want {
			t.Errorf("%s: got\n%s\nwant\n%s", name, got, want)
		}
	}
}

// What would mean something else once it is joined, or can't be understood, is refused in a
// sentence that says where.
func TestJoinRefuses(t *testing.T) {
	t.Parallel()
	entry := "// Head.\n\nexport { a } from './a.js';\n"
	for name, tt := range map[string]struct {
		files map[string]string // besides the entry
		want  string
	}{
		"a circle": {
			map[string]string{
				"a.js": "import { b } from './b.js';\n\nexport const a = () => b;\n",
				"b.js": "import { a } from './a.js';\n\nexport const b = () => a;\n",
			},
			"main.js:3: a.js:1: b.js:1: modules import each other in a circle: main.js -> a.js -> b.js -> a.js",
		},
		"a module that imports itself": {
			map[string]string{"a.js": "import { a } from './a.js';\n\nexport const a = 1;\n"},
			"modules import each other in a circle: main.js -> a.js -> a.js",
		},
		"an unknown module": {map[string]string{}, "main.js:3: there is no module a.js"},
		"an unknown name": {
			map[string]string{"a.js": "const a = 1;\n"},
			"main.js:3: a.js doesn't export a",
		},
		"one name twice": {
			map[string]string{
				"a.js": "import { b } from './b.js';\n\nexport const a = b;\nconst same = 1;\n",
				"b.js": "export const b = 1;\nfunction same() {\n}\n",
			},
			"b.js and a.js both declare same",
		},
		"a name that was not imported": {
			map[string]string{
				"a.js": "import { b } from './b.js';\n\nexport const a = `${[b, ...secret]}`;\n",
				"b.js": "export const b = 1;\nconst secret = [2];\n",
			},
			"a.js:3: secret is a name of b.js: import it, or give one of them another name",
		},
		"a name that was imported for nothing": {
			map[string]string{
				"a.js": "import { b } from './b.js';\n\n// b\nexport const a = { b: 'b', c: this.b };\n",
				"b.js": "export const b = 1;\n",
			},
			"a.js:1: the import of b is unused",
		},
		"a module for nothing": {
			map[string]string{"a.js": "export const a = 1;\n", "b.js": "export const b = 1;\n"},
			"nobody imports b.js",
		},
		"code in the entry": {
			map[string]string{
				"main.js": "export { a } from './a.js';\nconst b = 1;\n",
				"a.js":    "export const a = 1;\n",
			},
			"main.js:2: this can't be joined: const b = 1;",
		},
		"an import in the entry": {
			map[string]string{"main.js": "import { a } from './a.js';\n", "a.js": "export const a = 1;\n"},
			"main.js:1: modules import from others, and the entry exports from them, before anything else",
		},
		"an export from another module": {
			map[string]string{"a.js": "export { b } from './b.js';\n", "b.js": "export const b = 1;\n"},
			"a.js:1: modules import from others",
		},
		"an import below code": {
			map[string]string{
				"a.js": "export const a = 1;\nimport { b } from './b.js';\n",
				"b.js": "export const b = 1;\n",
			},
			"a.js:2: modules import from others",
		},
		"an import of another place": {
			map[string]string{"a.js": "import { b } from '../b.js';\n"},
			"a.js:1: there is no module ../b.js",
		},
		"a new name for an import": {
			map[string]string{"a.js": "import { b as c } from './b.js';\n"},
			"a.js:1: this can't be joined",
		},
		"a default": {
			map[string]string{"a.js": "export default 1;\n"},
			"a.js:1: this can't be joined",
		},
		"an import for its work": {
			map[string]string{"a.js": "import './b.js';\n"},
			"a.js:1: this can't be joined",
		},
		"a later export": {
			map[string]string{"a.js": "const a = 1;\nexport { a };\n"},
			"a.js:2: this can't be joined",
		},
		"a later import": {
			map[string]string{"a.js": "const a = () => import('./b.js');\n"},
			"a.js:1: this can't be joined",
		},
		"what a module knows": {
			map[string]string{"a.js": "const a = import.meta.env;\n"},
			"a.js:1: this can't be joined",
		},
		"a statement": {map[string]string{"a.js": "run();\n"}, "a.js:1: this can't be joined: run();"},
		"names taken apart": {
			map[string]string{"a.js": "const { a } = b;\n"},
			"a.js:1: this can't be joined",
		},
		"an old variable": {map[string]string{"a.js": "var a = 1;\n"}, "a.js:1: this can't be joined"},
		"a comment of two ends": {
			map[string]string{"a.js": "const a = 1;\n/* b */\n"},
			"a.js: line 2: comments must begin with //",
		},
		"a string that looks like a private name": {
			map[string]string{"a.js": "const a = '#b';\n"},
			"a.js:1: a string can't have a #: const a = '#b';",
		},
		"a quote in a pattern": {
			map[string]string{"a.js": "const a = /'/;\n"},
			"a.js: line 1: a quote is not closed on its line",
		},
		"a bracket that is open": {
			map[string]string{"a.js": "const a = {\n"},
			"a.js: line 2: the script ends within brackets",
		},
		"a bracket too many": {
			map[string]string{"a.js": "const a = 1;\n}\n"},
			"a.js: line 2: a closing bracket has no opening one",
		},
		"a template that is open": {
			map[string]string{"a.js": "const a = `${1}\n;\n"},
			"a.js: line 3: the script ends within",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			files := map[string]string{"main.js": entry}
			for name, text := range tt.files {
				files[name] = text
			}
			if _, err := join(modulesOf(files), "main.js"); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
		})
	}
}
