// Command tally reads `go test -json` from standard input, shows what failed and
// what was skipped, and ends with a line "N passed, N failed, N skipped". It
// exits with 1 unless tests ran and none failed.
//
// Only tests without subtests count. A package that fails outside of its tests,
// or whose tests do not finish, counts as a failure. The output of several runs
// may come one after the other, each that failed followed by a line
// "exit status N".
package main

import (
	"flag"
	"fmt"
	"os"
)

func main() {
	skipsFail := flag.Bool("skips-fail", false, "also exit with 1 if a test was skipped")
	flag.Parse()
	t := newTally(os.Stdout)
	if err := t.read(os.Stdin); err != nil {
		fmt.Fprintln(os.Stderr, "tally:", err)
		os.Exit(1)
	}
	if !t.finish(*skipsFail) {
		os.Exit(1)
	}
}
