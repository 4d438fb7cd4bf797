package webui

import (
	"fmt"
	"strings"
	"testing"
)

// What is packed is the same script in fewer bytes.
func TestPack(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct{ script, want string }{
		"templates": {
			"const a = `\n  text;\n\n  ${[\n    1, // one\n  ].map((n) => `\n   ${n}`)}\n  end`;\n",
			"const a = `\n  text;\n\n  ${[1,].map((n) => `\n   ${n}`)}\n  end`;",
		},
		"spaces": {
			"\n// why\nclass b {\n  c = '  it\\'s = {';\n\n\t// b\n" +
				"\td(e, f = \"( \") {\n\t\treturn { ...this.c, e: e ?? -f }; // c\n\t}\n}\n",
			"class b{c='  it\\'s = {';d(e,f=\"( \"){return{...this.c,e:e??-f}}}",
		},
		"one template": {"const a = b => `${ c } = '${d} ` + 'e = f';\n", "const a=b=>`${ c } = '${d} ` + 'e = f';"},
		"signs":        {"const g = (a) => (a ? a + +a : a - -a);\n", "const g=(a)=>(a?a + +a:a - -a);"},
		"slashes":      {"const h = i / 2 + /a = b/.exec(k) || !l;\n", "const h=i / 2 + /a = b/.exec(k)||!l;"},
		"operators":    {"a = b - c * (d++ + 1) + 'e' - -f;\n", "a=b-c*(d+++1)+ 'e' - -f;"},
		"patterns":     {"f(/[ /] = b/, / = c/, ' /'.x / 2);\n", "f(/[ /] = b/,/ = c/,' /'.x / 2);"},
		"line ends":    {"if (a)\n  b();\nelse c()\nlet d\n", "if(a)\nb();else c()\nlet d\n"},
		"names": {
			"const LONG = 1 + 1;\nconst FIELD = 2;\nclass Kept {\n  FIELD = this.FIELD;\n}\n" +
				"class Other extends Kept {\n  [LONG] = { LONGEST: LONG ? LONG : -LONG };\n}\nconst SAID = 'SAID';\n" +
				"function long(...LONGER) {\n  return `${LONG} LONGS`;\n}\nexport { Kept, long };\n",
			"const $a=1+1;const FIELD=2;class Kept{FIELD=this.FIELD}class $b extends Kept{" +
				"[$a]={LONGEST:$a?$a:-$a}}const SAID='SAID';" +
				"function long(...LONGER){return `${$a} LONGS`}export{Kept,long};",
		},
		"numbers": {
			"const MANY = 60_000; // in all\nconst FIELD = 2;\nconst both = [MANY, -MANY, { FIELD: FIELD }];\n",
			"const FIELD=2;const both=[60000,-60000,{FIELD:FIELD}];",
		},
	} {
		got, err := pack("// What it is.\n// More.\n\n" + tt.script)
		if err != nil {
			t.Fatal(err)
		}
		if want := "// What it is.\n// More.\n\n" + tt.want; string(got) != want {
			t.Errorf("%s: got\n%q\nwant\n%q", name, got, want)
		}
	}
	if _, err := pack("// Head.\n\nconst a = `\n"); err == nil {
		t.Error("a script that ends within a template is packed")
	}
}

// Names that are private to a class are short in what is served: each is another one in its class,
// the same as in other classes, and the one that occurs most is shortest.
func TestPrivateNamesAreShort(t *testing.T) {
	t.Parallel()
	var rare, want strings.Builder
	for i := range 52 {
		fmt.Fprintf(&rare, "  #rare%02d = this.#often;\n", i)
	}
	joined, err := join(modulesOf(map[string]string{
		"a.js": "export class A {\n" + rare.String() + "  text = `${this.#often}`; // #often\n}\n\n" +
			"class B {\n  #other = this.#often;\n  #often = 1;\n}\n",
		"main.js": "// Head.\n\nexport { A } from './a.js';\n",
	}), "main.js")
	if err != nil {
		t.Fatal(err)
	}
	got, err := pack(string(joined["main.js"]))
	if err != nil {
		t.Fatal(err)
	}
	const letters = "bcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
	for i := range 51 {
		fmt.Fprintf(&want, "#%c=this.#a;", letters[i])
	}
	if !strings.Contains(string(got), want.String()+"#a1=this.#a;text=`${this.#a}`}class $a{#b=this.#a;#a=1}") {
		t.Errorf("got\n%s", got)
	}
}

// Names that begin with an underscore are short, too, wherever they are used as names.
func TestInternalNamesAreShort(t *testing.T) {
	t.Parallel()
	got, err := pack("// Head.\n\nclass A {\n  _once = 1;\n\n  get _often() {\n" +
		"    const { _often: { a }, b_c } = this._often;\n    return a._once + b_c;\n  }\n}\n")
	want := "// Head.\n\nclass $a{_b=1;get _a(){const{_a:{a},b_c}=this._a;return a._b+b_c}}"
	if err != nil || string(got) != want {
		t.Errorf("got\n%q\nwant\n%q (%v)", got, want, err)
	}
}
